// The service worker of the pages: shows what is pushed, and lets a page begin while the server is away.

import { nameOf } from "/page/words.mjs";

const SHELL = "bimip pages";
const ICON = "/page/icon.svg";
const SAME = { ignoreSearch: true, ignoreVary: true }; // they vary by Origin, which modules send and the worker does not: it is their own
const isOurs = (url) => url.origin === location.origin
  && (["/", "/chat"].includes(url.pathname) || url.pathname.startsWith("/page/") || /^\/api\/v1\/.*\.mjs$/.test(url.pathname));

const isMessenger = (window) => new URL(window.url).pathname === "/chat";

addEventListener("install", () => skipWaiting());
addEventListener("activate", (event) => event.waitUntil(clients.claim()));

// Files come from the server, and from what was kept of it where it does not answer, or a proxy does for it: a page is never older than
// its server.
addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method === "GET" && isOurs(url)) event.respondWith(newestOf(event.request));
});

async function newestOf(request) {
  const shell = await caches.open(SHELL), answer = await fetch(request).catch(() => Response.error());
  if (answer.ok) shell.put(request, answer.clone());
  else if (answer.type === "error" || answer.status >= 500) return (await shell.match(request, SAME)) ?? answer;
  return answer;
}

// What the first page read before there was a worker is kept when it tells of it.
addEventListener("message", (event) => { if (event.data?.read) event.waitUntil(keep(event.data.read)); });

async function keep(addresses) {
  const shell = await caches.open(SHELL);
  for (const one of new Set(addresses)) if (isOurs(new URL(one)) && !(await shell.match(one, SAME))) await shell.add(one);
}

// One after the other: a "clear" finds what the push before it showed, and asks for notifications while none is being shown: of such a
// one Chromium may think that it is gone.
let pushes = Promise.resolve();
addEventListener("push", (event) => {
  const told = event.data?.json() ?? {};
  pushes = pushes.catch(() => {}).then(() => take(told));
  event.waitUntil(pushes);
});

/** Shows one notification of the server's: the object of PROTOCOL.md, "What is pushed". */
async function take(told) {
  const { kind, collapse_key: tag } = told;
  if (kind === "clear") {
    for (const one of await registration.getNotifications({ tag })) one.close();
    return;
  }
  const windows = await clients.matchAll({ type: "window", includeUncontrolled: true });
  if (kind !== "call" && windows.some((one) => isMessenger(one) && one.visibilityState === "visible")) return; // somebody looks at it
  const [title, body] = words(told);
  if (title) await registration.showNotification(title, { body, tag, renotify: Boolean(tag), icon: ICON, data: { conversation: told.conversation } });
}

function words({ kind, sender, title, messages, message, mention, missed_call: missed }) {
  const name = sender && nameOf(sender), who = title ? `${name} in ${title}` : name || "A message";
  if (kind === "message") return [who, missed ? "You missed a call" : textOf(message) ?? (mention ? "Mentions you" : "A message")];
  if (kind === "summary") return [title || name || "Messages", `${messages} new messages`];
  if (kind === "call") return [name || "A call", "Calls you"];
  return kind === "test" ? ["BIMIP", "Notifications arrive"] : [];
}

function textOf(message) {
  if (!message?.payload || message.encrypted) return undefined;
  return new TextDecoder().decode(Uint8Array.from(atob(message.payload), (one) => one.charCodeAt(0))).slice(0, 200);
}

addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(goTo(event.notification.data?.conversation));
});

async function goTo(conversation) {
  const address = conversation ? `/chat#c/${encodeURIComponent(conversation)}` : "/chat";
  for (const one of await clients.matchAll({ type: "window", includeUncontrolled: true })) {
    if (!isMessenger(one)) continue;
    if (conversation) one.postMessage({ conversation });
    return one.focus();
  }
  return clients.openWindow(address);
}
