// Small things that every chart needs: safe text, round scales, and the machines' patterns.

const UNSAFE = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** Text that is safe between tags and in attributes. */
export const safe = (text) => String(text).replace(/[&<>"']/g, (sign) => UNSAFE[sign]);

/** A coordinate, short: SVG needs no more than a tenth of a pixel. */
export const px = (value) => Math.round(value * 10) / 10;

/** A number as it is read: a long one in groups of three digits. */
export const grouped = (value, places) =>
  Math.abs(value) < 1e4
    ? value.toFixed(places)
    : value.toLocaleString("en-GB", { minimumFractionDigits: places, maximumFractionDigits: places });

const MEBI = 1 << 20;

/** In which unit numbers of bytes are told, by the largest of them, and how many bytes that is. */
export function unitOf(bytes) {
  if (bytes >= 1e5) return { per: MEBI, unit: "MiB" };
  return bytes >= 1024 ? { per: 1024, unit: "KiB" } : { per: 1, unit: "B" };
}

/** A number beside a bar or a line: bytes in the card's unit, and a whole number of those as such. */
export function told(value, quantity) {
  if (quantity.answer) return value ? "yes" : "no";
  if (!quantity.bytes) return grouped(value, quantity.places);
  const { per, unit } = quantity.said;
  const many = value / per;
  if (Number.isInteger(many)) return `${grouped(many, 0)} ${unit}`;
  if (Math.abs(many) < 0.01) return `${many.toPrecision(2)} ${unit}`;
  // Halves to the even side, as Python rounds in the figures: 2.125 MiB, two clusters of 64 KiB more, are 2.12.
  const hundredths = many * 100;
  const whole = Math.abs(hundredths % 1) === 0.5 ? 2 * Math.round(hundredths / 2) : Math.round(hundredths);
  return `${grouped(whole / 100, 2)} ${unit}`;
}

/** Round marks from 0 or `from` up to `to`, about `count` of them; of what is counted they are whole numbers. */
export function marks(from, to, count, counted = false) {
  const rough = Math.max((to - from) / Math.max(1, count), counted ? 1 : 0);
  const power = 10 ** Math.floor(Math.log10(rough || 1));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999) ?? 10 * power;
  const found = [];
  for (let at = Math.ceil(from / step - 1e-9) * step; at <= to + step * 1e-6; at += step) found.push(at);
  return { found, places: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

const STROKES = {
  solid: "",
  diagonal: "M-2,2l4,-4M0,8l8,-8M6,10l4,-4",
  back: "M-2,6l4,4M0,0l8,8M6,-2l4,4",
  cross: "M0,8l8,-8M0,0l8,8",
  horizontal: "M0,4h8",
  vertical: "M4,0v8",
  plus: "M0,4h8M4,0v8",
  dots: "",
};

/** The patterns: `prefix-run-N` for a block of machine N's, `-simulated-N` for a hatched bar, `-throttled-N`. */
export function patterns(machines, prefix) {
  const tile = (id, inside) =>
    `<pattern id="${prefix}-${id}" width="8" height="8" patternUnits="userSpaceOnUse">${inside}</pattern>`;
  const all = machines.map(({ colour, pattern }, index) => {
    const over =
      pattern === "dots"
        ? '<circle cx="2" cy="2" r="1.3" class="lk-over-fill"/><circle cx="6" cy="6" r="1.3" class="lk-over-fill"/>'
        : `<path d="${STROKES[pattern] ?? ""}" class="lk-over"/>`;
    return (
      tile(`run-${index}`, `<rect width="8" height="8" fill="${colour}"/>${over}`) +
      tile(
        `simulated-${index}`,
        `<rect width="8" height="8" fill="${colour}" opacity="0.18"/>` +
          `<path d="${STROKES.diagonal}" stroke="${colour}" stroke-width="1.8" fill="none"/>`,
      ) +
      tile(
        `throttled-${index}`,
        `<rect width="8" height="8" fill="${colour}" opacity="0.12"/>` +
          `<path d="${STROKES.cross}" stroke="${colour}" stroke-width="1.2" fill="none"/>`,
      )
    );
  });
  return `<svg width="0" height="0" aria-hidden="true" class="lk-defs"><defs>${all.join("")}</defs></svg>`;
}

const SHAPES = {
  circle: (x, y, r) => `M${px(x - r)},${px(y)}a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0`,
  square: (x, y, r) => `M${px(x - r)},${px(y - r)}h${2 * r}v${2 * r}h${-2 * r}z`,
  triangle: (x, y, r) => `M${px(x)},${px(y - r)}l${r},${2 * r}h${-2 * r}z`,
  down: (x, y, r) => `M${px(x)},${px(y + r)}l${r},${-2 * r}h${-2 * r}z`,
  diamond: (x, y, r) => `M${px(x)},${px(y - r)}l${r},${r}l${-r},${r}l${-r},${-r}z`,
  cross: (x, y, r) => `M${px(x - r)},${px(y - r)}l${2 * r},${2 * r}m0,${-2 * r}l${-2 * r},${2 * r}`,
  plus: (x, y, r) => `M${px(x - r)},${px(y)}h${2 * r}m${-r},${-r}v${2 * r}`,
  star: (x, y, r) => `M${px(x - r)},${px(y)}h${2 * r}m${-r},${-r}v${2 * r}M${px(x - r)},${px(y - r)}l${2 * r},${2 * r}m0,${-2 * r}l${-2 * r},${2 * r}`,
};

/** The path of a marker of a machine's shape around a point. */
export const marker = (shape, x, y, r = 2.6) => (SHAPES[shape] ?? SHAPES.circle)(x, y, r);

/** Moves heights apart until each has room; keeps their order. */
export function apart(heights, room, lowest) {
  const order = heights.map((_, index) => index).sort((a, b) => heights[a] - heights[b]);
  const placed = [...heights];
  order.forEach((index, rank) => {
    if (rank) placed[index] = Math.max(placed[index], placed[order[rank - 1]] + room);
  });
  let limit = lowest;
  for (const index of [...order].reverse()) {
    placed[index] = Math.min(placed[index], limit);
    limit = placed[index] - room;
  }
  return placed;
}
