// A machine's console. Python sends what the machine prints, this sends back what is typed: bytes, nothing else.
import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";

const LEAVE = "\x1d"; // Control and ], whatever the keyboard; as in virsh console
const ESCAPE = "\x1b";
const TWICE = 500; // ms between two presses of Escape that together leave
const PASTED = 16384; // characters that are pasted at most: a serial line is slow
const SAID = 5000; // ms that a word about what was just done stands
const AT_ONCE = 1024; // characters of one message
const COLUMNS = [20, 200];

// Each stands out from its ground by 4.5:1 at least; xterm.js sees to what is left.
const COLOURS = {
  light: {
    black: "#1f2328", red: "#a4262c", green: "#0a6b3d", yellow: "#7a5200", blue: "#0b5cad", magenta: "#8a2f74", cyan: "#0b6477", white: "#57606a",
    brightBlack: "#57606a", brightRed: "#c0392b", brightGreen: "#0f7b49", brightYellow: "#8f6000", brightBlue: "#0969da", brightMagenta: "#a33b8a", brightCyan: "#0e7490", brightWhite: "#24292f",
    selectionBackground: "#b6d7f2",
  },
  dark: {
    black: "#8c959f", red: "#ff8f80", green: "#5fd6a0", yellow: "#f0e442", blue: "#7cc4f5", magenta: "#e6a3cb", cyan: "#76d7ea", white: "#e6edf3",
    brightBlack: "#a6b0ba", brightRed: "#ffa99d", brightGreen: "#86e5b8", brightYellow: "#f7ef7f", brightBlue: "#a2d6f9", brightMagenta: "#f0bfdc", brightCyan: "#a0e6f2", brightWhite: "#ffffff",
    selectionBackground: "#2f5d86",
  },
};

const SKELETON = (id) => `
<div class="lc-head"><strong class="lc-name"></strong> <span class="lc-state" role="status"></span></div>
<div class="lc-screen"></div>
<div class="lc-foot">
  <button type="button" data-do="copy">Copy</button>
  <button type="button" data-do="connect" hidden>Connect again</button>
  <label><input type="checkbox" class="lc-reader"> for a screen reader</label>
  <span class="lc-hint" id="${id}-hint">Control and ] together, or Escape twice, leaves the terminal.</span>
</div>`;

function dark(element) {
  const [red, green, blue, alpha] = getComputedStyle(element).backgroundColor.match(/[\d.]+/g)?.map(Number) ?? [];
  if (red === undefined || alpha === 0) return matchMedia("(prefers-color-scheme: dark)").matches;
  return 0.299 * red + 0.587 * green + 0.114 * blue < 128;
}

function bytes(buffer) {
  return new Uint8Array(buffer.buffer ?? buffer, buffer.byteOffset ?? 0, buffer.byteLength);
}

