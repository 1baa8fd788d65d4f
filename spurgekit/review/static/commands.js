// What can be done from the keyboard: one table for the keys and for the help.

/** Each with its name, its keys, how they are written, and what they do. */
const TABLE = [
  ["Decide", [
    ["class", [], "1 – 9", "the tile shows this class"],
    ["accept", ["Enter", "a"], "A or Enter", "accept: its label is right"],
    ["reject", ["r"], "R", "reject: of no use, whatever it shows"],
    ["unsure", ["u"], "U", "unsure: leave it to others"],
    ["note", ["n"], "N", "write a note"],
    ["undo", ["z"], "Z", "take the last decision back, after a reload, too"],
  ]],
  ["Go", [
    ["move", [], "← →", "previous tile, next tile"],
    ["move", [], "Home, End", "first tile, last tile"],
    ["skip", [" "], "Space", "next tile that you have not reviewed"],
    ["filter", ["f"], "F", "choose which tiles; Escape comes back to them"],
    ["grid", ["g"], "G", "many tiles at once, or one"],
  ]],
  ["Look", [
    ["zoom", ["x"], "X", "closer, or the whole tile; the wheel does it, too"],
    ["around", ["c"], "C", "what lies around the tile, large"],
    ["map", ["m"], "M", "the site, large"],
    ["bright", ["b"], "B", "brighter, for tiles in the shade"],
    ["sharp", ["s"], "S", "smooth pixels, or sharp ones"],
    ["theme", ["d"], "D", "light, dark, or as the system has it"],
  ]],
  ["In the grid", [
    ["move", [], "Arrows", "move; with Shift, select"],
    ["skip", [], "Space", "add the tile to the selection"],
    ["all", [], "Ctrl + A", "select all"],
    ["leave", ["Escape"], "Escape", "clear the selection"],
    ["smaller", ["-"], "− and +", "smaller tiles, larger tiles"],
    ["larger", ["+", "="], null, null],
  ]],
  ["More", [
    ["progress", ["p"], "P", "progress, and agreement of reviewers"],
    ["help", ["?"], "?", "this list"],
  ]],
];

const BY_KEY = new Map(TABLE.flatMap(([, rows]) => rows.flatMap(([name, keys]) => keys.map((key) => [key, name]))));

/** Return the command of a key and its argument, or nothing. A key that is held down gives its command once. */
export function commandOf({ key, code, altKey, ctrlKey, metaKey, shiftKey, repeat }) {
  if (altKey || repeat) return [];
  if (ctrlKey || metaKey) return { z: ["undo"], a: ["all"] }[key.toLowerCase()] ?? [];
  // By the place of the key, since French keyboards have digits on it with Shift only.
  const digit = /^(Digit|Numpad)([1-9])$/.exec(code);
  if (digit && !shiftKey) return ["class", Number(digit[2]) - 1];
  return [BY_KEY.get(key.length === 1 ? key.toLowerCase() : key)];
}

/** The keys as they are written and what they do, under titles. */
export function helpTable() {
  return TABLE.map(([title, rows]) => [title, rows.filter(([, , keys]) => keys).map(([, , keys, text]) => [keys, text])]);
}
