// Where the machines' memory is: a bar for each, laid over the host's, and the same against time.
import { marks, px, safe } from "./drawing.js";

const THICK = 20; // px of a bar
const STRIP = 62; // px of a strip against time
const MOST_STRIPS = 6; // with more machines than this, only the host has one

/** A dashed line at a limit, on a ground of its own: it has to be seen on every pattern. */
const limitAt = (path) => `<path d="${path}" class="lk-promised-ground"/><path d="${path}" class="lk-promised"/>`;

const known = (row) => row.n > 1;

/** The end of the stretch of time in which there is anything to show, and its beginning; null where nothing is. */
export function stretch(frame, data) {
  const rows = frame.memory.rows.filter(known);
  if (!rows.length) return null;
  const from = Math.min(...rows.map((row) => data[row.t]));
  const to = Math.max(...rows.map((row) => data[row.t + row.n - 1]));
  return to > from ? { from, to } : null;
}

/** The moments at which anything was seen, in order; two hosts' that differ by less than 5 ms are one. */
export function moments(frame, data) {
  const rows = frame.memory.rows.filter(known);
  const all = rows.flatMap((row) => [...data.subarray(row.t, row.t + row.n)]).sort((a, b) => a - b);
  return all.filter((time, index) => index === all.length - 1 || all[index + 1] - time > 0.005);
}

/** What a row shows at a moment: its parts, and the room that it takes on the host; at null what it has at the end. */
function at(row, data, moment) {
  if (moment === null || !known(row)) return { parts: row.parts, host: row.host };
  let index = 0;
  while (index < row.n - 1 && data[row.t + index] < moment - 1e-6) index += 1;
  const parts = Object.fromEntries(Object.entries(row.v).map(([name, place]) => [name, data[place + index]]));
  return { parts, host: data[row.h + index] };
}

const column = (memory) => (memory.rows.some((row) => row.column === "live") ? "live" : "simulated");

