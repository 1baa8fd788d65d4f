// Small helpers for the page's elements.

export const byId = (id) => document.getElementById(id);

/** Make an element: its properties, `data` and `aria` ones in objects of their own, and its children. */
export function make(tag, { data = {}, aria = {}, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  Object.assign(element.dataset, data);
  for (const [name, value] of Object.entries(aria)) element.setAttribute(`aria-${name}`, value);
  element.append(...children);
  return element;
}

/** Put text and visibility into an element at once: without text it is hidden. */
export function say(element, text) {
  element.textContent = text;
  element.hidden = !text;
}

export const count = (number, what) => `${number.toLocaleString("en")} ${what}${number === 1 ? "" : "s"}`;
