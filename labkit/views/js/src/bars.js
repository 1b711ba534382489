// Up to three bars a machine: theory hollow, simulated hatched, live solid.
import { grouped, marks, px, safe } from "./drawing.js";

const COLUMNS = ["theory", "simulated", "live"];
const MEBI = 1 << 20;

export function bars(frame, quantity, width, prefix, describedBy) {
  const shown = COLUMNS.filter((column) => quantity[column]?.some((value) => value != null));
  // Not every machine has every quantity: a greedy one answers no requests.
  const rows = frame.machines
    .map((machine, index) => ({ machine, index }))
    .filter(({ index }) => shown.some((column) => quantity[column][index] != null));
  const many = rows.length > 8;
  const thick = many ? 10 : 11; // the numbers beside the bars are 10 px high
  const left = Math.min(96, 14 + 7.8 * Math.max(2, ...rows.map(({ machine }) => machine.name.length)));
  const digits = shown.flatMap((column) => quantity[column].map((v) => grouped(v ?? 0, quantity.places).length));
  const short = (many ? 34 : 42) + (quantity.unit === "CPU" || quantity.unit === "1" ? 0 : 12);
  const right = Math.max(short, 6.4 * Math.max(...digits) + 8);
  const step = thick * shown.length + (many ? 5 : 9);
  const height = step * rows.length + 22;
  const longest = Math.max(quantity.whole, ...shown.flatMap((column) => quantity[column].map((v) => v ?? 0)));
  const most = Math.min(longest, quantity.top ?? Infinity);
  const scale = (width - left - right) / (most || 1);
  // Of many bytes the axis is in MiB; what is a yes or a no has no more than these two.
  const mebi = quantity.bytes && most >= 1e5 ? MEBI : 1;
  const { found, places } = quantity.answer
    ? { found: [0, 1], places: 0 }
    : marks(0, most / mebi, Math.max(2, (width - left) / (longest < 1e5 ? 80 : 110)));
  const unit = quantity.answer ? (at) => (at ? "1 (yes)" : "0 (no)") : (at) => `${grouped(at, places)}${mebi > 1 && at ? " MiB" : ""}`;
  const floor = height - 18;
  const parts = found.map(
    (at) =>
      `<path d="M${px(left + at * mebi * scale)},0V${floor}" class="lk-grid"/>` +
      `<text x="${px(left + at * mebi * scale)}" y="${height - 4}" text-anchor="middle">${unit(at)}</text>`,
  );
  rows.forEach(({ machine, index }, row) => {
    const top = row * step + 4;
    parts.push(
      `<text x="${left - 7}" y="${px(top + (thick * shown.length) / 2 + 4)}" text-anchor="end" class="lk-name">${safe(machine.name)}</text>`,
    );
    shown.forEach((column, place) => {
      const value = quantity[column][index];
      if (value == null) return;
      const y = top + place * thick;
      const fill =
        column === "theory" ? "none" : column === "live" ? machine.colour : `url(#${prefix}-simulated-${index})`;
      const stroke = column === "simulated" ? ` style="stroke:${machine.colour}"` : "";
      parts.push(
        `<rect class="lk-bar lk-${column}" data-machine="${safe(machine.name)}" data-column="${column}" data-value="${value}"` +
          ` x="${left}" y="${px(y + 0.5)}" width="${px(Math.max(0.5, Math.min(value, most) * scale))}" height="${thick - 2}" fill="${fill}"${stroke}/>`,
        `<text x="${px(left + Math.min(value, most) * scale + 5)}" y="${px(y + thick - 2)}" class="lk-value">${quantity.answer ? (value ? "yes" : "no") : grouped(value, quantity.places)}</text>`,
      );
    });
  });
  parts.push(`<path d="M${left},0V${floor}H${width - right}" class="lk-axis"/>`);
  const name = `Bars, ${quantity.heading}: ${shown.join(", ")} for each ${frame.rows ?? "machine"}`;
  return `<svg role="img" aria-label="${safe(name)}" aria-describedby="${describedBy}" width="${width}" height="${height}" class="lk-bars">${parts.join("")}</svg>`;
}
