// What keys and buttons say of the tiles that are chosen.

import * as dialogs from "./dialogs.js";
import { count } from "./dom.js";

export class Deciding {
  #review;
  #desk;
  #status;

  constructor(review, desk, status) {
    this.#review = review;
    this.#desk = desk;
    this.#status = status;
  }

  showsClass(label) {
    return this.#decide(this.#desk.chosen, label, () => ({ verdict: "accepted", label }));
  }

  accept() {
    const chosen = this.#desk.chosen;
    const missing = chosen.filter((i) => this.#review.acceptable(i) === null).length;
    if (missing) {
      const which = chosen.length === 1 ? "This tile has" : `${missing.toLocaleString("en")} of these tiles have`;
      this.#status.tell(`${which} no label to accept: say with a number key what is to be seen.`);
      return undefined;
    }
    const label = (i) => this.#review.acceptable(i);
    const text = new Set(chosen.map(label)).size === 1 ? label(chosen[0]) : "accepted";
    return this.#decide(chosen, text, (i) => ({ verdict: "accepted", label: label(i) }));
  }

  reject() {
    return this.#decide(this.#desk.chosen, "rejected", () => ({ verdict: "rejected", label: null }));
  }

  unsure() {
    return this.#decide(this.#desk.chosen, "unsure", () => ({ verdict: "unsure", label: null }));
  }

  undo() {
    const tiles = this.#review.undo();
    this.#status.tell(tiles.length ? `Taken back: ${this.#name(tiles)}.` : "There is nothing to take back.");
    if (tiles.length) this.#desk.comeBackTo(tiles[0]);
  }

  async note() {
    const chosen = this.#desk.chosen;
    if (!chosen.length) return;
    const note = await dialogs.askNote(this.#review.opinion(chosen[0]).note, `Note on ${this.#name(chosen)}`);
    if (note !== null) this.#review.decide(chosen, () => ({ note }));
  }

  async #decide(chosen, text, change) {
    if (!chosen.length) return;
    const isAboutContent = change(chosen[0]).verdict === "accepted";
    if (isAboutContent && !this.#areSeen(chosen) && !(await this.#isConfirmed(chosen))) return;
    const changed = this.#review.decide(chosen, change);
    this.#status.tell(`${this.#name(chosen)}: ${text}${changed ? ". Z takes it back." : ", as before."}`);
    this.#desk.moveOn();
  }

  /** Whether the tiles have been on the screen: nobody can say what one shows that they have not seen. */
  #areSeen(chosen) {
    return this.#desk.isMany ? this.#desk.many.unseen(chosen).length === 0 : this.#desk.single.isSeen;
  }

  #isConfirmed(chosen) {
    const { single, many, isMany } = this.#desk;
    if (isMany) {
      const unseen = many.unseen(chosen).length;
      return dialogs.confirm(`${count(unseen, "tile")} of ${chosen.length.toLocaleString("en")} \
${unseen === 1 ? "has" : "have"} not been on the screen. Decide all the same?`);
    }
    const wait = "Wait for the picture of the tile.";
    this.#status.tell(single.isDamaged ? "A tile that cannot be shown can only be rejected." : wait);
    return false;
  }

  #name(tiles) {
    return tiles.length === 1 ? this.#review.tiles.id[tiles[0]] : count(tiles.length, "tile");
  }
}