/** The bars: one for each machine and column, and at the end the host's, in which the machines lie side by side. */
export function memoryBars(frame, data, moment, width, prefix, longest) {
  const { memory } = frame;
  const both = new Set(memory.rows.map((row) => row.column)).size > 1;
  const rows = [...memory.rows].sort((a, b) => a.machine - b.machine);
  const shown = rows.map((row) => ({ row, ...at(row, data, moment) }));
  const columns = both ? ["simulated", "live"] : [rows[0].column];
  const hosts = columns.map((name) => ({ name, those: shown.filter(({ row }) => row.column === name) }));
  const sum = (parts) => Object.values(parts).reduce((total, value) => total + value, 0);
  const needed = Math.max(
    1,
    memory.host ?? 0,
    ...shown.map(({ row, parts }) => Math.max(row.promised ?? 0, sum(parts))),
    ...hosts.map(({ those }) => those.reduce((total, { host }) => total + (host ?? 0), 0)),
  );
  // Lengths can be compared from one picture to the next only where the axis stays; one much too long helps nobody.
  if (!(longest.memory >= needed && longest.memory < 4 * needed)) longest.memory = needed;
  const most = longest.memory;
  const words = (row) => `${frame.machines[row.machine].name}${both ? `, ${row.column}` : ""}`;
  const left = Math.min(150, 14 + 6.6 * Math.max(...rows.map((row) => words(row).length), both ? 19 : 8));
  const right = 14;
  const scale = (width - left - right) / (most * 1.02);
  const step = THICK + 6;
  const height = step * (shown.length + hosts.length) + 8 + 30;
  const floor = height - 30;
  const { found, places } = marks(0, most, Math.max(2, (width - left) / 90));
  const parts = found.map(
    (mark) =>
      `<path d="M${px(left + mark * scale)},0V${floor}" class="lk-grid"/>` +
      `<text x="${px(left + mark * scale)}" y="${floor + 14}" text-anchor="middle">${mark.toFixed(places)}</text>`,
  );
  const block = (x, y, value, fill, name, owner = "") => {
    const wide = value * scale;
    if (wide < 0.3) return "";
    const label = [`${owner} ${value.toFixed(1)}`, `${owner} ${value.toFixed(0)}`, owner].find(
      (one) => one.trim() && wide > 6.2 * one.trim().length + 5,
    );
    const written = label
      ? `<text x="${px(x + wide / 2)}" y="${y + THICK / 2 + 4}" text-anchor="middle" class="lk-block-name">${safe(label.trim())}</text>`
      : "";
    return `<rect x="${px(x)}" y="${y}" width="${px(wide)}" height="${THICK}" class="lk-bar" fill="url(#${prefix}${fill})" data-part="${name}" data-value="${value}"/>${written}`;
  };
  shown.forEach(({ row, parts: own }, index) => {
    const y = index * step + 3;
    parts.push(`<text x="${left - 7}" y="${y + THICK / 2 + 4}" text-anchor="end" class="lk-name">${safe(words(row))}</text>`);
    let x = left;
    memory.parts.forEach((part, place) => {
      const value = own[part.name] ?? 0;
      const group = block(x, y, value, `m-run-${place}`, part.name);
      if (group) parts.push(`<g data-machine="${safe(frame.machines[row.machine].name)}" data-column="${row.column}">${group}</g>`);
      x += value * scale;
    });
    if (row.promised != null) {
      const end = px(left + row.promised * scale);
      parts.push(limitAt(`M${end},${y - 3}v${THICK + 6}`));
    }
  });
  hosts.forEach(({ name, those }, index) => {
    const y = (shown.length + index) * step + 10;
    parts.push(`<text x="${left - 7}" y="${y + THICK / 2 + 4}" text-anchor="end" class="lk-name">the host${both ? `, ${name}` : ""}</text>`);
    if (memory.host != null)
      parts.push(`<rect x="${left}" y="${y}" width="${px(memory.host * scale)}" height="${THICK}" class="lk-idle"/>`);
    let x = left;
    for (const { row, host } of those) {
      parts.push(block(x, y, host ?? 0, `h-run-${row.machine}`, "host", frame.machines[row.machine].name));
      x += (host ?? 0) * scale;
    }
    if (memory.host != null) parts.push(limitAt(`M${px(left + memory.host * scale)},${y - 3}v${THICK + 6}`));
  });
  parts.push(`<path d="M${left},0V${floor}H${width - right}" class="lk-axis"/>`);
  parts.push(`<text x="${px((left + width - right) / 2)}" y="${height - 2}" text-anchor="middle">memory (MiB)</text>`);
  const name = "Bars: the parts of each machine's memory, up to a line at what it was promised; below, what they take of the host's";
  return `<svg role="img" aria-label="${safe(name)}" aria-describedby="${prefix}-memory-table" width="${width}" height="${height}" class="lk-memory-bars">${parts.join("")}</svg>`;
}

/** Layers one upon the other against time. */
function layers(times, stacks, x, y) {
  const base = new Array(times.length).fill(0);
  return stacks.map(({ values, fill }) => {
    let over = "";
    let under = "";
    for (let index = 0; index < times.length; index += 1) {
      const top = base[index] + values[index];
      over += `${index ? "L" : "M"}${px(x(times[index]))},${px(y(top))}`;
      under = `L${px(x(times[index]))},${px(y(base[index]))}${under}`;
      base[index] = top;
    }
    return `<path d="${over}${under}Z" class="lk-layer" fill="url(#${fill})"/>`;
  });
}

/** One strip: a name, layers against time, a line at its limit, and the moment that the bars show. */
function strip({ title, times, stacks, limit, most }, moment, span, width) {
  const [left, right, top, floor, height] = [44, 8, 18, 18 + STRIP, STRIP + 36];
  const x = (time) => left + ((time - span.from) / (span.to - span.from)) * (width - left - right);
  const y = (value) => floor - (value / (most * 1.02)) * STRIP;
  const up = marks(0, most, 2);
  const along = marks(span.from, span.to, Math.max(2, (width - left - right) / 80));
  const parts = [`<text x="${left}" y="11" class="lk-name">${safe(title)}</text>`, ...layers(times, stacks, x, y)];
  for (const mark of up.found)
    parts.push(
      `<path d="M${left},${px(y(mark))}H${width - right}" class="lk-grid"/>`,
      `<text x="${left - 5}" y="${px(y(mark) + 4)}" text-anchor="end">${mark.toFixed(up.places)}</text>`,
    );
  for (const mark of along.found)
    parts.push(`<text x="${px(x(mark))}" y="${floor + 14}" text-anchor="middle">${mark.toFixed(along.places)}</text>`);
  if (limit != null) parts.push(limitAt(`M${left},${px(y(limit))}H${width - right}`));
  if (moment !== null) parts.push(`<path d="M${px(x(moment))},${top}V${floor}" class="lk-moment"/>`);
  parts.push(`<path d="M${left},${top}V${floor}H${width - right}" class="lk-axis"/>`);
  return `<svg role="img" aria-label="${safe(`${title}: its parts against time, in MiB, from ${span.from.toFixed(0)} to ${span.to.toFixed(0)} s`)}" width="${width}" height="${height}" class="lk-strip">${parts.join("")}</svg>`;
}

