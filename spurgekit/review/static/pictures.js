// Tiles as decoded pictures, a few ahead of where the reviewer is, so that the next one is there when a key is pressed.

import { ask, Refused } from "./server.js";

const KEPT = 96;
const AT_ONCE = 3;

/** Events: "ready" with the number of a tile whose picture has come, or has been found wanting. */
export class Pictures extends EventTarget {
  #address;
  #entries = new Map(); // by number of the tile, the one used last at the end
  #queue = [];
  #loading = 0;

  constructor(address) {
    super();
    this.#address = address;
  }

  /**
   * Return what is there of a tile, and ask for it if it never was: `state` is "loading", "ready" (with an `image`), "damaged"
   * (with a `why`), or "away", as the server was.
   */
  get(i) {
    let entry = this.#entries.get(i);
    this.#entries.delete(i);
    if (!entry) {
      entry = { state: "loading", image: new Image(), why: "" };
      this.#load(i, entry);
    }
    this.#entries.set(i, entry);
    for (const old of this.#entries.keys()) {
      if (this.#entries.size <= KEPT) break;
      this.#entries.delete(old);
    }
    return entry;
  }

  /** Ask once more for what was away. */
  askAgain(i) {
    if (this.#entries.get(i)?.state === "away") this.#entries.delete(i);
    this.get(i);
  }

  /** Ask for pictures in this order when nothing more urgent is under way; what was asked for before is forgotten. */
  ahead(tiles) {
    this.#queue = tiles.filter((i) => !this.#entries.has(i) || this.#entries.get(i).state === "away");
    this.#next();
  }

  #next() {
    while (this.#queue.length && this.#loading < AT_ONCE) this.askAgain(this.#queue.shift());
  }

  async #load(i, entry) {
    this.#loading++;
    const address = this.#address(i);
    entry.image.src = address;
    try {
      await entry.image.decode();
      entry.state = "ready";
    } catch {
      [entry.state, entry.why] = await reason(address);
    }
    this.#loading--;
    if (entry.state === "away") this.#queue = []; // what comes after it is away, too
    this.dispatchEvent(new CustomEvent("ready", { detail: i }));
    this.#next();
  }
}

/** Why a picture does not show: the server says it, or there is none. */
async function reason(address) {
  try {
    await ask(address);
    return ["damaged", "the picture cannot be shown"];
  } catch (error) {
    return error instanceof Refused ? ["damaged", error.message] : ["away", error.message];
  }
}
