// What is reviewed and what has been said of it: tiles by their number in the folder's list, opinions by tile.

import { askJson } from "./server.js";

const NONE = Object.freeze({ verdict: null, label: null, note: "" });

const MOST_STEPS = 200;
const MOST_STORED = 200_000; // characters of steps that the browser is given to keep

const asOpinion = ([verdict, label, note]) => Object.freeze({ verdict, label, note });
const isSame = (one, other) => one.verdict === other.verdict && one.label === other.label && one.note === other.note;

/** Events: "change", whenever an opinion of anybody has changed. */
export class Review extends EventTarget {
  #outbox;
  #own = new Map();
  #others = new Map();
  #steps = [];
  #revision = 0;
  #said = 0;

  constructor(folder, outbox) {
    super();
    this.folder = folder;
    this.tiles = folder.tiles;
    this.size = folder.tiles.id.length;
    this.number = new Map(folder.tiles.id.map((id, i) => [id, i]));
    this.who = folder.reviewer;
    this.disputed = new Set();
    this.reviewers = [];
    this.#outbox = outbox;
    outbox.addEventListener("saved", ({ detail }) => this.#takeIn(detail));
  }

  /** The reviewer's own opinion of a tile. */
  opinion = (i) => this.#own.get(i) ?? NONE;

  /** What others said of a tile, as [name, opinion]; nothing before the reviewer has a verdict. */
  others = (i) => (this.opinion(i).verdict ? (this.#others.get(i) ?? []) : []);

  /** The class that a tile would be accepted with, or null if its label is missing or none of the classes. */
  acceptable(i) {
    const label = this.tiles.label[i];
    return this.folder.classes.includes(label) ? label : null;
  }

  /** Numbers of tiles with each outcome: by class, "rejected" and "unsure". */
  tally() {
    const found = new Map([...this.folder.classes, "rejected", "unsure"].map((name) => [name, 0]));
    for (const { verdict, label } of this.#own.values()) {
      const name = verdict === "accepted" ? label : verdict;
      if (name) found.set(name, (found.get(name) ?? 0) + 1);
    }
    return found;
  }

  /** Change who reviews, and learn what they have said so far. */
  async become(who) {
    const found = await askJson(`/api/opinions?${new URLSearchParams({ who })}`);
    this.who = who;
    this.#steps = this.#storedSteps();
    this.#replace(found);
  }

  /** Learn what has been said meanwhile, if anything has; a number says so. */
  async catchUp(revision) {
    if (revision === this.#revision) return;
    const { who } = this;
    const said = this.#said;
    const found = await askJson(`/api/opinions?${new URLSearchParams({ who })}`);
    // What was said meanwhile is not in the answer; the next time it will be.
    if (who === this.who && said === this.#said) this.#replace(found);
  }

  /** Say something of tiles: `change(tile)` returns what is new about their opinions. It can be undone in one step. */
  decide(tiles, change) {
    const step = [];
    for (const i of tiles) {
      const before = this.opinion(i);
      const after = Object.freeze({ ...before, ...change(i) });
      if (isSame(before, after)) continue;
      step.push([this.tiles.id[i], before]);
      this.#say(i, after);
    }
    if (step.length) {
      this.#steps = [...this.#steps, step].slice(-MOST_STEPS);
      this.#finish();
    }
    return step.length;
  }

  /** Take the last step back; returns its tiles. */
  undo() {
    const step = this.#steps.pop();
    if (!step) return [];
    const tiles = [];
    for (const [id, before] of step) {
      const i = this.number.get(id);
      if (i === undefined) continue; // of an earlier state of the folder
      this.#say(i, Object.freeze(before));
      tiles.push(i);
    }
    this.#finish();
    return tiles;
  }

  #say(i, after) {
    this.#said++;
    this.#set(i, after);
    this.#outbox.add({
      id: crypto.randomUUID(),
      when: new Date().toISOString(),
      who: this.who,
      tile: this.tiles.id[i],
      after,
    });
  }

  #set(i, said) {
    if (isSame(said, NONE)) this.#own.delete(i);
    else this.#own.set(i, said);
  }

  #finish() {
    this.#storeSteps();
    this.dispatchEvent(new Event("change"));
    this.#outbox.flush();
  }

  #replace({ revision, own, others, disputed, reviewers }) {
    this.#revision = revision;
    this.#own = this.#byNumber(own, asOpinion);
    this.#others = this.#byNumber(others, asNamed);
    this.disputed = new Set(disputed.map((id) => this.number.get(id)));
    this.reviewers = reviewers;
    for (const { who, tile, after } of this.#outbox.entries) {
      if (who === this.who && this.number.has(tile)) this.#set(this.number.get(tile), Object.freeze(after));
    }
    this.dispatchEvent(new Event("change"));
  }

  #takeIn({ revision, others, disputed }) {
    // One more than before: nothing but this page's own decisions has come in.
    if (revision === this.#revision + 1) this.#revision = revision;
    for (const [i, said] of this.#byNumber(others[this.who] ?? {}, asNamed)) this.#others.set(i, said);
    for (const [i, isSo] of this.#byNumber(disputed, Boolean)) this.disputed[isSo ? "add" : "delete"](i);
    this.dispatchEvent(new Event("change"));
  }

  #byNumber(byId, convert) {
    const known = Object.entries(byId).filter(([id]) => this.number.has(id));
    return new Map(known.map(([id, value]) => [this.number.get(id), convert(value)]));
  }

  // Steps are kept by the browser, so that undo works after a reload, too.

  get #stepsKey() {
    return `spurgekit-review:${this.folder.key}:steps:${this.who}`;
  }

  #storeSteps() {
    const kept = [];
    let room = MOST_STORED;
    for (const step of [...this.#steps].reverse()) {
      const text = JSON.stringify(step);
      room -= text.length;
      if (room < 0) break; // a step of very many tiles, and those before it, can be undone until the page is closed
      kept.unshift(text);
    }
    try {
      localStorage.setItem(this.#stepsKey, `[${kept}]`);
    } catch {
      // Then undo works until the page is closed.
    }
  }

  #storedSteps() {
    try {
      return JSON.parse(localStorage.getItem(this.#stepsKey)) ?? [];
    } catch {
      return [];
    }
  }
}

const asNamed = (byName) => Object.entries(byName).map(([name, said]) => [name, asOpinion(said)]);
