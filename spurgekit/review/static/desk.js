// The desk: which tiles are looked at, one or many of them, and which of them is in front.

import { Around, SiteMap } from "./around.js";
import { byId, count, say } from "./dom.js";
import { list } from "./filter.js";
import { FilterBar } from "./filters.js";
import { Many } from "./many.js";
import { Pictures } from "./pictures.js";
import { Single } from "./single.js";

const SIZES = ["S", "M", "L"];

export class Desk {
  #review;
  #memory;
  #status;
  #around;
  #map;

  tiles = []; // numbers of tiles, in the order in which they are looked at
  place = 0; // of the one in front
  isMany = false;

  constructor(review, memory, status, addresses) {
    this.#review = review;
    this.#memory = memory;
    this.#status = status;
    const pictures = new Pictures((i) => addresses.picture(review.tiles.id[i]));
    this.single = new Single(review, pictures, addresses.thumbnail, (place) => this.go(place));
    this.many = new Many(review, addresses.thumbnail, (place) => this.openOne(place), () => this.#refreshKeys());
    this.filters = new FilterBar(review, () => this.renew(), () => this.show());
    this.#around = new Around(addresses.surroundings);
    this.#map = new SiteMap(review, addresses.map, (i) => this.#goTo(i));
  }

  start() {
    this.many.changeSize(this.#memory.get("size", "M"));
    this.isMany = this.#memory.get("many", false);
    this.filters.choose(this.#memory.get("criteria", {}));
    this.renew(this.#memory.get("tile", null));
    this.#review.addEventListener("change", () => this.refresh());
  }

  /** Make the list of tiles anew, and stay at a tile if it is still there; else begin at the first that is not reviewed. */
  renew(id = this.#review.tiles.id[this.tiles[this.isMany ? this.many.focus : this.place]]) {
    this.#memory.set("criteria", this.filters.criteria);
    this.tiles = list(this.#review, this.filters.criteria);
    const stayed = this.tiles.indexOf(this.#review.number.get(id));
    this.place = stayed >= 0 ? stayed : Math.max(0, this.tiles.findIndex((i) => this.isOpen(i)));
    this.show();
  }

  isOpen = (i) => !this.#review.opinion(i).verdict;

  /** The tiles that a key is about. */
  get chosen() {
    if (!this.tiles.length) return [];
    return this.isMany ? this.many.chosen : [this.tiles[this.place]];
  }

  show() {
    const isEmpty = this.tiles.length === 0;
    byId("empty").hidden = !isEmpty;
    say(byId("empty-text"), isEmpty ? "No tile matches these filters." : "");
    byId("single").hidden = isEmpty || this.isMany;
    byId("many").hidden = isEmpty || !this.isMany;
    if (!isEmpty && this.isMany) {
      this.many.show(this.tiles, this.place);
      byId("cells").focus({ preventScroll: true });
    } else if (!isEmpty) {
      this.go(this.place);
    }
    this.refresh();
  }

  /** Ask again for pictures that did not come while the server was away. */
  reload() {
    if (!this.tiles.length) return;
    if (this.isMany) {
      this.many.reload();
    } else {
      this.single.reload();
      this.go(this.place);
    }
  }

  refresh() {
    if (this.tiles.length && this.isMany) this.many.refresh();
    else if (this.tiles.length) this.single.refresh(this.tiles, this.place);
    this.filters.refresh(this.tiles);
    this.#map.refresh();
    this.#status.refreshProgress();
    this.#refreshKeys();
  }

  // -- going about --

  go(place) {
    this.place = Math.min(this.tiles.length - 1, Math.max(0, place));
    const id = (at) => this.#review.tiles.id[this.tiles[at]];
    this.single.show(this.tiles, this.place);
    this.#around.show(id(this.place), id(this.place + 1));
    this.#map.show(this.tiles[this.place]);
    this.#memory.set("tile", id(this.place));
    this.#refreshKeys();
  }

  #goTo(i) {
    const place = this.tiles.indexOf(i);
    if (place >= 0) this.go(place);
    else this.#status.tell("That tile is not in this list; show all tiles to go there.");
  }

  /** Go to the tile that was just decided or taken back. */
  comeBackTo(i) {
    const place = this.tiles.indexOf(i);
    if (place < 0) return;
    if (this.isMany) this.many.moveTo(place);
    else this.go(place);
  }

  /** Move: "left", "right", "up", "down", "pageup", "pagedown", "home" or "end"; in the grid, select on the way if asked. */
  move(where, isSelecting = false) {
    if (!this.tiles.length) return;
    if (this.isMany) {
      this.many.move(where, isSelecting);
      return;
    }
    const by = { left: -1, up: -1, right: 1, down: 1, pageup: -10, pagedown: 10, home: -Infinity, end: Infinity }[where];
    if (by === 1 && this.place === this.tiles.length - 1) this.#tellEnd();
    this.go(this.place + by);
  }

  /** Go on after a decision. */
  moveOn() {
    if (!this.isMany) this.move("right");
    else if (this.many.hasSelection) this.many.clearSelection();
    else this.many.move("right", false);
  }

  /** Go to the next tile that is not reviewed, from the start again if need be. */
  skip() {
    const after = this.tiles.findIndex((i, at) => at > this.place && this.isOpen(i));
    const place = after >= 0 ? after : this.tiles.findIndex(this.isOpen);
    if (place >= 0) this.go(place);
    else this.#status.tell("You have reviewed all tiles of this list.");
  }

  toggleMany() {
    if (this.isMany) this.place = this.many.focus;
    this.isMany = !this.isMany;
    this.#memory.set("many", this.isMany);
    this.show();
  }

  openOne(place) {
    this.many.focus = place;
    this.toggleMany();
  }

  resizeCells(by) {
    const size = SIZES[SIZES.indexOf(this.many.size) + by];
    if (!this.isMany || !size) return;
    this.#memory.set("size", size);
    this.many.changeSize(size);
  }

  showDisputed() {
    this.filters.choose({ show: "disputed" });
    this.renew();
  }

  #tellEnd() {
    const open = this.tiles.filter(this.isOpen).length;
    const left = `${count(open, "tile")} of it ${open === 1 ? "is" : "are"} left, and Space goes there.`;
    this.#status.tell(`This is the end of the list; ${open ? left : "you have reviewed all of it."}`);
  }

  #refreshKeys() {
    const labels = new Set(this.chosen.map((i) => this.#review.acceptable(i)));
    const [only] = labels.size === 1 ? labels : [null];
    document.querySelector("footer [data-command=accept]").disabled = labels.size < 2 && only === null;
    byId("accept-text").textContent = only === null ? "Accept" : `Accept: ${only}`;
    document.querySelector("nav [data-command=grid]").setAttribute("aria-pressed", String(this.isMany));
  }
}
