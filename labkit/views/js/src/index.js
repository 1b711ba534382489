// The live view of a host. Python sends one `frame`, JavaScript draws it, and says so in `data-drawn`.
import { Axes } from "./axes.js";
import { bars } from "./bars.js";
import { Before } from "./before.js";
import { nameControls } from "./controls.js";
import { curves } from "./curves.js";
import { patterns, safe } from "./drawing.js";
import { gantt, held, Span, turns } from "./gantt.js";
import { heldKey, memoryBars, memoryKey, memoryStrips, memoryTable, moments, stretch } from "./memory.js";
import { table } from "./table.js";

const SPOKEN_EVERY = 6000; // ms between two announcements while live numbers stream in

const KEYS = {
  ArrowLeft: "earlier",
  ArrowRight: "later",
  "+": "closer",
  "=": "closer",
  "-": "wider",
  0: "whole",
  Home: "whole",
};

const SKELETON = (id) => `
<div class="lk-patterns"></div>
<p class="lk-where"></p>
<p><span class="lk-reading"></span> <span class="lk-computing" hidden>computing…</span></p>
<section class="lk-time" role="group" aria-labelledby="${id}-time">
  <h3 id="${id}-time">Which machine ran when <span class="lk-window"></span></h3>
  <div class="lk-buttons" role="group" aria-label="Move and zoom the time line">
    <button type="button" data-do="earlier" aria-label="Earlier">◀</button>
    <button type="button" data-do="later" aria-label="Later">▶</button>
    <button type="button" data-do="closer" aria-label="Zoom in">+</button>
    <button type="button" data-do="wider" aria-label="Zoom out">−</button>
    <button type="button" data-do="whole" class="lk-back">Back to 0</button>
  </div>
  <div class="lk-lanes" role="group" tabindex="0" aria-label="Time line of the CPUs. Left and right move it, plus and minus zoom, 0 goes back."></div>
  <p class="lk-held-key" hidden><svg class="lk-swatch" width="26" height="10" aria-hidden="true"></svg>crossed out, below the CPUs: <em>throttled</em>. The machine wants to run, and its own cap keeps it off the CPUs.</p>
  <details class="lk-turns"><summary>The time line in numbers</summary><div class="lk-turns-table"></div></details>
  <p class="lk-unseen lk-moved" role="status" aria-live="polite"></p>
</section>
<section class="lk-memory" role="group" aria-labelledby="${id}-memory" hidden>
  <h3 id="${id}-memory">Where the memory is <span class="lk-when"></span></h3>
  <div class="lk-memory-drawn"></div>
  <label class="lk-choose">moment <input type="range" class="lk-range" min="0" max="1000" value="1000"></label>
  <ul class="lk-key lk-memory-key" aria-label="The parts of a machine's memory"></ul>
  <ul class="lk-key lk-held-by" aria-label="What the host holds, in its own bar"></ul>
  <p class="lk-strips-note">The same against time, in MiB over seconds; a dashed line is what was promised, or what the host has.</p>
  <div class="lk-strips"></div>
  <details class="lk-memory-numbers"><summary>Where the memory is, in numbers</summary><div class="lk-memory-table"></div></details>
</section>
<ul class="lk-key" aria-label="How bars and lines are drawn">
  <li><i class="lk-sample lk-sample-theory"></i>theory</li>
  <li><i class="lk-sample lk-sample-simulated"></i>simulated</li>
  <li><i class="lk-sample lk-sample-live"></i>live</li>
  <li class="lk-was-key" hidden><svg width="9" height="14" aria-hidden="true"><path class="lk-was" d="M4.5,0v14"/></svg>before the last change</li>
</ul>
<div class="lk-cards"></div>
<details class="lk-more" hidden><summary>More quantities</summary><div class="lk-cards-more"></div></details>
<p class="lk-unseen lk-spoken" role="status" aria-live="polite"></p>`;

