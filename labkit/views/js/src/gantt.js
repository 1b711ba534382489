// The CPUs' time line: a lane for each CPU, a block for each stretch in which a machine ran on it.
import { marks, px, safe } from "./drawing.js";

const SHORTEST = 4; // ms: the closest that zooming goes

/** A window on the time line, in ms. */
export class Span {
  constructor(first) {
    this.first = first;
    this.from = 0;
    this.to = first;
  }

  /** Keeps the window inside the run; a shorter run pulls it in. */
  fit(total) {
    const size = Math.min(this.to - this.from, total);
    this.from = Math.max(0, Math.min(this.from, total - size));
    this.to = this.from + size;
  }

  zoom(factor, total) {
    const middle = (this.from + this.to) / 2;
    const size = Math.min(total, Math.max(SHORTEST, (this.to - this.from) * factor));
    this.from = middle - size / 2;
    this.to = middle + size / 2;
    this.fit(total);
  }

  move(part, total) {
    const size = this.to - this.from;
    this.from += size * part;
    this.to = this.from + size;
    this.fit(total);
  }

  reset(total) {
    this.from = 0;
    this.to = Math.min(this.first, total);
  }
}

/** The window in numbers: for each machine how many stretches it had, and how long they were. */
export function turns(frame, data, span) {
  const { at, n } = frame.gantt;
  const found = frame.machines.map(() => []);
  for (let index = 0; index < n; index += 1) {
    const [start, length] = [data[at + 4 * index], data[at + 4 * index + 1]];
    if (start + length > span.from && start < span.to) found[data[at + 4 * index + 3]].push(length);
  }
  const rows = found.map((lengths, machine) => {
    const mean = lengths.length ? (lengths.reduce((sum, one) => sum + one, 0) / lengths.length).toFixed(1) : "–";
    const longest = lengths.length ? Math.max(...lengths).toFixed(1) : "–";
    return `<tr><th scope="row">${safe(frame.machines[machine].name)}</th><td>${lengths.length}</td><td>${mean}</td><td>${longest}</td></tr>`;
  });
  return (
    "<table><caption>Stretches without a break, each of one turn or of several one after the other</caption>" +
    '<thead><tr><th scope="col">machine</th><th scope="col">stretches</th><th scope="col">mean (ms)</th><th scope="col">longest (ms)</th></tr></thead>' +
    `<tbody>${rows.join("")}</tbody></table>`
  );
}

export function gantt(frame, data, span, width, prefix) {
  const { cpus, at, n } = frame.gantt;
  const lane = cpus > 8 ? 14 : 26;
  const [left, right] = [50, 12];
  const height = cpus * (lane + 4) + 34;
  const scale = (width - left - right) / (span.to - span.from || 1);
  const x = (time) => left + (time - span.from) * scale;
  const paths = frame.machines.map(() => "");
  const labels = [];
  for (let index = 0; index < n; index += 1) {
    const start = data[at + 4 * index];
    const end = start + data[at + 4 * index + 1];
    if (end <= span.from || start >= span.to) continue;
    const [x0, x1] = [x(Math.max(start, span.from)), x(Math.min(end, span.to))];
    const y = data[at + 4 * index + 2] * (lane + 4) + 3;
    const machine = data[at + 4 * index + 3];
    paths[machine] += `M${px(x0)},${y}H${px(x1)}V${y + lane}H${px(x0)}Z`;
    const { name } = frame.machines[machine];
    if (x1 - x0 > 9 * name.length + 8 && lane > 20)
      labels.push(`<text x="${px((x0 + x1) / 2)}" y="${y + lane / 2 + 4}" text-anchor="middle" class="lk-block-name">${safe(name)}</text>`);
  }
  const parts = [];
  for (let cpu = 0; cpu < cpus; cpu += 1) {
    const y = cpu * (lane + 4) + 3;
    parts.push(
      `<rect x="${left}" y="${y}" width="${px(width - left - right)}" height="${lane}" class="lk-idle"/>`,
      `<text x="${left - 6}" y="${y + lane / 2 + 4}" text-anchor="end">CPU ${cpu}</text>`,
    );
  }
  paths.forEach((path, machine) => {
    if (path) parts.push(`<path d="${path}" class="lk-block" fill="url(#${prefix}-run-${machine})"/>`);
  });
  const floor = cpus * (lane + 4) + 3;
  const { found, places } = marks(span.from, span.to, Math.max(2, (width - left - right) / 70));
  for (const mark of found)
    parts.push(
      `<path d="M${px(x(mark))},${floor}v4" class="lk-axis"/>`,
      `<text x="${px(x(mark))}" y="${floor + 16}" text-anchor="middle">${mark.toFixed(places)}</text>`,
    );
  parts.push(`<text x="${px((left + width - right) / 2)}" y="${height - 2}" text-anchor="middle">time (ms)</text>`);
  const name = `Time line of ${cpus} ${cpus === 1 ? "CPU" : "CPUs"}, ${span.from.toFixed(0)} to ${span.to.toFixed(0)} ms of the simulated run: which machine ran when`;
  return `<svg role="img" aria-label="${safe(name)}" width="${width}" height="${height}" class="lk-gantt">${parts.join("")}${labels.join("")}</svg>`;
}
