// Where the axes of a panel's cards end. They stay while one plays: a longer bar is then a larger number.
import { unitOf } from "./drawing.js";

const ROUND = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];
const SMALL = 6; // what takes less than a sixth of its axis gets a new one
const BARS = 2; // an axis begins so many times as long as what it shows: what grows then has where to grow
const LINES = 1.25;
const COLUMNS = ["theory", "simulated", "live"];

function rounded(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return ROUND.map((step) => step * power).find((step) => step >= value * 0.9999);
}

const largest = (values, least = 0) => values.reduce((most, value) => (value > most ? value : most), least);

export class Axes {
  #ends = new Map();
  #rooms = new Map();

  /** All axes begin anew. */
  forget() {
    this.#ends.clear();
    this.#rooms.clear();
  }

  /** Where the axis of that name ends, if it has to reach that far; `round`: it is not known where it could end. */
  end(name, needed, spare, bytes, round) {
    const kept = this.#ends.get(name);
    if (kept >= needed && (kept <= SMALL * needed || !needed)) return kept;
    const per = bytes ? unitOf(needed * spare).per : 1;
    const end = !needed ? 1 : round ? rounded((needed * spare) / per) * per : needed;
    if (needed) this.#ends.set(name, end);
    return end;
  }

  /** How many px the numbers beside a card's bars have; they never get fewer, or all bars would become longer. */
  room(name, needed) {
    const room = Math.max(needed, this.#rooms.get(name) ?? 0);
    this.#rooms.set(name, room);
    return room;
  }

  /** Tells a card where its axes end, and in which unit its numbers are. */
  fit(quantity, data) {
    const top = quantity.top ?? Infinity; // what cannot be is cut off at the edge
    const round = quantity.top == null;
    const { name, bytes, whole, curves } = quantity;
    const bars = largest(COLUMNS.flatMap((column) => quantity[column] ?? []), whole);
    const lines = largest(curves.map(({ v, n }) => largest(data.subarray(v, v + n))), whole);
    quantity.end = quantity.answer ? 1 : this.end(name, Math.min(bars, top), BARS, bytes, round);
    quantity.lineEnd = this.end(`${name} over time`, Math.min(lines, top), LINES, bytes, round);
    quantity.said = bytes ? unitOf(curves.length ? Math.max(quantity.end, quantity.lineEnd) : quantity.end) : { per: 1, unit: "" };
  }
}
