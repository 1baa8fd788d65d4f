// What the page says of itself: how far the reviewer is, what was done last, and whether all of it is saved.

import { byId, count, make, say } from "./dom.js";
import { colourOf } from "./words.js";

export class Status {
  #review;
  #outbox;

  constructor(review, outbox) {
    this.#review = review;
    this.#outbox = outbox;
    outbox.addEventListener("change", () => this.refreshSaving());
  }

  tell(text) {
    byId("said").textContent = text;
    byId("said").title = text;
  }

  refreshProgress() {
    const tally = this.#review.tally();
    const done = [...tally.values()].reduce((sum, number) => sum + number, 0);
    byId("progress-bar").replaceChildren(...[...tally].filter(([, number]) => number).map(([name, number]) => {
      const part = make("span", { title: `${name}: ${number}`, data: { colour: colourOf(this.#review, name) } });
      part.style.width = `${(100 * number) / this.#review.size}%`;
      return part;
    }));
    byId("progress-text").textContent = `${done.toLocaleString("en")} of ${this.#review.size.toLocaleString("en")} reviewed`;
    byId("reviewer").textContent = `Reviewer: ${this.#review.who}`;
  }

  refreshSaving() {
    const { state, text, waiting, isStuck } = this.#outbox;
    byId("saving").dataset.state = isStuck ? "stuck" : state;
    const stuck = waiting ? `⚠ ${waiting.toLocaleString("en")} not saved yet` : "⚠ No server";
    byId("saving").textContent = { saved: "✓ All saved", saving: "Saving …" }[state] ?? stuck;
    const kept = waiting
      ? `${count(waiting, "decision")} ${waiting === 1 ? "is" : "are"} kept in this browser, and saved when it is back: go on. `
      : "";
    const start = `Start 'spurgekit review' for ${this.#review.folder.name} again`;
    const notices = {
      unreachable: `The server does not answer. ${kept}${start}, and open its link in this browser.`,
      closed: `The server was started again. ${kept}Open the link that it has printed in this browser; this page goes on then.`,
      trouble: `Decisions cannot be saved: ${text}. ${kept}`,
    };
    say(byId("notice"), notices[state] ?? "");
  }
}
