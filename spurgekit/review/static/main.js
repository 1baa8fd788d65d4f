// The page: puts its parts together, and hands keys, clicks and the server's news to them.

import { commandOf } from "./commands.js";
import { Deciding } from "./deciding.js";
import { Desk } from "./desk.js";
import * as dialogs from "./dialogs.js";
import { byId, count, make, say } from "./dom.js";
import { Looks } from "./looks.js";
import { Memory } from "./memory.js";
import { Outbox, stateOf } from "./outbox.js";
import { Review } from "./review.js";
import { Addresses, askJson } from "./server.js";
import { Status } from "./status.js";
import { classColour, inWords } from "./words.js";

const PULSE_MS = 5000;
const ARROW = /^(?:Arrow)?(Left|Right|Up|Down|Home|End|PageUp|PageDown)$/;

class Page {
  constructor(folder) {
    this.folder = folder;
    this.memory = new Memory(folder.key);
    this.outbox = new Outbox(folder.key);
    this.review = new Review(folder, this.outbox);
    this.status = new Status(this.review, this.outbox);
    this.desk = new Desk(this.review, this.memory, this.status, new Addresses(folder.run));
    this.deciding = new Deciding(this.review, this.desk, this.status);
    this.looks = new Looks(this.memory, () => this.desk.refresh());
    this.commands = this.makeCommands();
  }

  async start() {
    say(byId("folder"), this.folder.name);
    document.title = `${this.folder.name} – spurgekit review`;
    this.makeClassButtons();
    await this.review.become(this.rememberedReviewer());
    this.desk.start();
    this.looks.apply();
    this.listen();
    this.outbox.flush();
    setInterval(() => this.pulse(), PULSE_MS);
    addEventListener("focus", () => this.pulse());
  }

  makeCommands() {
    const { desk, deciding, looks } = this;
    return {
      class: (number) => number < this.folder.classes.length && deciding.showsClass(this.folder.classes[number]),
      accept: () => deciding.accept(),
      reject: () => deciding.reject(),
      unsure: () => deciding.unsure(),
      undo: () => deciding.undo(),
      note: () => deciding.note(),
      move: (where) => desk.move(where),
      select: (where) => desk.move(where, true),
      next: () => desk.move("right"),
      previous: () => desk.move("left"),
      skip: () => (desk.isMany ? desk.many.toggleFocused() : desk.skip()),
      all: () => desk.isMany && desk.many.selectAll(),
      leave: () => desk.isMany && desk.many.clearSelection(),
      grid: () => desk.toggleMany(),
      smaller: () => desk.resizeCells(-1),
      larger: () => desk.resizeCells(1),
      filter: () => desk.filters.focus(),
      zoom: () => !desk.isMany && desk.single.toggleZoom(),
      around: () => !desk.isMany && looks.toggleLarge("around"),
      map: () => !desk.isMany && looks.toggleLarge("map"),
      sharp: () => looks.toggleSharp(),
      bright: () => looks.nextBrightness(),
      theme: () => looks.nextTheme(),
      progress: () => this.showReport(),
      help: () => dialogs.showHelp(),
    };
  }

  makeClassButtons() {
    byId("classes").append(...this.folder.classes.map((label, number) => {
      const key = number < 9 ? [make("kbd", { textContent: number + 1 })] : [];
      const button = make("button", { type: "button", data: { colour: classColour(this.review, label) } }, ...key, label);
      button.addEventListener("click", () => this.commands.class(number));
      return button;
    }));
  }

  listen() {
    dialogs.listen();
    addEventListener("keydown", (event) => this.press(event));
    for (const button of document.querySelectorAll("[data-command]")) {
      button.addEventListener("click", () => this.commands[button.dataset.command]());
    }
    // After a click the keys are for the tiles again, not for the button: Enter must not press it once more.
    addEventListener("click", ({ target, detail }) => detail > 0 && target.closest("button")?.blur());
    byId("reviewer").addEventListener("click", () => this.changeReviewer());
    addEventListener("beforeunload", (event) => this.outbox.isFragile && event.preventDefault());
    let wasStuck = false;
    this.outbox.addEventListener("change", () => {
      if (wasStuck && !this.outbox.isStuck) this.desk.reload();
      wasStuck = this.outbox.isStuck;
    });
    this.outbox.addEventListener("refused", ({ detail }) => {
      const lost = detail.map(({ tile, after }) => `${tile} ${inWords(after) || "taken back"}`).join("; ");
      this.status.tell(`The server cannot read ${count(detail.length, "decision")}: ${lost}`);
    });
  }

  press(event) {
    const { target, key } = event;
    if (document.querySelector("dialog[open]") || target.closest?.("input, textarea, select")) return;
    if (target.closest?.("button") && ["Enter", " "].includes(key)) return;
    const arrow = ARROW.exec(key);
    const [name, argument] = arrow ? [event.shiftKey ? "select" : "move", arrow[1].toLowerCase()] : commandOf(event);
    if (!name || (arrow && (event.altKey || event.ctrlKey || event.metaKey))) return;
    event.preventDefault();
    this.commands[name](argument);
  }

  // -- the server --

  /** Ask how the server is and what others have said; where decisions wait, sending them finds out. */
  async pulse() {
    if (this.outbox.waiting) return;
    try {
      const { folder, revision } = await askJson("/api/pulse");
      if (folder === this.folder.key) await this.review.catchUp(revision);
      this.outbox.noteServer("saved");
    } catch (error) {
      this.outbox.noteServer(...stateOf(error));
    }
  }

  rememberedReviewer() {
    // What was chosen on the page lasts until the command names somebody else.
    const { given, chosen } = this.memory.get("reviewer", {});
    return given === this.folder.reviewer && chosen ? chosen : this.folder.reviewer;
  }

  async changeReviewer() {
    const who = await dialogs.askReviewer(this.review.who, this.review.reviewers);
    if (who === null) return;
    try {
      await this.review.become(who);
    } catch (error) {
      this.status.tell(`The reviewer cannot be changed now: ${error.message}.`);
      return;
    }
    this.memory.set("reviewer", { given: this.folder.reviewer, chosen: who });
    this.desk.renew(null);
  }

  async showReport() {
    let [report, trouble] = [null, ""];
    try {
      report = await askJson("/api/report");
    } catch (error) {
      trouble = `There is no report now: ${error.message}.`;
    }
    if (!(await dialogs.showReport(report, this.folder.classes, trouble))) return;
    await this.pulse();
    this.desk.showDisputed();
  }
}

try {
  const page = new Page(await askJson("/api/folder"));
  await page.start();
  document.body.dataset.ready = "yes";
} catch (error) {
  say(byId("notice"), `The page cannot start: ${error.message}. Start 'spurgekit review' again and open its link.`);
  throw error;
}
