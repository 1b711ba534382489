// One quantity against time: theory as thin dotted reference lines, simulated dashed, live solid with markers.
import { apart, grouped, marker, marks, px, safe, told } from "./drawing.js";

const NAMED = 24; // up to so many lines each has its name beside it
const DRAWN = { theory: "theory dotted", simulated: "simulated dashed", live: "live solid" };
const TOLD = 4; // up to so many levels of theory each has its number at it

export function curves(frame, quantity, data, width, describedBy) {
  const named = frame.machines.filter((_, index) => quantity.curves.some(({ machine }) => machine === index));
  const height = Math.max(168, 40 + 12 * Math.min(named.length, NAMED)); // room for a name beside each line
  const longest = Math.max(2, ...named.map(({ name }) => name.length));
  const [right, top, floor] = [Math.min(96, 26 + 7 * longest), 8, height - 32];
  const [from, to] = frame.span;
  const lines = quantity.curves.map(({ column, machine, t, v, n }) => ({
    column,
    machine,
    times: data.subarray(t, t + n),
    values: data.subarray(v, v + n),
  }));
  const most = quantity.lineEnd;
  const { per } = quantity.said;
  const { found, places } = marks(0, most / per, 4, quantity.counted);
  const up = found.map((at) => ({ at: at * per, words: grouped(at, places) }));
  const left = Math.max(38, 10 + 6.2 * Math.max(...up.map(({ words }) => words.length)));
  const x = (time) => left + ((time - from) / (to - from || 1)) * (width - left - right);
  const y = (value) => floor - (Math.min(value, most) / (most * 1.04)) * (floor - top);

  const along = marks(from, to, Math.max(2, (width - left - right) / 70));
  const parts = up.map(
    ({ at, words }) =>
      `<path d="M${left},${px(y(at))}H${width - right}" class="lk-grid"/>` +
      `<text x="${left - 5}" y="${px(y(at) + 4)}" text-anchor="end">${words}</text>`,
  );
  for (const at of along.found)
    parts.push(`<text x="${px(x(at))}" y="${floor + 15}" text-anchor="middle">${at.toFixed(along.places)}</text>`);
  parts.push(`<text x="${px((left + width - right) / 2)}" y="${height - 3}" text-anchor="middle">time (s)</text>`);
  parts.push(`<path d="M${left},${top}V${floor}H${width - right}" class="lk-axis"/>`);

  const last = new Map();
  const levels = new Map(); // of theory, by their height
  for (const { column, machine, times, values } of lines) {
    const look = frame.machines[machine];
    let path = "";
    let dots = "";
    let previous = null;
    if (column === "theory" && values.every((value) => value === values[0])) levels.set(px(y(values[0])), values[0]);
    const every = Math.max(1, Math.ceil(times.length / 24));
    for (let index = 0; index < times.length; index += 1) {
      if (times[index] < from - 1e-6) continue;
      const [at, level] = [px(x(times[index])), px(y(values[index]))];
      // Theory jumps when the settings change; the other two are means over intervals.
      path += previous === null ? `M${at},${level}` : column === "theory" ? `H${at}V${level}` : `L${at},${level}`;
      previous = level;
      if (column === "live" && index % every === 0) dots += marker(look.shape, at, level);
    }
    if (previous === null) continue;
    if (!last.has(machine) || column !== "theory") last.set(machine, previous);
    const dash = column === "simulated" ? ` stroke-dasharray="${look.dash.join(" ")}"` : "";
    parts.push(`<path d="${path}" class="lk-curve lk-curve-${column}" stroke="${look.colour}"${dash}/>`);
    if (dots) parts.push(`<path d="${dots}" class="lk-dots" stroke="${look.colour}" fill="${look.colour}"/>`);
  }
  if (last.size <= NAMED) {
    const placed = apart([...last.values()], 12, floor);
    [...last].forEach(([machine, level], index) => {
      const { colour, name } = frame.machines[machine];
      const y = px(placed[index]);
      // Names that had to make room for each other are tied to their lines.
      parts.push(
        `<path d="M${width - right + 2},${px(level)}L${width - right + 11},${y}h4" class="lk-tie" stroke="${colour}"/>`,
        `<text x="${width - right + 18}" y="${y + 4}" class="lk-name">${safe(name)}</text>`,
      );
    });
  }
  // What the dotted line is, and where it lies: at the line, below it where above there is no room.
  let above = -Infinity;
  for (const [level, value] of levels.size <= TOLD ? [...levels].sort(([one], [other]) => one - other) : []) {
    if (level - above < 11) continue; // there is no room between the two
    above = level;
    parts.push(
      `<text x="${left + 5}" y="${level < top + 10 ? level + 11 : level - 3}" class="lk-value lk-halo">theory: ${told(value, quantity)}</text>`,
    );
  }
  const kinds = Object.keys(DRAWN).filter((column) => lines.some((line) => line.column === column));
  const key = `<p class="lk-lines-key">Lines: ${kinds.map((column) => DRAWN[column]).join(", ")}.</p>`;
  const name = `Curves, ${quantity.heading}, against time from ${from.toFixed(0)} to ${to.toFixed(0)} s`;
  const drawn = `<svg role="img" aria-label="${safe(name)}" aria-describedby="${describedBy}" width="${width}" height="${height}" class="lk-curves">${parts.join("")}</svg>`;
  return `<div class="lk-lines">${drawn}${key}</div>`;
}
