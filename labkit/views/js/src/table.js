// The text twin of a card: the same numbers, in a table that a screen reader walks through.
import { grouped, safe } from "./drawing.js";

const HEAD = ["theory", "simulated", "live", "live − simulated"];

export function table(frame, quantity, id, prefix) {
  const { places } = quantity;
  const shown = frame.never_live ? 2 : HEAD.length; // what nothing can stand in is left out
  const cells = (...all) => all.slice(0, shown).map((one) => `<td>${one}</td>`).join("");
  const cell = (value) => (value == null ? "–" : grouped(value, places));
  const rows = frame.machines.map((machine, index) => {
    const [theory, simulated, live] = ["theory", "simulated", "live"].map((column) => quantity[column]?.[index]);
    if (theory == null && simulated == null && live == null) return ""; // it has no such quantity
    const error = live == null || simulated == null ? null : live - simulated;
    const signed = error == null ? "–" : `${error < -0.5 * 10 ** -places ? "−" : "+"}${grouped(Math.abs(error), places)}`;
    return `<tr><th scope="row"><svg class="lk-swatch" width="13" height="10" aria-hidden="true"><rect width="13" height="10" fill="url(#${prefix}-run-${index})"/></svg>${safe(machine.name)}</th>${cells(cell(theory), cell(simulated), cell(live), signed)}</tr>`;
  });
  if (quantity.together) {
    const sum = (column) => {
      const values = quantity[column] ?? [];
      return values.length && values.every((value) => value != null) ? values.reduce((total, value) => total + value, 0) : null;
    };
    const [theory, simulated, live] = ["theory", "simulated", "live"].map(sum);
    const error = live == null || simulated == null ? "–" : `${live - simulated < 0 ? "−" : "+"}${grouped(Math.abs(live - simulated), places)}`;
    rows.push(`<tr class="lk-together"><th scope="row">together</th>${cells(cell(theory), cell(simulated), cell(live), error)}</tr>`);
  }
  const heads = HEAD.slice(0, shown).map((word) => `<th scope="col">${word}</th>`);
  return `<div class="lk-scroll" role="group" aria-label="Table: ${safe(quantity.heading)}"><table id="${id}"><caption class="lk-unseen">${safe(quantity.heading)}</caption><thead><tr><th scope="col">${safe(frame.rows ?? "machine")}</th>${heads.join("")}</tr></thead><tbody>${rows.join("")}</tbody></table></div>`;
}
