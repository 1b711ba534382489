// One quantity against time: theory as thin dotted reference lines, simulated dashed, live solid with markers.
import { apart, grouped, marker, marks, px, safe } from "./drawing.js";

const NAMED = 24; // up to so many lines each has its name beside it

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
  let most = quantity.whole;
  for (const { values } of lines) for (const value of values) if (value > most) most = value;
  most = Math.min(most || 1, quantity.top ?? Infinity); // what cannot be is cut off at the edge
  const up = marks(0, most, 4);
  const left = Math.max(38, 10 + 6.2 * Math.max(...up.found.map((at) => grouped(at, up.places).length)));
  const x = (time) => left + ((time - from) / (to - from || 1)) * (width - left - right);
  const y = (value) => floor - (Math.min(value, most) / (most * 1.04)) * (floor - top);

  const along = marks(from, to, Math.max(2, (width - left - right) / 70));
  const parts = up.found.map(
    (at) =>
      `<path d="M${left},${px(y(at))}H${width - right}" class="lk-grid"/>` +
      `<text x="${left - 5}" y="${px(y(at) + 4)}" text-anchor="end">${grouped(at, up.places)}</text>`,
  );
  for (const at of along.found)
    parts.push(`<text x="${px(x(at))}" y="${floor + 15}" text-anchor="middle">${at.toFixed(along.places)}</text>`);
  parts.push(`<text x="${px((left + width - right) / 2)}" y="${height - 3}" text-anchor="middle">time (s)</text>`);
  parts.push(`<path d="M${left},${top}V${floor}H${width - right}" class="lk-axis"/>`);

  const last = new Map();
  for (const { column, machine, times, values } of lines) {
    const look = frame.machines[machine];
    let path = "";
    let dots = "";
    let previous = null;
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
  const name = `Curves, ${quantity.heading}, against time from ${from.toFixed(0)} to ${to.toFixed(0)} s`;
  return `<svg role="img" aria-label="${safe(name)}" aria-describedby="${describedBy}" width="${width}" height="${height}" class="lk-curves">${parts.join("")}</svg>`;
}
