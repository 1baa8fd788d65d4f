// Opinions and tiles in words, signs and colours.

export const SIGNS = { accepted: "✓", rejected: "✕", unsure: "?" };
const REJECTED_COLOUR = 10;
const UNSURE_COLOUR = 11;

/** Number of the colour of an opinion, as the style sheet counts them: classes from 0, then rejected and unsure. */
export function colour(review, { verdict, label }) {
  if (verdict === "rejected") return REJECTED_COLOUR;
  if (verdict === "unsure") return UNSURE_COLOUR;
  return classColour(review, label);
}

export const classColour = (review, label) => review.folder.classes.indexOf(label) % REJECTED_COLOUR;

/** The same of what an opinion says in a word. */
export const colourOf = (review, word) => colour(review, { verdict: word, label: word });

/** What an opinion says: a class, "rejected", "unsure", or nothing. */
export const inWords = ({ verdict, label }) => (verdict === "accepted" ? label : (verdict ?? ""));

/** The same with a sign in front, so that nobody needs to see colours. */
export const withSign = (said) => (said.verdict ? `${SIGNS[said.verdict]} ${inWords(said)}` : "");

export const isSameVerdict = (one, other) => inWords(one) === inWords(other);

export function metres(length) {
  if (length < 1) return `${Number((100 * length).toPrecision(2))} cm`;
  return `${Number(length.toPrecision(3))} m`;
}

/** The largest of 1, 2 or 5 times a power of ten that is not longer than a length. */
export function niceLength(length) {
  const power = 10 ** Math.floor(Math.log10(length));
  return [5, 2, 1].map((step) => step * power).find((nice) => nice <= length) ?? power;
}
