// How the page looks: light or dark, smooth or sharp, what is large.

import { byId, make } from "./dom.js";

const BRIGHTNESS = [1, 1.6, 2.4];
const THEMES = { auto: "Auto", light: "Light", dark: "Dark" };

export class Looks {
  #memory;
  #changed;

  /** `changed()` is called when colours or sizes are others than before. */
  constructor(memory, changed) {
    this.#memory = memory;
    this.#changed = changed;
  }

  apply() {
    const theme = this.#memory.get("theme", "auto");
    document.documentElement.dataset.theme = theme;
    byId("theme").replaceChildren(`◐ ${THEMES[theme]} `, make("kbd", { textContent: "D" }));
    document.documentElement.classList.toggle("sharp", this.isSharp);
    document.documentElement.style.setProperty("--brightness", this.#memory.get("brightness", 1));
    this.#enlarge(this.#memory.get("large", "tile"));
    this.#changed();
  }

  nextTheme() {
    const names = Object.keys(THEMES);
    this.#memory.set("theme", names[(names.indexOf(this.#memory.get("theme", "auto")) + 1) % names.length]);
    this.apply();
  }

  nextBrightness() {
    const now = BRIGHTNESS.indexOf(this.#memory.get("brightness", 1));
    this.#memory.set("brightness", BRIGHTNESS[(now + 1) % BRIGHTNESS.length]);
    this.apply();
  }

  get isSharp() {
    return this.#memory.get("sharp", false);
  }

  toggleSharp() {
    this.#memory.set("sharp", !this.isSharp);
    this.apply();
  }

  /** Show the surroundings ("around") or the "map" large, or the tile again. */
  toggleLarge(what) {
    this.#memory.set("large", this.#memory.get("large", "tile") === what ? "tile" : what);
    this.apply();
  }

  /** Put a box on the stage; the tile goes where that was. */
  #enlarge(what) {
    const homes = { tile: byId("stage"), around: byId("side"), map: byId("place") };
    for (const [name, home] of Object.entries(homes)) home.append(byId(name));
    if (what !== "tile") {
      homes[what].append(byId("tile"));
      homes.tile.append(byId(what));
    }
  }
}
