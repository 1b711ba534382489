// What the bars showed before the last change of the settings: small steps in a row, as of a slider, are one change.

const SETTLED = 1500; // ms that settings have to stand

/** The numbers of a frame: of each quantity those of each machine, simulated where there are any. */
function numbersOf(frame) {
  return Object.fromEntries(
    frame.quantities.map((quantity) => {
      const column = ["simulated", "theory", "live"].find((one) => quantity[one]?.some((value) => value != null));
      const values = frame.machines.map(({ name }, index) => [name, quantity[column]?.[index] ?? null]);
      return [quantity.name, { column, values: Object.fromEntries(values) }];
    }),
  );
}

export class Before {
  #frame = null;
  #changed = 0;
  #numbers = null;

  /** Nothing was before. */
  forget() {
    this.#frame = null;
    this.#numbers = null;
  }

  /** Takes the next frame in; the same one may come again. */
  take(frame) {
    const last = this.#frame;
    this.#frame = frame;
    if (!last || last.asked === frame.asked) return;
    if (Date.now() - this.#changed > SETTLED || !this.#numbers) this.#numbers = numbersOf(last);
    this.#changed = Date.now();
  }

  /** A quantity's number of a machine, in that column; undefined where there was none. */
  of(quantity, machine, column) {
    const was = this.#numbers?.[quantity];
    return was?.column === column ? (was.values[machine] ?? undefined) : undefined;
  }
}
