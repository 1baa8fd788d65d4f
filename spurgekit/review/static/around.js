// The ground around the tile, and the tile's place on its site.

import { byId, say } from "./dom.js";
import { ask } from "./server.js";
import { colour } from "./words.js";

const WAIT_MS = 80; // a reviewer who rushes by needs no surroundings
const LEAST_MARK_PX = 3;

export class Around {
  #address;
  #image = byId("around-picture");
  #timer = 0;
  #abort = new AbortController();

  constructor(address) {
    this.#address = address;
  }

  show(id, idAfter) {
    clearTimeout(this.#timer);
    this.#abort.abort();
    this.#image.classList.add("stale");
    this.#timer = setTimeout(() => this.#load(id, idAfter), WAIT_MS);
  }

  async #load(id, idAfter) {
    const abort = (this.#abort = new AbortController());
    try {
      const answer = await ask(this.#address(id), { signal: abort.signal });
      const picture = await answer.blob();
      if (abort.signal.aborted) return;
      URL.revokeObjectURL(this.#image.src);
      this.#image.src = URL.createObjectURL(picture);
      await this.#image.decode();
      this.#show(true, `from ${decodeURIComponent(answer.headers.get("x-made-from"))}`);
      if (idAfter) await ask(this.#address(idAfter), { signal: abort.signal, priority: "low" }); // into the browser's cache
    } catch (error) {
      const isMissed = !abort.signal.aborted && this.#image.classList.contains("stale");
      if (isMissed) this.#show(false, `No surroundings: ${error.message}`);
    }
  }

  #show(isThere, text) {
    this.#image.classList.remove("stale");
    this.#image.hidden = !isThere;
    byId("around-outline").hidden = !isThere;
    byId("around-text").className = isThere ? "origin" : "";
    say(byId("around-text"), text);
  }
}

export class SiteMap {
  #review;
  #address;
  #image = byId("map-picture");
  #canvas = byId("map-marks");
  #ring = byId("map-ring");
  #site = null;
  #waiting = 0;

  /** `go(tile)` is called with the tile nearest to where somebody has clicked. */
  constructor(review, address, go) {
    this.#review = review;
    this.#address = address;
    this.#canvas.addEventListener("click", ({ offsetX, offsetY }) => {
      const nearest = this.#nearest(offsetX / this.#canvas.clientWidth, offsetY / this.#canvas.clientHeight);
      if (nearest !== null) go(nearest);
    });
    new ResizeObserver(() => this.refresh()).observe(this.#canvas);
  }

  /** Show where a tile lies. */
  show(i) {
    const { tiles, folder } = this.#review;
    const place = tiles.place[i];
    const { name, map } = folder.sites[tiles.site[i]];
    const isThere = Boolean(map && place);
    this.#canvas.parentElement.hidden = !isThere;
    say(byId("map-text"), isThere ? "" : "The index does not say where this tile lies.");
    if (!isThere) return;
    if (tiles.site[i] !== this.#site) {
      this.#site = tiles.site[i];
      this.#image.src = this.#address(name);
      this.#image.hidden = false;
      this.#canvas.parentElement.style.setProperty("--aspect", map.width / map.height);
      this.refresh();
    }
    this.#ring.style.left = `${100 * place[0]}%`;
    this.#ring.style.top = `${100 * place[1]}%`;
  }

  /** Mark the tiles that have been decided, when there is time for it. */
  refresh() {
    clearTimeout(this.#waiting);
    this.#waiting = setTimeout(() => this.#draw(), 50);
  }

  #draw() {
    const { tiles, folder, size } = this.#review;
    if (this.#site === null) return;
    const scale = devicePixelRatio;
    const width = (this.#canvas.width = Math.round(scale * this.#canvas.clientWidth));
    const height = (this.#canvas.height = Math.round(scale * this.#canvas.clientHeight));
    const side = Math.max(LEAST_MARK_PX * scale, 0.8 * width * folder.sites[this.#site].map.tile);
    const context = this.#canvas.getContext("2d");
    const style = getComputedStyle(document.documentElement);
    const colours = Array.from({ length: 12 }, (_, number) => style.getPropertyValue(`--colour-${number}`));
    context.globalAlpha = 0.85;
    for (let i = 0; i < size; i++) {
      const said = this.#review.opinion(i);
      if (!said.verdict || tiles.site[i] !== this.#site || !tiles.place[i]) continue;
      context.fillStyle = colours[Math.max(0, colour(this.#review, said))];
      context.fillRect(tiles.place[i][0] * width - side / 2, tiles.place[i][1] * height - side / 2, side, side);
    }
  }

  #nearest(across, down) {
    const { tiles, size } = this.#review;
    const aspect = this.#canvas.clientHeight / this.#canvas.clientWidth;
    let [nearest, least] = [null, Infinity];
    for (let i = 0; i < size; i++) {
      if (tiles.site[i] !== this.#site || !tiles.place[i]) continue;
      const distance = Math.hypot(tiles.place[i][0] - across, (tiles.place[i][1] - down) * aspect);
      if (distance < least) [nearest, least] = [i, distance];
    }
    return nearest;
  }
}
