// The service worker of the pages: shows what is pushed, and lets a page begin while the server is away.

const SHELL = "bimip pages";
const ICON = "/page/icon.svg";
const isOurs = (url) => url.origin === location.origin
  && (["/", "/chat"].includes(url.pathname) || url.pathname.startsWith("/page/") || /^\/api\/v1\/.*\.mjs$/.test(url.pathname));

addEventListener("install", () => skipWaiting());
addEventListener("activate", (event) => event.waitUntil(clients.claim()));

// Files come from the server, and from what was kept of it where it does not answer: a page is never older than its server.
addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method === "GET" && isOurs(url)) event.respondWith(newestOf(event.request));
});

async function newestOf(request) {
  try {
    const response = await fetch(request);
    if (response.ok) (await caches.open(SHELL)).put(request, response.clone());
    return response;
  } catch (error) {
    const kept = await caches.match(request, { ignoreSearch: true });
    if (kept) return kept;
    throw error;
  }
}

addEventListener("push", (event) => event.waitUntil(take(event.data?.json() ?? {})));

/** Shows one notification of the server's: the object of PROTOCOL.md, "What is pushed". */
async function take(told) {
  const { kind, collapse_key: tag } = told;
  if (kind === "clear") {
    for (const one of await registration.getNotifications({ tag })) one.close();
    return;
  }
  const windows = await clients.matchAll({ type: "window", includeUncontrolled: true });
  if (kind !== "call" && windows.some((one) => one.visibilityState === "visible")) return; // somebody looks at the page
  const [title, body] = words(told);
  if (title) await registration.showNotification(title, { body, tag, renotify: Boolean(tag), icon: ICON, data: { conversation: told.conversation } });
}

function words({ kind, sender, title, messages, message, mention, missed_call: missed }) {
  const who = title ? `${sender} in ${title}` : sender ?? "A message";
  if (kind === "message") return [who, missed ? "You missed a call" : textOf(message) ?? (mention ? "Mentions you" : "A message")];
  if (kind === "summary") return [title || sender || "Messages", `${messages} new messages`];
  if (kind === "call") return [sender ?? "A call", "Calls you"];
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
    if (new URL(one.url).pathname !== "/chat") continue;
    if (conversation) one.postMessage({ conversation });
    return one.focus();
  }
  return clients.openWindow(address);
}