/** The strips: one for each machine, of the column that counts most, and one for the host. */
export function memoryStrips(frame, data, moment, span, width, prefix) {
  const { memory } = frame;
  const which = column(memory);
  const rows = memory.rows.filter((row) => row.column === which && known(row));
  if (!rows.length) return "";
  const line = (place, n) => data.subarray(place, place + n);
  const strips = rows.length > MOST_STRIPS ? [] : rows.map((row) => {
    const times = line(row.t, row.n);
    const stacks = memory.parts
      .map((part, place) => ({ part, fill: `${prefix}m-run-${place}` }))
      .filter(({ part }) => row.v[part.name] !== undefined)
      .map(({ part, fill }) => ({ values: line(row.v[part.name], row.n), fill }));
    return { title: `${frame.machines[row.machine].name}, ${which}`, times, stacks, limit: row.promised };
  });
  const n = Math.min(...rows.map((row) => row.n));
  const stacks = rows.map((row) => ({ values: line(row.h, n), fill: `${prefix}h-run-${row.machine}` }));
  strips.push({ title: `the host, ${which}`, times: line(rows[0].t, n), stacks, limit: memory.host });
  const total = ({ times, stacks: those }) => Math.max(...times.map((_, index) => those.reduce((sum, { values }) => sum + values[index], 0)));
  const own = Math.max(1, ...strips.slice(0, -1).map((one) => Math.max(one.limit ?? 0, total(one))));
  return strips
    .map((one, index) => {
      const last = index === strips.length - 1;
      const most = last ? Math.max(1, one.limit ?? 0, total(one)) : own;
      return strip({ ...one, most }, moment, span, width);
    })
    .join("");
}

/** The text twin: the same numbers, in a table that a screen reader walks through. */
export function memoryTable(frame, data, moment, prefix) {
  const { memory } = frame;
  const heads = memory.parts.map((part) => `<th scope="col">${safe(part.label.split(":")[0])}</th>`).join("");
  const rows = [...memory.rows]
    .sort((a, b) => a.machine - b.machine)
    .map((row) => {
      const { parts, host } = at(row, data, moment);
      const cells = memory.parts.map((part) => `<td>${parts[part.name] == null ? "–" : parts[part.name].toFixed(1)}</td>`);
      const promise = row.promised == null ? "–" : row.promised.toFixed(0);
      return `<tr><th scope="row">${safe(frame.machines[row.machine].name)}, ${row.column}</th><td>${promise}</td>${cells.join("")}<td>${host == null ? "–" : host.toFixed(1)}</td></tr>`;
    });
  return `<div class="lk-scroll" role="group" aria-label="Table: where the memory is"><table id="${prefix}-memory-table"><caption class="lk-unseen">Where the memory is (MiB)</caption><thead><tr><th scope="col">MiB</th><th scope="col">promised</th>${heads}<th scope="col">on the host</th></tr></thead><tbody>${rows.join("")}</tbody></table></div>`;
}

/** The key: what each pattern stands for. */
export function memoryKey(frame, prefix) {
  const item = (fill, words) =>
    `<li><svg class="lk-swatch" width="22" height="12" aria-hidden="true"><rect width="22" height="12" fill="url(#${prefix}${fill})"/></svg>${safe(words)}</li>`;
  return frame.memory.parts.map((part, place) => item(`m-run-${place}`, part.label)).join("");
}

/** The key of the host's bar: which pattern is held for which machine. */
export function heldKey(frame, prefix) {
  const item = (place) =>
    `<li><svg class="lk-swatch" width="22" height="12" aria-hidden="true"><rect width="22" height="12" fill="url(#${prefix}h-run-${place})"/></svg>held for ${safe(frame.machines[place].name)}</li>`;
  return [...new Set(frame.memory.rows.map((row) => row.machine))].sort((a, b) => a - b).map(item).join("");
}
