// One tile, as large as fits, with what is known of it, those before and after it, and a closer look at it.

import { byId, make, say } from "./dom.js";
import { classColour, colour, isSameVerdict, metres, niceLength, withSign } from "./words.js";

const AHEAD = 30; // tiles whose pictures are got beforehand
const SOON = 6; // the first of them, before those behind
const BEHIND = 4;
const BESIDE = 4; // tiles in the strip before and after
const STRIP_PX = 128;
const CLOSER = 3;
const MOST_ZOOM = 12;

export class Single {
  #review;
  #pictures;
  #thumbnail;
  #picture = byId("tile-picture");
  #strip = byId("strip");
  #items = new Map(); // what is in the strip, by number of the tile
  #zoom = { scale: 1, x: 0, y: 0 };
  #pointer = null;
  #current = null;
  #go;

  /** `go(place)` is called to show the tile at another place of the list. */
  constructor(review, pictures, thumbnail, go) {
    this.#review = review;
    this.#pictures = pictures;
    this.#thumbnail = thumbnail;
    this.#go = go;
    pictures.addEventListener("ready", ({ detail }) => detail === this.#current && this.#showPicture());
    this.#listen();
  }

  /** Show the tile at a place of a list. */
  show(list, place) {
    const i = list[place];
    if (i !== this.#current) this.#setZoom({ scale: 1, x: 0, y: 0 });
    if (i !== this.#current || !this.isSeen) {
      this.#current = i;
      this.#pictures.askAgain(i);
      this.#showPicture();
    }
    this.#showStrip(list, place);
    this.refresh(list, place);
    const after = list.slice(place + 1, place + 1 + AHEAD);
    const before = list.slice(Math.max(0, place - BEHIND), place).reverse();
    this.#pictures.ahead([...after.slice(0, SOON), ...before, ...after.slice(SOON)]);
  }

  /** Ask again for pictures that did not come, with the next tile that is shown. */
  reload() {
    this.#items.clear();
  }

  /** Show what has been said of the tile and of those beside it. */
  refresh(list, place) {
    if (this.#current === null) return;
    const said = this.#review.opinion(this.#current);
    const badge = byId("badge");
    say(badge, withSign(said));
    badge.dataset.colour = colour(this.#review, said);
    for (const [i, item] of this.#items) this.#mark(item, i);
    byId("facts").replaceChildren(...this.#facts(list, place));
  }

  /** Whether the picture of the tile is on the screen. */
  get isSeen() {
    return this.#pictures.get(this.#current).state === "ready";
  }

  get isDamaged() {
    return this.#pictures.get(this.#current).state === "damaged";
  }

  /** Look closer, at the pointer or the middle, or at the whole tile again. */
  toggleZoom() {
    const { width, height } = this.#picture.getBoundingClientRect();
    if (this.#zoom.scale > 1) this.#setZoom({ scale: 1, x: 0, y: 0 });
    else this.#zoomAt(CLOSER, this.#pointer ?? [width / 2, height / 2]);
  }

  #showPicture() {
    const { state, image, why } = this.#pictures.get(this.#current);
    const id = this.#review.tiles.id[this.#current];
    image.alt = `Tile ${id}`;
    image.dataset.tile = id;
    this.#picture.replaceChildren(...(state === "ready" ? [image] : []));
    const trouble = {
      loading: "",
      ready: "",
      damaged: `This tile cannot be shown: ${why}. It can be rejected.`,
      away: "The picture comes when the server is back. Tiles that were seen can still be decided.",
    };
    say(byId("tile-trouble"), trouble[state]);
    this.#picture.dataset.state = state;
    this.#drawScale();
  }

  #showStrip(list, place) {
    const wanted = [];
    for (let at = place - BESIDE; at <= place + BESIDE; at++) wanted.push(at);
    const items = new Map();
    const elements = wanted.map((at) => {
      const i = list[at];
      if (i === undefined) return make("li", { className: "gap" });
      const item = this.#items.get(i) ?? this.#makeItem(i);
      item.dataset.place = at;
      item.setAttribute("aria-current", String(at === place));
      items.set(i, item);
      return item;
    });
    this.#items = items;
    this.#strip.replaceChildren(...elements);
  }

  #makeItem(i) {
    const id = this.#review.tiles.id[i];
    const image = make("img", { src: this.#thumbnail(id, STRIP_PX), alt: "", draggable: false });
    const item = make("li", { title: id }, image, make("span", { className: "mark" }));
    image.addEventListener("error", () => item.classList.add("damaged"));
    return item;
  }

  #mark(item, i) {
    const said = this.#review.opinion(i);
    item.dataset.verdict = said.verdict ?? "";
    item.dataset.colour = colour(this.#review, said);
    item.lastChild.textContent = withSign(said);
  }

  #facts(list, place) {
    const { tiles, folder } = this.#review;
    const i = this.#current;
    const said = this.#review.opinion(i);
    const label = tiles.label[i];
    const side = tiles.gsd_m[i] === null ? "" : `, ${metres(tiles.size_px[i] * tiles.gsd_m[i])}`;
    const unknown = label !== null && this.#review.acceptable(i) === null ? " (not one of the classes)" : "";
    const rows = [
      ["Tile", `${tiles.id[i]}`],
      ["Place", `${(place + 1).toLocaleString("en")} of ${list.length.toLocaleString("en")}`],
      [folder.group || "", tiles.group[i]],
      ["Site", folder.sites.length > 1 ? folder.sites[tiles.site[i]].name : ""],
      ["Side", `${tiles.size_px[i]} px${side}`],
      ["Label", label === null ? "none yet" : chip(classColour(this.#review, label), label + unknown)],
      ["Confidence", tiles.confidence[i] === null ? "" : `${Math.round(100 * tiles.confidence[i])} %`],
      ["You", said.verdict ? chip(colour(this.#review, said), withSign(said)) : "no decision yet"],
      ["Note", said.note],
      ...this.#review.others(i).map(([name, other]) => [name, this.#other(said, other)]),
    ];
    return rows.filter(([, text]) => text).flatMap(([name, text]) => [make("dt", { textContent: name }), make("dd", {}, text)]);
  }

  #other(said, other) {
    const differs = !isSameVerdict(said, other);
    const text = withSign(other) + (differs ? " (differs)" : "") + (other.note ? ` “${other.note}”` : "");
    return chip(colour(this.#review, other), text, differs);
  }

  // -- a closer look --

  #listen() {
    const tile = byId("tile").firstElementChild;
    tile.addEventListener("pointermove", (event) => {
      const { left, top } = tile.getBoundingClientRect();
      this.#pointer = [event.clientX - left, event.clientY - top];
      if (event.buttons === 1 && this.#zoom.scale > 1) {
        this.#setZoom({ ...this.#zoom, x: this.#zoom.x + event.movementX, y: this.#zoom.y + event.movementY });
      }
    });
    tile.addEventListener("pointerleave", () => (this.#pointer = null));
    tile.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.#zoomAt(this.#zoom.scale * 1.2 ** -Math.sign(event.deltaY), this.#pointer ?? [0, 0]);
    });
    tile.addEventListener("dblclick", () => this.toggleZoom());
    this.#strip.addEventListener("click", ({ target }) => {
      const item = target.closest("[data-place]");
      if (item) this.#go(Number(item.dataset.place));
    });
    new ResizeObserver(() => this.#setZoom({ scale: 1, x: 0, y: 0 })).observe(tile);
  }

  /** Zoom so that what is under a point stays there. */
  #zoomAt(scale, [left, top]) {
    const to = Math.min(MOST_ZOOM, Math.max(1, scale));
    const by = to / this.#zoom.scale;
    this.#setZoom({ scale: to, x: left - by * (left - this.#zoom.x), y: top - by * (top - this.#zoom.y) });
  }

  #setZoom({ scale, x, y }) {
    const { clientWidth: width, clientHeight: height } = this.#picture.parentElement;
    const within = (shift, side) => Math.min(0, Math.max(side * (1 - scale), shift));
    this.#zoom = { scale, x: within(x, width), y: within(y, height) };
    this.#picture.style.transform = scale === 1 ? "" : `translate(${this.#zoom.x}px, ${this.#zoom.y}px) scale(${scale})`;
    this.#picture.classList.toggle("closer", scale > 1);
    this.#drawScale();
  }

  #drawScale() {
    const scale = byId("scale");
    const i = this.#current;
    const gsd = i === null ? null : this.#review.tiles.gsd_m[i];
    const shownPx = this.#picture.parentElement.clientWidth * this.#zoom.scale;
    scale.hidden = gsd === null || !shownPx || this.#picture.dataset.state !== "ready";
    if (scale.hidden) return;
    const perPx = (this.#review.tiles.size_px[i] * gsd) / shownPx;
    const length = niceLength((perPx * shownPx) / this.#zoom.scale / 4);
    scale.style.width = `${length / perPx}px`;
    scale.firstElementChild.textContent = metres(length);
  }
}

function chip(number, text, isStrong = false) {
  return make("span", { className: isStrong ? "chip strong" : "chip", data: { colour: number } }, text);
}
