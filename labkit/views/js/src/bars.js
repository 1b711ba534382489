// Up to three bars a machine: theory hollow, simulated hatched, live solid. A tick: where one was before.
import { grouped, marks, px, safe, told } from "./drawing.js";

const COLUMNS = ["theory", "simulated", "live"];
const LETTER = 6.1; // px, of the numbers beside the bars
const FEW = 8; // up to so many rows what was before is told in words too

export function bars(frame, quantity, width, prefix, describedBy, axes, before) {
  const shown = COLUMNS.filter((column) => quantity[column]?.some((value) => value != null));
  // Not every machine has every quantity: a greedy one answers no requests.
  const rows = frame.machines
    .map((machine, index) => ({ machine, index }))
    .filter(({ index }) => shown.some((column) => quantity[column][index] != null));
  const many = rows.length > FEW;
  const thick = many ? 12 : 13; // the numbers beside the bars are 10 px high
  const left = Math.min(96, 14 + 7.8 * Math.max(2, ...rows.map(({ machine }) => machine.name.length)));
  const letters = shown.flatMap((column) => quantity[column].map((v) => told(v ?? 0, quantity).length));
  const short = (many ? 34 : 42) + (quantity.unit === "CPU" || quantity.unit === "1" ? 0 : 12);
  const right = axes.room(quantity.name, Math.max(short, LETTER * Math.max(...letters) + 8));
  const step = thick * shown.length + (many ? 5 : 9);
  const height = step * rows.length + 22;
  const most = quantity.end;
  const scale = (width - left - right) / (most || 1);
  const { per, unit } = quantity.said;
  const { found, places } = quantity.answer
    ? { found: [0, 1], places: 0 }
    : marks(0, most / per, Math.max(2, (width - left) / (most < 1e5 ? 80 : 110)), quantity.counted);
  const named = quantity.answer ? (at) => (at ? "1 (yes)" : "0 (no)") : (at) => `${grouped(at, places)}${per > 1 && at ? ` ${unit}` : ""}`;
  const floor = height - 18;
  const parts = found.map(
    (at) =>
      `<path d="M${px(left + at * per * scale)},0V${floor}" class="lk-grid"/>` +
      `<text x="${px(left + at * per * scale)}" y="${height - 4}" text-anchor="middle">${named(at)}</text>`,
  );
  const earlier = [];
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
      const end = left + Math.min(value, most) * scale;
      parts.push(
        `<rect class="lk-bar lk-${column}" data-machine="${safe(machine.name)}" data-column="${column}" data-value="${value}"` +
          ` x="${left}" y="${px(y + 0.5)}" width="${px(Math.max(0.5, end - left))}" height="${thick - 2}" fill="${fill}"${stroke}/>`,
      );
      const now = told(value, quantity);
      const was = before.of(quantity.name, machine.name, column);
      const then = was === undefined ? now : told(was, quantity);
      let beside = end;
      if (then !== now) {
        const beyond = was > most;
        const at = left + Math.min(was, most) * scale;
        parts.push(`<path class="lk-was" data-machine="${safe(machine.name)}" data-value="${was}" d="M${px(at)},${px(y - 0.5)}v${thick}${beyond ? `m0,${-thick / 2}h7l-3,-3m3,3l-3,3` : ""}"/>`);
        beside = Math.max(end, at + (beyond ? 8 : 1));
        earlier.push(`${machine.name} ${then}`);
        if (!many) {
          const room = width - beside - 5;
          const both = LETTER * (now.length + then.length + 6);
          parts.push(
            both <= room
              ? `<text x="${px(beside + 5 + LETTER * (now.length + 1))}" y="${px(y + thick - 3)}" class="lk-value lk-was-said">was ${then}</text>`
              : `<text x="${px(Math.max(end, at) - 5)}" y="${px(y + thick - 3)}" text-anchor="end" class="lk-value lk-halo lk-was-said">was ${then}</text>`,
          );
        }
      }
      parts.push(`<text x="${px(beside + 5)}" y="${px(y + thick - 3)}" class="lk-value">${now}</text>`);
    });
  });
  parts.push(`<path d="M${left},0V${floor}H${width - right}" class="lk-axis"/>`);
  const past = earlier.length && !many ? `. Before the last change: ${earlier.join(", ")}` : "";
  const name = `Bars, ${quantity.heading}: ${shown.join(", ")} for each ${frame.rows ?? "machine"}${past}`;
  return `<svg role="img" aria-label="${safe(name)}" aria-describedby="${describedBy}" width="${width}" height="${height}" class="lk-bars">${parts.join("")}</svg>`;
}
