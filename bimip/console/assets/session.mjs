// Who asks: a session's cookie, which no script sees, and the secret that goes with it where something is changed.

let csrf = "";

export class Refused extends Error {
  constructor(status, { error = "the server did not answer as it should", hint = "" } = {}) {
    super(hint ? `${error}: ${hint}` : error);
    this.status = status;
  }
}

async function ask(method, path, { body, signal } = {}) {
  const headers = {};
  if (method !== "GET") headers["X-CSRF-Token"] = csrf;
  if (body) headers["Content-Type"] = "application/json";
  const response = await fetch(path, { method, headers, body: body && JSON.stringify(body), signal, credentials: "same-origin", cache: "no-store" });
  if (!response.ok) throw new Refused(response.status, await response.json().catch(() => undefined));
  return response;
}

/** Goes on with the session that the browser has. Raises Refused. */
export async function resume() {
  ({ csrf } = await (await ask("GET", "/session")).json());
}

export async function logIn(token, name) {
  ({ csrf } = await (await ask("POST", "/login", { body: { token, name } })).json());
}

export const logOut = () => ask("POST", "/logout");
export const kill = (path) => ask("POST", `/debug/kill?${new URLSearchParams({ path })}`);
export const restart = (path) => ask("POST", `/debug/restart?${new URLSearchParams({ path })}`);
export const watch = (query, signal) => ask("GET", `/debug/tree/stream?${query}`, { signal });

/** What a page of the console says: one JSON object, or the list of its lines. */
export async function look(path, query) {
  const response = await ask("GET", query.size ? `${path}?${query}` : path);
  const text = await response.text();
  if (!response.headers.get("Content-Type").startsWith("application/x-ndjson")) return JSON.parse(text, exact);
  const lines = text.trimEnd().split("\n").map((line) => JSON.parse(line, exact));
  const end = lines.pop();
  if (end.kind !== "end" || end.lines !== lines.length) throw new Refused(0, { error: "the answer was cut off", hint: "ask again" });
  return lines;
}

/** Offsets of messages are larger than a number is exact: they stay the text that they came as. */
const exact = (_, value, context) => (Number.isInteger(value) && !Number.isSafeInteger(value) && context ? context.source : value);

export async function readiness() {
  return (await fetch("/readyz", { cache: "no-store" })).json();
}
