// Decisions on their way to the log. Each is kept by the browser from the moment it is made until the server has said that it
// is on the disk, so that neither a dead server nor a closed browser loses one. Sending one twice is harmless: it has an id.

import { Closed, sendJson, Unreachable } from "./server.js";

const BATCH = 200;
const RETRY_MS = 1000;

/**
 * States: "saved", "saving", and where it does not go on, "unreachable", "closed" or "trouble" (with a text).
 * Events: "change" of state or number, "saved" with the server's answer, "refused" with the entries that it does not take.
 */
export class Outbox extends EventTarget {
  #folder;
  #prefix;
  #homeless = new Map(); // entries that the browser would not store
  #stamp = 0;
  #sending = false;

  constructor(folder) {
    super();
    this.#folder = folder;
    this.#prefix = `spurgekit-review:${folder}:entry:`;
    this.state = this.waiting ? "saving" : "saved";
    this.text = "";
  }

  /** The entries that are not known to be saved, in the order in which they were made. */
  get entries() {
    return this.#read(this.#keys());
  }

  get waiting() {
    return this.#keys().length;
  }

  /** Whether it does not go on, for now. */
  get isStuck() {
    return !["saved", "saving"].includes(this.state);
  }

  /** Whether something would be lost if the page were closed now. */
  get isFragile() {
    return this.#homeless.size > 0;
  }

  add(entry) {
    this.#stamp = Math.max(Date.now(), this.#stamp + 1);
    // A key of its own for each entry: two pages of one folder never overwrite each other's.
    const key = `${this.#prefix}${String(this.#stamp).padStart(15, "0")}:${entry.id}`;
    try {
      localStorage.setItem(key, JSON.stringify(entry));
    } catch {
      this.#homeless.set(key, entry); // storage is full or not allowed
    }
  }

  /** Send what waits. It goes on by itself until all is saved. */
  async flush() {
    if (this.#sending) return;
    this.#sending = true;
    let keys;
    while ((keys = this.#keys().slice(0, BATCH)).length) {
      if (this.state === "saved") this.#become("saving");
      const entries = this.#read(keys);
      try {
        const answer = await sendJson("/api/decisions", { folder: this.#folder, entries });
        this.#settle(keys, entries, answer);
      } catch (error) {
        this.#become(...stateOf(error));
        await new Promise((wake) => setTimeout(wake, RETRY_MS));
      }
    }
    this.#sending = false;
    this.#become("saved");
  }

  #settle(keys, entries, answer) {
    for (const key of keys) {
      this.#homeless.delete(key);
      localStorage.removeItem(key);
    }
    this.#become("saving");
    this.dispatchEvent(new CustomEvent("saved", { detail: answer }));
    const refused = entries.filter((entry) => answer.refused.includes(entry.id));
    if (refused.length) this.dispatchEvent(new CustomEvent("refused", { detail: refused }));
  }

  /** Take note of how the server is, as somebody else has found out; while something is sent, sending knows better. */
  noteServer(state, text = "") {
    if (!this.#sending) this.#become(state, text);
  }

  #become(state, text = "") {
    this.state = state;
    this.text = text;
    this.dispatchEvent(new Event("change"));
  }

  #read(keys) {
    const entries = keys.map((key) => this.#homeless.get(key) ?? JSON.parse(localStorage.getItem(key)));
    return entries.filter((entry) => entry !== null); // another page has just seen to it
  }

  #keys() {
    const stored = Object.keys(localStorage).filter((key) => key.startsWith(this.#prefix));
    return [...stored, ...this.#homeless.keys()].sort();
  }
}

export function stateOf(error) {
  if (error instanceof Unreachable) return ["unreachable"];
  if (error instanceof Closed) return ["closed"];
  return ["trouble", error.message];
}