function render({ model, el }) {
  window.labkitConsoles = (window.labkitConsoles ?? 0) + 1;
  const id = `lc${window.labkitConsoles}`;
  const name = model.get("name");
  const root = document.createElement("div");
  root.className = "labkit-console";
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", `Console of ${name}`);
  root.dataset.lmSuppressShortcuts = "true";
  root.innerHTML = SKELETON(id);
  el.append(root);
  const part = (one) => root.querySelector(`.lc-${one}`);
  const button = (what) => root.querySelector(`[data-do="${what}"]`);
  part("name").textContent = name;
  const state = () => {
    part("state").textContent = model.get("state");
    button("connect").hidden = model.get("held") || model.get("over") || !model.get("possible");
    root.dataset.held = String(model.get("held"));
  };
  model.on("change:state change:held change:over", state);
  state();
  if (!model.get("possible")) {
    part("screen").hidden = part("foot").hidden = true;
    return () => model.off("change:state change:held change:over", state);
  }

  const terminal = new Terminal({
    rows: model.get("rows"),
    cols: 80,
    convertEol: false,
    cursorBlink: false,
    fontFamily: getComputedStyle(document.body).getPropertyValue("--jp-code-font-family").trim() || "monospace",
    fontSize: 13,
    minimumContrastRatio: 4.5,
    screenReaderMode: model.get("screen_reader"),
    scrollback: 2000,
    theme: {},
  });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  terminal.open(part("screen"));
  terminal.textarea.setAttribute("aria-label", `Keys for ${name}`);
  terminal.textarea.setAttribute("aria-describedby", `${id}-hint`);

  const paint = () => {
    const words = getComputedStyle(root);
    const ground = words.backgroundColor;
    if (!ground) return; // not on the page yet
    terminal.options.theme = {
      ...COLOURS[dark(root) ? "dark" : "light"],
      background: ground,
      foreground: words.color,
      cursor: words.color,
      cursorAccent: ground,
    };
  };
  paint();
  const painted = new MutationObserver(() => setTimeout(paint, 50));
  painted.observe(document.body, { attributeFilter: ["data-jp-theme-light", "data-jp-theme-name", "class"] });

  let told = 0;
  const size = () => {
    if (!terminal.options.theme.background) paint();
    const asked = root.clientWidth ? fit.proposeDimensions() : null;
    if (!asked || !Number.isFinite(asked.cols)) return;
    terminal.resize(Math.max(COLUMNS[0], Math.min(COLUMNS[1], asked.cols)), model.get("rows"));
    clearTimeout(told);
    told = setTimeout(() => model.send({ do: "size", rows: terminal.rows, columns: terminal.cols }), 300);
  };
  const sized = new ResizeObserver(size);
  sized.observe(part("screen"));

  // What was printed before this page was opened may hold questions to the terminal, long answered.
  let replaying = false;
  const heard = (content, buffers) => {
    if (content.do === "begin") {
      terminal.reset();
      replaying = true;
      terminal.write(bytes(buffers[0]), () => {
        replaying = false;
        root.dataset.ready = "true";
      });
    } else if (content.do === "print") {
      terminal.write(bytes(buffers[0]));
    }
  };
  model.on("msg:custom", heard);

  let said = 0;
  const say = (words) => {
    part("state").textContent = words;
    clearTimeout(said);
    said = setTimeout(state, SAID);
  };
  let escaped = 0;
  const leave = () => button("copy").focus();
  const send = (text) => {
    for (let from = 0; from < text.length; from += AT_ONCE) model.send({ do: "type", text: text.slice(from, from + AT_ONCE) });
  };
  terminal.onData((text) => {
    if (replaying) return;
    if (text === LEAVE) return leave();
    if (text === ESCAPE) {
      const before = escaped;
      escaped = performance.now();
      if (escaped - before < TWICE) return leave();
    } else escaped = 0;
    if (text.length > PASTED) say(`Only the first ${PASTED} characters were pasted.`);
    send(text.slice(0, PASTED));
  });
  // The browser copies and pastes; the guest has Control and C as long as nothing is selected.
  terminal.attachCustomKeyEventHandler((event) => {
    const key = event.ctrlKey && !event.altKey && !event.metaKey ? event.key.toLowerCase() : "";
    if (key === "c" && (event.shiftKey || terminal.hasSelection())) {
      if (event.type === "keydown") copy();
      event.preventDefault();
      return false;
    }
    return key !== "v";
  });

  const printed = () => {
    const buffer = terminal.buffer.active;
    let all = "";
    for (let place = 0; place < buffer.length; place += 1) {
      const line = buffer.getLine(place);
      const whole = buffer.getLine(place + 1)?.isWrapped; // it goes on in the next
      all += line.translateToString(!whole) + (whole ? "" : "\n");
    }
    return `${all.trimEnd()}\n`;
  };
  async function copy() {
    const chosen = terminal.getSelection() || printed();
    try {
      await navigator.clipboard.writeText(chosen);
      say("Copied.");
    } catch {
      say("This browser does not let a page copy. Mark the text, and copy it with the browser's own menu.");
    }
  }
  root.addEventListener("click", (event) => {
    const what = event.target.closest?.("[data-do]")?.dataset.do;
    if (what === "copy") copy();
    if (what === "connect") {
      model.send({ do: "connect" });
      terminal.focus();
    }
  });
  part("reader").checked = model.get("screen_reader");
  part("reader").addEventListener("change", (event) => {
    terminal.options.screenReaderMode = event.target.checked;
  });
  // Nothing that is typed here is a shortcut of JupyterLab's.
  const kept = (event) => event.stopPropagation();
  for (const kind of ["keydown", "keypress", "keyup", "paste", "copy"]) root.addEventListener(kind, kept);
  root.labkitPrinted = printed; // for tests: what stands on the screen, and how wide it is
  root.labkitColumns = () => terminal.cols;
  model.send({ do: "begin" });
  return () => {
    sized.disconnect();
    painted.disconnect();
    clearTimeout(told);
    clearTimeout(said);
    model.off("change:state change:held change:over", state);
    model.off("msg:custom", heard);
    terminal.dispose();
  };
}

export default { render };
