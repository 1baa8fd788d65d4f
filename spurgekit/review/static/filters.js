// The bar of filters: what can be chosen, and what is.

import { byId, count, make } from "./dom.js";
import { EVERYTHING, matches, ORDERS, SHOWN, UNLABELLED } from "./filter.js";

export class FilterBar {
  #review;
  #form = byId("filters");
  #byKey = false;

  criteria = EVERYTHING;

  /** `changed()` is called when something else was chosen, `left()` when the reviewer goes back to the tiles. */
  constructor(review, changed, left) {
    this.#review = review;
    this.#fill();
    this.#form.addEventListener("change", ({ target }) => {
      this.criteria = Object.freeze(Object.fromEntries(new FormData(this.#form)));
      changed();
      // Who chose with the mouse goes on with keys; who is choosing with keys may want to go on choosing.
      if (!this.#byKey) target.blur();
    });
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    this.#form.addEventListener("pointerdown", () => (this.#byKey = false));
    this.#form.addEventListener("keydown", (event) => {
      this.#byKey = true;
      if (event.key !== "Escape" && event.key !== "Enter") return;
      event.preventDefault();
      document.activeElement.blur();
      left();
    });
    byId("renew").addEventListener("click", changed);
    byId("clear-filters").addEventListener("click", () => {
      this.choose(EVERYTHING);
      changed();
    });
  }

  focus() {
    this.#byKey = true;
    this.#form.elements.show.focus();
  }

  choose(criteria) {
    this.criteria = Object.freeze({ ...EVERYTHING, ...criteria });
    for (const [name, value] of Object.entries(this.criteria)) this.#form.elements[name].value = value;
    // What does not exist in this folder cannot be chosen.
    for (const select of this.#form.querySelectorAll("select")) if (select.selectedIndex < 0) select.selectedIndex = 0;
    this.criteria = Object.freeze(Object.fromEntries(new FormData(this.#form)));
  }

  /** Say how many tiles there are, and how many of them no longer match, which stay until the list is made anew. */
  refresh(tiles) {
    const gone = tiles.filter((i) => !matches(this.#review, i, this.criteria)).length;
    byId("list-text").textContent = count(tiles.length, "tile");
    byId("renew").hidden = gone === 0;
    byId("renew").textContent = `${gone.toLocaleString("en")} no longer match${gone === 1 ? "es" : ""}: renew the list`;
    byId("clear-filters").hidden = Object.keys(EVERYTHING).every((name) => this.criteria[name] === EVERYTHING[name]);
  }

  #fill() {
    const { folder, tiles } = this.#review;
    const { show, label, site, group, order } = this.#form.elements;
    const labels = [...new Set(tiles.label.filter((name) => name !== null))].sort(byClass(folder.classes));
    fill(show, Object.entries(SHOWN).map(([name, [text]]) => [name, text]));
    const unlabelled = tiles.label.includes(null) ? [[UNLABELLED, "none"]] : [];
    fill(label, [["", "any"], ...labels.map((name) => [name, name]), ...unlabelled]);
    fill(site, [["", "any"], ...folder.sites.map(({ name }) => [name, name])]);
    fill(group, [["", "any"], ...[...new Set(tiles.group)].filter(Boolean).sort(byNumber).map((name) => [name, name])]);
    fill(order, Object.entries(ORDERS));
    byId("group-name").textContent = folder.group.replace(/^./, (first) => first.toUpperCase());
    label.parentElement.hidden = labels.length === 0;
    site.parentElement.hidden = folder.sites.length < 2;
    group.parentElement.hidden = folder.group === "";
    order.querySelector("[value=confidence]").disabled = tiles.confidence.every((value) => value === null);
  }
}

const byNumber = (one, other) => one.localeCompare(other, "en", { numeric: true });
const byClass = (classes) => (one, other) => classes.indexOf(one) - classes.indexOf(other) || byNumber(one, other);

function fill(select, entries) {
  select.replaceChildren(...entries.map(([value, textContent]) => make("option", { value, textContent })));
}
