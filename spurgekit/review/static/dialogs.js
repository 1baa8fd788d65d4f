// Questions to the reviewer, the list of keys, and the report.

import { helpTable } from "./commands.js";
import { byId, count, make, say } from "./dom.js";

/** Open a dialog and wait; returns what it was closed with, "" where it was left. */
export function ask(id) {
  const dialog = byId(id);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue);
  });
}

/** Close a dialog from its field. The browser would tell of it, and take the focus away, only after the next key perhaps. */
function leave(field, answer) {
  const dialog = field.closest("dialog");
  field.blur();
  dialog.close(answer);
  dialog.onclose();
}

export async function confirm(text) {
  byId("confirm-text").textContent = text;
  return (await ask("confirm-dialog")) === "yes";
}

/** Ask for a note; null where it is to stay as it is. */
export async function askNote(text, title) {
  const field = byId("note-text");
  byId("note-title").textContent = title;
  field.value = text;
  const answer = ask("note-dialog");
  field.select();
  return (await answer) === "save" ? field.value.trim() : null;
}

/** Ask who reviews; null where nobody else does. */
export async function askReviewer(who, known) {
  const field = byId("reviewer-name");
  field.value = who;
  byId("reviewers").replaceChildren(...known.map((name) => make("option", { value: name })));
  const answer = ask("reviewer-dialog");
  field.select();
  const isAnother = (await answer) === "save" && field.value.trim() && field.value.trim() !== who;
  return isAnother ? field.value.trim().replace(/\s+/g, " ") : null;
}

export function listen() {
  byId("note-text").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    leave(event.target, "save");
  });
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close()); // beside it
  }
}

export function showHelp() {
  byId("help-keys").replaceChildren(
    ...helpTable().map(([title, rows]) =>
      make("section", {}, make("h3", { textContent: title }), make("dl", {}, ...rows.flatMap(([keys, text]) => [
        make("dt", {}, make("kbd", { textContent: keys })),
        make("dd", { textContent: text }),
      ]))),
    ),
  );
  ask("help-dialog");
}

/** Show a report, or why there is none; returns whether the disputed tiles are to be shown. */
export function showReport(report, classes, trouble) {
  const body = byId("progress-report");
  body.replaceChildren(...(report ? describe(report, classes) : [make("p", { textContent: trouble })]));
  const disputed = report?.outcomes.disputed ?? 0;
  say(byId("show-disputed"), disputed ? `Show ${disputed === 1 ? "the disputed tile" : `the ${disputed} disputed tiles`}` : "");
  return ask("progress-dialog").then((answer) => answer === "disputed");
}

function describe(report, classes) {
  const outcomes = Object.entries(report.outcomes).map(([name, number]) => `${number.toLocaleString("en")} ${name}`);
  const reviewed = `${report.reviewed.toLocaleString("en")} of ${count(report.tiles, "tile")} reviewed by anybody`;
  const found = [make("p", { textContent: `${reviewed}: ${outcomes.join(", ")}.` })];
  if (report.reviewers.length) found.push(reviewerTable(report.reviewers, classes));
  if (report.pairs.length) found.push(make("h3", { textContent: "Agreement" }), pairTable(report.pairs));
  const text = report.pairs.length
    ? "By what each said before seeing the other’s decision; tiles that one is unsure of are left out. " +
      "Kappa is 1 where they always agree and 0 where no more than by chance."
    : "Once two reviewers have decided the same tiles, their agreement shows here.";
  return [...found, make("p", { className: "hint", textContent: text })];
}

function reviewerTable(reviewers, classes) {
  const names = [...new Set([...classes, ...reviewers.flatMap((one) => Object.keys(one.accepted))])];
  const counts = (one) => [one.reviewed, ...names.map((name) => one.accepted[name] ?? 0), one.rejected, one.unsure];
  return table(
    ["Reviewer", "reviewed", ...names, "rejected", "unsure"],
    reviewers.map((one) => [one.reviewer, ...counts(one)]),
  );
}

function pairTable(pairs) {
  const share = ({ agreed, tiles }) => `${agreed} (${Math.round((100 * agreed) / tiles)} %)`;
  const kappa = (pair) => (pair.kappa === null ? "not defined" : pair.kappa.toFixed(2));
  return table(
    ["Reviewers", "tiles of both", "agree", "Cohen’s kappa"],
    pairs.map((pair) => [pair.reviewers.join(" and "), pair.tiles, share(pair), kappa(pair)]),
  );
}

function table(titles, rows) {
  const head = make("tr", {}, ...titles.map((title) => make("th", { textContent: title, scope: "col" })));
  const body = rows.map(([name, ...cells]) =>
    make("tr", {}, make("th", { textContent: name, scope: "row" }), ...cells.map((cell) => make("td", { textContent: cell }))),
  );
  return make("table", {}, make("thead", {}, head), make("tbody", {}, ...body));
}
