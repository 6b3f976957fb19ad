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

export async function readiness() {
  return (await fetch("/readyz", { cache: "no-store" })).json();
}
