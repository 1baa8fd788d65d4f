// What the page remembers of how it was left, for each folder.

export class Memory {
  #prefix;

  constructor(folder) {
    this.#prefix = `spurgekit-review:${folder}:`;
  }

  get(name, fallback) {
    try {
      return JSON.parse(localStorage.getItem(this.#prefix + name)) ?? fallback;
    } catch {
      return fallback;
    }
  }

  set(name, value) {
    try {
      localStorage.setItem(this.#prefix + name, JSON.stringify(value));
    } catch {
      // Storage is full or not allowed: the page starts afresh the next time.
    }
  }
}
