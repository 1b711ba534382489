// The CPUs' time line: a lane for each CPU, a block for each stretch in which a machine ran on it. Below them a
// narrow lane for each machine that its cap has kept off the CPUs, crossed out for as long as it did.
import { marks, px, safe } from "./drawing.js";

const HELD = 16; // px: the height of a throttled machine's lane
const SHORTEST = 4; // ms: the closest that zooming goes

/** A window on the time line, in ms: at first where it begins, or around the moment that it is about. */
export class Span {
  constructor(first) {
    this.first = first;
    this.around = null;
  }

  /** Keeps the window inside what is known, and goes to where that is about another moment. */
  fit({ from, ms, moment }) {
    const around = moment ?? from;
    if (this.around !== around) {
      this.around = around;
      this.reset({ from, ms, moment });
      return;
    }
    const size = Math.min(this.to - this.from, ms - from);
    this.from = Math.max(from, Math.min(this.from, ms - size));
    this.to = this.from + size;
  }

  zoom(factor, line) {
    const middle = (this.from + this.to) / 2;
    const size = Math.min(line.ms - line.from, Math.max(SHORTEST, (this.to - this.from) * factor));
    this.from = middle - size / 2;
    this.to = middle + size / 2;
    this.fit(line);
  }

  move(part, line) {
    const size = this.to - this.from;
    this.from += size * part;
    this.to = this.from + size;
    this.fit(line);
  }

  reset(line) {
    this.from = line.moment == null ? line.from : line.moment - this.first / 2;
    this.to = this.from + this.first;
    this.fit(line);
  }
}

/** The machines that were throttled at any time of the run, by number; they have a lane each. */
export function held(frame, data) {
  const { at, n } = frame.gantt;
  const found = new Set();
  for (let index = 0; index < n; index += 1) if (data[at + 4 * index + 2] < 0) found.add(data[at + 4 * index + 3]);
  return [...found].sort((a, b) => a - b);
}

/** The window in numbers: for each machine how many stretches it had, and how long they were. */
export function turns(frame, data, span) {
  const { at, n } = frame.gantt;
  const found = frame.machines.map(() => []);
  const stopped = frame.machines.map(() => 0);
  const capped = held(frame, data).length > 0;
  for (let index = 0; index < n; index += 1) {
    const [start, length, cpu, machine] = data.subarray(at + 4 * index, at + 4 * index + 4);
    if (start + length <= span.from || start >= span.to) continue;
    if (cpu >= 0) found[machine].push(length);
    else stopped[machine] += Math.min(start + length, span.to) - Math.max(start, span.from);
  }
  const rows = found.map((lengths, machine) => {
    const mean = lengths.length ? (lengths.reduce((sum, one) => sum + one, 0) / lengths.length).toFixed(1) : "–";
    const longest = lengths.length ? Math.max(...lengths).toFixed(1) : "–";
    return `<tr><th scope="row">${safe(frame.machines[machine].name)}</th><td>${lengths.length}</td><td>${mean}</td><td>${longest}</td>${capped ? `<td>${stopped[machine].toFixed(1)}</td>` : ""}</tr>`;
  });
  return (
    "<table><caption>Stretches without a break, each of one turn or of several one after the other</caption>" +
    '<thead><tr><th scope="col">machine</th><th scope="col">stretches</th><th scope="col">mean (ms)</th><th scope="col">longest (ms)</th>' +
    `${capped ? '<th scope="col">throttled, in this window (ms)</th>' : ""}</tr></thead>` +
    `<tbody>${rows.join("")}</tbody></table>`
  );
}

export function gantt(frame, data, span, width, prefix) {
  const { cpus, at, n } = frame.gantt;
  const lane = cpus > 8 ? 14 : 26;
  const lanes = held(frame, data);
  const left = Math.max(50, ...lanes.map((machine) => 14 + 7 * frame.machines[machine].name.length));
  const right = 12;
  const floor = cpus * (lane + 4) + 3 + lanes.length * (HELD + 3);
  const height = floor + 31;
  const scale = (width - left - right) / (span.to - span.from || 1);
  const x = (time) => left + (time - span.from) * scale;
  const paths = frame.machines.map(() => "");
  const crossed = frame.machines.map(() => "");
  const laneOf = (machine) => cpus * (lane + 4) + 3 + lanes.indexOf(machine) * (HELD + 3);
  const labels = [];
  for (let index = 0; index < n; index += 1) {
    const start = data[at + 4 * index];
    const end = start + data[at + 4 * index + 1];
    if (end <= span.from || start >= span.to) continue;
    const [x0, x1] = [x(Math.max(start, span.from)), x(Math.min(end, span.to))];
    const machine = data[at + 4 * index + 3];
    if (data[at + 4 * index + 2] < 0) {
      crossed[machine] += `M${px(x0)},${laneOf(machine)}H${px(x1)}v${HELD}H${px(x0)}Z`;
      continue;
    }
    const y = data[at + 4 * index + 2] * (lane + 4) + 3;
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
  lanes.forEach((machine) => {
    const y = laneOf(machine);
    parts.push(
      `<path d="${crossed[machine]}" class="lk-held" data-machine="${safe(frame.machines[machine].name)}" fill="url(#${prefix}-throttled-${machine})" stroke="${frame.machines[machine].colour}"/>`,
      `<text x="${left - 6}" y="${y + HELD - 4}" text-anchor="end">${safe(frame.machines[machine].name)}</text>`,
    );
  });
  const { moment } = frame.gantt;
  if (moment != null && moment > span.from && moment < span.to)
    parts.push(`<path d="M${px(x(moment))},0V${floor}" class="lk-moment"/>`);
  const { found, places } = marks(span.from, span.to, Math.max(2, (width - left - right) / 70));
  for (const mark of found)
    parts.push(
      `<path d="M${px(x(mark))},${floor}v4" class="lk-axis"/>`,
      `<text x="${px(x(mark))}" y="${floor + 16}" text-anchor="middle">${mark.toFixed(places)}</text>`,
    );
  parts.push(`<text x="${px((left + width - right) / 2)}" y="${height - 2}" text-anchor="middle">time (ms)</text>`);
  const name = `Time line of ${cpus} ${cpus === 1 ? "CPU" : "CPUs"}, ${span.from.toFixed(0)} to ${span.to.toFixed(0)} ms of the simulated run: which machine ran when${lanes.length ? ", and below, when a cap kept one off the CPUs" : ""}`;
  return `<svg role="img" aria-label="${safe(name)}" width="${width}" height="${height}" class="lk-gantt">${parts.join("")}${labels.join("")}</svg>`;
}