function numbers(view) {
  if (!view) return new Float32Array();
  return new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

/** A card's heading: of bytes with the unit of its picture, as its table has all digits. */
function headed({ label, heading, said }) {
  return said.per === 1 ? heading : `${label} (${said.unit}; the table: B)`;
}

function render({ model, el }) {
  // On the window, as every panel has a copy of this module: two that share a prefix would share their patterns.
  window.labkitViews = (window.labkitViews ?? 0) + 1;
  const prefix = `lk${window.labkitViews}`;
  const root = document.createElement("div");
  root.className = "labkit-view";
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", "Live view of the host");
  root.dataset.lmSuppressShortcuts = "true";
  root.innerHTML = SKELETON(prefix);
  el.append(root);
  const part = (name) => root.querySelector(`.lk-${name}`);
  let span = null;
  let waiting = 0;
  let drawnAt = 0;
  let spokenAt = 0;
  let speak = 0;
  let data = new Float32Array();
  let moment = null; // null: the end, also while it moves on
  const longest = { memory: 0 }; // where the axis of the bars of memory ends
  const axes = new Axes();
  const before = new Before();
  let begun = 0; // how often the panel was put back to its beginning

  function drawMemory(frame) {
    const { memory } = frame;
    part("memory").hidden = !memory;
    if (!memory) return;
    const span = stretch(frame, data);
    const seen = span ? moments(frame, data) : [];
    if (moment !== null && (!span || moment >= span.to || moment < span.from)) moment = null;
    const wide = Math.max(260, root.clientWidth - 2);
    part("choose").hidden = part("strips-note").hidden = !span;
    const time = moment ?? span?.to;
    const said = span ? `${time.toFixed(span.to - span.from < 10 ? 2 : 1)} s` : "";
    const which = moment === null ? ", the end" : moment === span.from ? ", the beginning" : "";
    part("when").textContent = span ? `(at ${said}${which})` : "";
    if (span) {
      // A step of the slider is from one look to the next: it never stands where nothing was seen.
      const place = moment === null ? seen.length - 1 : seen.findIndex((one) => one >= moment - 1e-6);
      part("range").max = String(seen.length - 1);
      part("range").value = String(place);
      part("range").setAttribute("aria-valuetext", said);
    }
    part("memory-drawn").innerHTML = memoryBars(frame, data, moment, wide, prefix, longest);
    part("memory-key").innerHTML = memoryKey(frame, prefix);
    part("held-by").innerHTML = heldKey(frame, prefix);
    part("strips").innerHTML = span ? memoryStrips(frame, data, time, span, across(memory.rows.length), prefix) : "";
    part("memory-table").innerHTML = memoryTable(frame, data, moment, prefix);
  }

  // Two beside each other where there is room, and more than one.
  function across(count) {
    const beside = root.clientWidth >= 620 && count > 1 ? 2 : 1;
    return Math.floor((root.clientWidth - 18 * (beside - 1)) / beside) - 2;
  }

  function drawTime(frame) {
    const line = frame.gantt;
    part("time").hidden = !frame.gantt.n;
    if (!frame.gantt.n) return;
    span ??= new Span(root.clientWidth < 500 ? 60 : 120);
    span.fit(line);
    const shown = `${line.note}, ${span.from.toFixed(0)} to ${span.to.toFixed(0)}`;
    const known = line.from ? `ms, of ${line.from.toFixed(0)} to ${line.ms.toFixed(0)} ms` : `of the first ${line.ms.toFixed(0)} ms`;
    const about = line.moment == null ? "" : `; the line at ${line.moment.toFixed(0)} ms: ${line.about}`;
    part("window").textContent = `(${shown} ${known}${about})`;
    const back = `Back to ${(line.moment ?? line.from).toFixed(0)}`;
    if (part("back").textContent !== back) part("back").textContent = back;
    const [first] = held(frame, data);
    part("held-key").hidden = first === undefined;
    const fill = first === undefined ? "none" : `url(#${prefix}-throttled-${first})`;
    part("held-key").firstChild.innerHTML = `<rect width="26" height="10" fill="${fill}"/>`;
    part("lanes").innerHTML = gantt(frame, data, span, Math.max(260, root.clientWidth - 2), prefix);
    part("turns-table").innerHTML = turns(frame, data, span);
  }

  function say(frame) {
    clearTimeout(speak);
    const due = frame.mode === "live" ? Math.max(400, spokenAt + SPOKEN_EVERY - Date.now()) : 400;
    speak = setTimeout(() => {
      spokenAt = Date.now();
      part("spoken").textContent = frame.reading;
    }, due);
  }

  // A table that is wider than its place can be scrolled by keyboard; the others are no stop for Tab.
  function scrollable(focused) {
    root.querySelectorAll(".lk-scroll").forEach((place, index) => {
      if (place.scrollWidth > place.clientWidth) place.tabIndex = 0;
      if (index === focused) place.focus({ preventScroll: true });
    });
  }

  function draw() {
    waiting = 0;
    drawnAt = performance.now();
    const frame = model.get("frame");
    if (!frame?.machines || !root.clientWidth) return;
    data = numbers(frame.data);
    const width = across(frame.quantities.length);
    if (frame.begun !== begun) {
      begun = frame.begun;
      moment = null;
      axes.forget();
      before.forget();
    }
    before.take(frame);
    frame.quantities.forEach((quantity) => axes.fit(quantity, data));
    root.dataset.mode = frame.mode;
    part("patterns").innerHTML = patterns(frame.machines, prefix) + patterns(frame.memory?.parts ?? [], `${prefix}m`) + patterns(frame.memory?.held ?? [], `${prefix}h`);
    part("where").innerHTML = frame.where.map((line) => `<span>${safe(line)}</span>`).join("");
    part("reading").textContent = frame.reading;
    const focused = [...root.querySelectorAll(".lk-scroll")].indexOf(document.activeElement);
    part("sample-theory").parentElement.hidden = !frame.quantities.some(({ theory }) => theory?.some((v) => v != null));
    const opened = part("in-numbers")?.open;
    const cards = frame.quantities.map((quantity, index) => {
      const id = `${prefix}-table-${index}`;
      // A run in phases has bars and numbers for each phase, and over time only curves.
      const counted = ["theory", "simulated", "live"].some((column) => quantity[column]?.some((value) => value != null));
      const lines = quantity.curves.length ? curves(frame, quantity, data, width, counted ? id : `${id}-head`) : "";
      const rows = counted ? table(frame, quantity, id, prefix) : "";
      const folded = `<details class="lk-in-numbers"${opened ? " open" : ""}><summary>In numbers</summary>${rows}</details>`;
      if (quantity.instead) return `<section class="lk-card lk-instead" style="max-width:100%">${quantity.instead}${folded}</section>`;
      const inside = counted ? bars(frame, quantity, width, prefix, id, axes, before) + rows + lines : lines;
      return `<section class="lk-card" role="group" style="width:${width}px" aria-labelledby="${id}-head"><h3 id="${id}-head">${safe(headed(quantity))}</h3>${inside}</section>`;
    });
    const kept = (later) => cards.filter((_, index) => Boolean(frame.quantities[index].later) === later).join("");
    part("sample-theory").closest("ul").hidden = frame.quantities.every(({ instead }) => instead);
    part("was-key").hidden = !cards.some((card) => card.includes("lk-was"));
    for (const place of ["cards", "cards-more"]) part(place).style.gridTemplateColumns = `repeat(auto-fill, ${width}px)`;
    part("cards").innerHTML = kept(false);
    part("cards-more").innerHTML = kept(true);
    part("more").hidden = !part("cards-more").firstChild;
    drawMemory(frame);
    scrollable(focused);
    drawTime(frame);
    say(frame);
    root.dataset.drawn = String(frame.serial);
    performance.clearMarks("labkit-drawn");
    performance.mark("labkit-drawn", { detail: frame.serial });
  }

  // A frame that comes alone is drawn at once; of many that come together the latest, once per screen refresh.
  function schedule() {
    if (waiting) return;
    if (document.hidden) waiting = setTimeout(draw, 0);
    else if (performance.now() - drawnAt > 30) draw();
    else waiting = requestAnimationFrame(draw);
  }

  function act(what) {
    const frame = model.get("frame");
    const line = frame?.gantt;
    if (!line?.ms || !span) return;
    if (what === "earlier") span.move(-0.25, line);
    if (what === "later") span.move(0.25, line);
    if (what === "closer") span.zoom(0.5, line);
    if (what === "wider") span.zoom(2, line);
    if (what === "whole") span.reset(line);
    drawTime(frame);
    part("moved").textContent = `${span.from.toFixed(0)} to ${span.to.toFixed(0)} ms`;
  }

  part("range").addEventListener("input", (event) => {
    const frame = model.get("frame");
    const span = frame?.memory && stretch(frame, data);
    if (!span) return;
    const seen = moments(frame, data);
    const chosen = Number(event.target.value);
    moment = chosen >= seen.length - 1 ? null : seen[chosen];
    drawMemory(frame);
  });
  root.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-do]");
    if (button) act(button.dataset.do);
  });
  root.addEventListener("keydown", (event) => {
    const what = event.target.closest?.(".lk-lanes") && !event.ctrlKey && !event.metaKey && KEYS[event.key];
    if (what) {
      act(what);
      event.preventDefault();
    }
    event.stopPropagation();
  });
  part("more").addEventListener("toggle", () => scrollable()); // what is folded has no width
  let width = 0;
  const sized = new ResizeObserver(() => {
    nameControls(root);
    if (root.clientWidth !== width) {
      width = root.clientWidth;
      schedule();
    }
  });
  sized.observe(root);
  const computing = () => {
    part("computing").hidden = !model.get("computing");
  };
  model.on("change:frame", schedule);
  model.on("change:computing", computing);
  computing();
  schedule();
  return () => {
    sized.disconnect();
    clearTimeout(speak);
    model.off("change:frame", schedule);
    model.off("change:computing", computing);
  };
}

export default { render };
