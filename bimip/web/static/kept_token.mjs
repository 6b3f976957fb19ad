// The token of this browser's device: for as long as the tab lives, or until one logs out. Never in an address.

const NAME = "bimip login", STORE = "token", KEY = "token";

export async function keep(token, { forLong }) {
  sessionStorage.setItem(KEY, token);
  await change((store) => (forLong ? store.put(token, KEY) : store.delete(KEY)));
}

export async function kept() {
  return sessionStorage.getItem(KEY) ?? (await change((store) => store.get(KEY), "readonly")) ?? "";
}

export async function forget() {
  sessionStorage.removeItem(KEY);
  await change((store) => store.delete(KEY));
}

/** Whose a token is, as it says itself: the server checks it. */
export function ownerOf(token) {
  const text = atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
  const { sub: eid, did: device } = JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (one) => one.charCodeAt(0))));
  if (!eid || !device) throw new Error("it names no user or no device");
  return { eid, device };
}

async function change(act, mode = "readwrite") {
  const database = await done(indexedDB.open(NAME, 1), (request) => request.result.createObjectStore(STORE));
  try {
    return await done(act(database.transaction(STORE, mode).objectStore(STORE)));
  } finally {
    database.close();
  }
}

function done(request, onUpgrade) {
  return new Promise((resolve, reject) => {
    if (onUpgrade) request.onupgradeneeded = () => onUpgrade(request);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
