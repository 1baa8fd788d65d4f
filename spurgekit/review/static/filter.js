// Which tiles are looked at, and in which order.

/** What can be shown, by name: a text and whether a tile belongs to it. */
export const SHOWN = {
  all: ["all tiles", () => true],
  unreviewed: ["not reviewed by me", (review, i) => !review.opinion(i).verdict],
  reviewed: ["reviewed by me", (review, i) => Boolean(review.opinion(i).verdict)],
  disputed: ["disagreements", (review, i) => review.disputed.has(i)],
  changed: ["label changed by me", (review, i) => isChanged(review, i)],
  unsure: ["unsure", (review, i) => review.opinion(i).verdict === "unsure"],
  rejected: ["rejected", (review, i) => review.opinion(i).verdict === "rejected"],
  noted: ["with a note", (review, i) => review.opinion(i).note !== ""],
};

export const ORDERS = { listed: "as listed", confidence: "least confident first", label: "by label" };

export const EVERYTHING = Object.freeze({ show: "all", label: "", site: "", group: "", order: "listed" });

/** What stands for tiles without a label; no label is empty. */
export const UNLABELLED = " ";

function isChanged(review, i) {
  const { verdict, label } = review.opinion(i);
  return verdict === "accepted" && label !== review.tiles.label[i];
}

export function matches(review, i, { show, label, site, group }) {
  const { tiles } = review;
  return (
    SHOWN[show][1](review, i) &&
    (label === "" || (tiles.label[i] ?? UNLABELLED) === label) &&
    (site === "" || review.folder.sites[tiles.site[i]].name === site) &&
    (group === "" || tiles.group[i] === group)
  );
}

/** The tiles that match, in order. */
export function list(review, criteria) {
  const found = [];
  for (let i = 0; i < review.size; i++) if (matches(review, i, criteria)) found.push(i);
  const { confidence, label } = review.tiles;
  if (criteria.order === "confidence") found.sort((a, b) => (confidence[a] ?? 2) - (confidence[b] ?? 2) || a - b);
  if (criteria.order === "label") found.sort((a, b) => (label[a] ?? "").localeCompare(label[b] ?? "") || a - b);
  return found;
}
