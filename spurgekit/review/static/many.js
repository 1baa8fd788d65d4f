// Many tiles at once: a grid of which only what is on the screen exists, a tile with the focus, and a selection.

import { byId, count, make } from "./dom.js";
import { colour, inWords, SIGNS, withSign } from "./words.js";

const SIZES = { S: 96, M: 144, L: 224 };
const CAPTION_PX = 22;
const GAP_PX = 6;
const SMALL_PX = 128; // of the two sizes of pictures that are asked for
const SPARE_ROWS = 2;

export class Many {
  #review;
  #address;
  #open;
  #changed;
  #box = byId("cells");
  #room = byId("cells-room");
  #cells = new Map(); // what exists, by place in the list
  #list = [];
  #columns = 1;
  #side = SIZES.M;
  #size = "M";
  #selected = new Set(); // numbers of tiles
  #anchor = 0;
  #seen = new Set(); // numbers of tiles whose picture has been on the screen

  focus = 0;

  /** `open(place)` is called to show one tile; `changed()` when focus or selection have changed. */
  constructor(review, address, open, changed) {
    this.#review = review;
    this.#address = address;
    this.#open = open;
    this.#changed = changed;
    this.#box.addEventListener("scroll", () => this.#render(), { passive: true });
    this.#box.addEventListener("mousedown", (event) => this.#press(event));
    this.#box.addEventListener("dblclick", ({ target }) => {
      const cell = target.closest("[data-place]");
      if (cell) this.#open(Number(cell.dataset.place));
    });
    new ResizeObserver(() => this.#layOut()).observe(this.#box);
    byId("cell-sizes").append(...Object.keys(SIZES).map((size) => this.#sizeButton(size)));
  }

  /** Show a list, with the focus on one of its places. */
  show(list, place) {
    if (list !== this.#list) this.#selected.clear();
    this.#list = list;
    this.focus = this.#anchor = place;
    this.#forget();
    this.#layOut();
    this.#scrollToFocus();
  }

  /** Ask again for pictures that did not come. */
  reload() {
    this.#forget();
    this.#render();
  }

  /** Show what has been said of the tiles. */
  refresh() {
    for (const [place, cell] of this.#cells) this.#mark(cell, place);
    const selection = this.#selected.size ? `${count(this.#selected.size, "tile")} selected` : "";
    byId("selection-text").textContent = selection || `Tile ${this.#review.tiles.id[this.#list[this.focus]] ?? ""}`;
    this.#box.setAttribute("aria-activedescendant", `cell-${this.focus}`);
  }

  /** The tiles that a key is about: the selection, or the one with the focus. */
  get chosen() {
    const chosen = this.#list.filter((i) => this.#selected.has(i));
    return chosen.length ? chosen : this.#list.slice(this.focus, this.focus + 1);
  }

  get hasSelection() {
    return this.#selected.size > 0;
  }

  unseen = (tiles) => tiles.filter((i) => !this.#seen.has(i));

  clearSelection() {
    this.#selected.clear();
    this.#anchor = this.focus;
    this.#tell();
  }

  selectAll() {
    this.#selected = new Set(this.#list);
    this.#tell();
  }

  toggleFocused() {
    this.#toggle(this.focus);
  }

  /** Move the focus: "left", "right", "up", "down", "pageup", "pagedown", "home" or "end"; select on the way if asked. */
  move(where, isSelecting) {
    const page = Math.max(1, Math.floor(this.#box.clientHeight / this.#rowPx)) * this.#columns;
    const steps = { left: -1, right: 1, up: -this.#columns, down: this.#columns, pageup: -page, pagedown: page };
    const ends = { home: 0, end: this.#list.length - 1 };
    const wanted = ends[where] ?? this.focus + steps[where];
    this.moveTo(Math.min(this.#list.length - 1, Math.max(0, wanted)), isSelecting);
  }

  moveTo(place, isSelecting = false) {
    this.focus = place;
    if (isSelecting) this.#selectFromAnchor();
    else this.#anchor = place;
    this.#scrollToFocus();
    this.#tell();
  }

  changeSize(size) {
    if (!(size in SIZES)) return;
    this.#size = size;
    for (const button of byId("cell-sizes").children) {
      button.setAttribute("aria-pressed", String(button.textContent === size));
    }
    this.#forget();
    this.#layOut();
    this.#scrollToFocus();
  }

  get size() {
    return this.#size;
  }

  // -- selection --

  #press(event) {
    const cell = event.target.closest("[data-place]");
    if (!cell || event.button !== 0) return;
    const place = Number(cell.dataset.place);
    if (event.shiftKey) {
      event.preventDefault(); // or the browser would select text
      this.moveTo(place, true);
    } else if (event.ctrlKey || event.metaKey) {
      this.focus = place;
      this.#toggle(place);
    } else {
      this.#selected.clear();
      this.moveTo(place);
    }
  }

  #toggle(place) {
    const i = this.#list[place];
    if (!this.#selected.delete(i)) this.#selected.add(i);
    this.#anchor = place;
    this.#tell();
  }

  #selectFromAnchor() {
    const [from, to] = [Math.min(this.#anchor, this.focus), Math.max(this.#anchor, this.focus)];
    this.#selected = new Set(this.#list.slice(from, to + 1));
  }

  #tell() {
    this.refresh();
    this.#changed();
  }

  // -- what is on the screen --

  get #rowPx() {
    return this.#side + CAPTION_PX + GAP_PX;
  }

  #layOut() {
    if (!this.#box.clientWidth) return; // not shown
    const width = this.#box.clientWidth - GAP_PX;
    const columns = Math.max(1, Math.round(width / (SIZES[this.#size] + GAP_PX)));
    const side = Math.floor(width / columns) - GAP_PX;
    const isOther = columns !== this.#columns || side !== this.#side;
    if (isOther) this.#forget();
    [this.#columns, this.#side] = [columns, side];
    this.#room.style.height = `${Math.ceil(this.#list.length / columns) * this.#rowPx + GAP_PX}px`;
    this.#box.style.setProperty("--side", `${side}px`);
    if (isOther) this.#scrollToFocus();
    else this.#render();
  }

  #render() {
    if (!this.#box.clientWidth) return;
    const first = Math.max(0, Math.floor(this.#box.scrollTop / this.#rowPx) - SPARE_ROWS) * this.#columns;
    const rows = Math.ceil(this.#box.clientHeight / this.#rowPx) + 2 * SPARE_ROWS;
    const stop = Math.min(this.#list.length, first + rows * this.#columns);
    for (const [place, cell] of this.#cells) if (place < first || place >= stop) this.#drop(place, cell);
    const made = [];
    for (let place = first; place < stop; place++) if (!this.#cells.has(place)) made.push(this.#makeCell(place));
    this.#room.append(...made);
    for (const [place, { firstChild: image }] of this.#cells) {
      if (image.complete && image.naturalWidth && this.#isOnScreen(place)) this.#seen.add(this.#list[place]);
    }
    this.refresh();
  }

  #isOnScreen(place) {
    const middle = (Math.floor(place / this.#columns) + 0.5) * this.#rowPx;
    return middle > this.#box.scrollTop && middle < this.#box.scrollTop + this.#box.clientHeight;
  }

  #makeCell(place) {
    const i = this.#list[place];
    const id = this.#review.tiles.id[i];
    const px = (this.#side * devicePixelRatio > 1.3 * SMALL_PX ? 2 : 1) * SMALL_PX;
    const image = make("img", { src: this.#address(id, px), alt: "", draggable: false });
    image.addEventListener("load", () => this.#isOnScreen(place) && this.#seen.add(i));
    image.addEventListener("error", () => cell.classList.add("damaged"));
    const cell = make(
      "div",
      { id: `cell-${place}`, className: "cell", role: "option", data: { place, tile: id }, title: id },
      image,
      make("span", { className: "mark" }),
      make("span", { className: "caption" }),
    );
    const [row, column] = [Math.floor(place / this.#columns), place % this.#columns];
    cell.style.transform = `translate(${GAP_PX + column * (this.#side + GAP_PX)}px, ${GAP_PX + row * this.#rowPx}px)`;
    this.#cells.set(place, cell);
    return cell;
  }

  #mark(cell, place) {
    const i = this.#list[place];
    const said = this.#review.opinion(i);
    const label = this.#review.tiles.label[i];
    const isSelected = this.#selected.has(i);
    cell.dataset.verdict = said.verdict ?? "";
    cell.dataset.colour = colour(this.#review, said);
    cell.setAttribute("aria-selected", String(isSelected));
    cell.classList.toggle("focused", place === this.focus);
    cell.children[1].textContent = (SIGNS[said.verdict] ?? "") + (said.note ? " ✎" : "");
    cell.children[2].textContent = said.verdict ? inWords(said) : (label ?? "");
    cell.ariaLabel = `${this.#review.tiles.id[i]}: ${withSign(said) || `not reviewed, label ${label ?? "none"}`}`;
  }

  #drop(place, cell) {
    cell.firstChild.removeAttribute("src"); // or the browser would go on loading what is out of sight
    cell.remove();
    this.#cells.delete(place);
  }

  #forget() {
    for (const [place, cell] of this.#cells) this.#drop(place, cell);
  }

  #scrollToFocus() {
    const top = Math.floor(this.focus / this.#columns) * this.#rowPx;
    const { scrollTop, clientHeight } = this.#box;
    if (top < scrollTop) this.#box.scrollTop = top;
    else if (top + this.#rowPx + GAP_PX > scrollTop + clientHeight) {
      this.#box.scrollTop = top + this.#rowPx + GAP_PX - clientHeight;
    }
    this.#render();
  }

  #sizeButton(size) {
    const button = make("button", { type: "button", textContent: size, title: `Tiles of ${SIZES[size]} px` });
    button.setAttribute("aria-pressed", String(size === this.#size));
    button.addEventListener("click", () => this.changeSize(size));
    return button;
  }
}
