// What a server in demonstration mode tells its own page beside the protocol.

/** Raises an error with `status` where it is refused, and one without where nobody answers. */
export async function ask(method, path, { signal } = {}) {
  const response = await fetch(`/demonstration${path}`, { method, signal, headers: { "x-demonstration": "1" }, cache: "no-store" });
  if (response.ok) return response;
  const told = await response.json().catch(() => ({}));
  const sentence = told.error ? `${told.error}${told.hint ? `: ${told.hint}` : ""}` : `the server answers ${response.status}`;
  throw Object.assign(new Error(sentence), { status: response.status });
}
