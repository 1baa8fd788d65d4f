// What is asked of the server, and the ways in which that fails.

/** Nothing answers: the server was stopped, or has died. */
export class Unreachable extends Error {}

/** It answers, but does not know this page: it was started again, and its new link has not been opened in this browser. */
export class Closed extends Error {}

/** It says no; the message is for people. */
export class Refused extends Error {}

const PATIENCE_MS = 15000;

export async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { signal: AbortSignal.timeout(PATIENCE_MS), ...options });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Unreachable("the server does not answer");
  }
  if (response.status === 403) throw new Closed("the server was started again");
  if (!response.ok) throw new Refused((await response.text()).slice(0, 400));
  return response;
}

export const askJson = async (path) => (await ask(path)).json();

export async function sendJson(path, content) {
  const headers = { "Content-Type": "application/json" };
  return (await ask(path, { method: "POST", headers, body: JSON.stringify(content) })).json();
}

/** Addresses of pictures. They change with each start of the server, so that the browser shows no stale ones. */
export class Addresses {
  constructor(run) {
    this.run = run;
  }

  picture = (tile) => this.#of("picture", { tile });
  thumbnail = (tile, px) => this.#of("thumbnail", { tile, px });
  surroundings = (tile) => this.#of("surroundings", { tile });
  map = (site) => this.#of("map", { site });

  #of(what, query) {
    return `/api/${what}?${new URLSearchParams({ ...query, run: this.run })}`;
  }
}
