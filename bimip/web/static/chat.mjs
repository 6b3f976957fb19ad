// The messenger: logs in, and shows one person's conversations on this device.

import { openDevice, UNMEANT, url } from "./client.mjs";
import { Conversation } from "./conversation.mjs";
import { ask } from "./dialogs.mjs";
import { begin as beginConversation, showGroup } from "./groups.mjs";
import { Inbox, titleOf } from "./inbox.mjs";
import * as login from "./kept_token.mjs";
import { openMenu } from "./menu.mjs";
import * as notifications from "./notifications.mjs";
import { nameSomebody, sayPresence, showPeople } from "./people.mjs";
import { drawResults } from "./search_results.mjs";
import { showSettings } from "./settings.mjs";
import { button, element, mark, nameOf, several, write } from "./words.mjs";

const FOUND = 50;
const TOAST_MS = 6000;
const AWAY_MS = 5 * 60_000;
const at = (id) => document.getElementById(id);

let device = null, inbox = null, conversation = null, thread = null, head = null;
let rows = [], names = new Map(), blocked = new Set(), chosen = "", shownAs = "", reads = false, readsAgain = false, searching = 0, away = 0, isInactive = false, isLeaving = false;

const name = (eid) => names.get(eid) || nameOf(eid);

function tell(words) {
  const toast = element("p", { class: "toast", dir: "auto" }, words);
  at("toasts").append(toast);
  setTimeout(() => toast.remove(), TOAST_MS);
}

// Logging in and out.

async function askForToken(why = "") {
  at("messenger").hidden = true;
  at("login").hidden = false;
  write(at("refused"), why);
  at("token").focus();
  const { demonstration } = await fetch("/page/server.json").then((answer) => answer.json()).catch(() => ({}));
  if (demonstration && !at("demonstration").childElementCount) offerDemonstration();
}

async function offerDemonstration() {
  const { ask: askServer } = await import("./demonstration.mjs");
  const { devices } = await (await askServer("POST", "/devices")).json();
  const ours = devices.filter((one) => one.device === "chat");
  at("demonstration").replaceChildren(element("p", { class: "quiet" }, "This is a demonstration:"), ...ours.map(({ eid, token }) => button(`Log in as ${nameOf(eid)}`, () => logIn(token))));
  at("demonstration").hidden = false;
}

async function logIn(token) {
  let owner;
  try {
    owner = login.ownerOf(token);
  } catch {
    return write(at("refused"), "This is no token: it has three parts with dots between them.");
  }
  await login.keep(token, { forLong: at("keep").checked });
  at("token").value = "";
  await start(token, owner);
}

async function logOut() {
  const { toSend } = device.condition;
  const lost = toSend ? ` ${toSend} of what you did has not been sent yet, and is lost.` : "";
  const isOut = await ask({
    title: "Log out?", words: `This browser forgets your messages. They stay on the server and on your other devices.${lost}`, yes: "Log out", danger: true,
    fields: [{ name: "forget", type: "checkbox", label: "Also remove this device from your account" }],
    act: async ({ forget }) => {
      await notifications.turnOff(device).catch(() => {});
      if (forget && device.condition.isConnected) await device.request("logout", { forget: true }).catch(() => {});
      closeThread();
      leave();
      isLeaving = true;
      await device.forget();
      await login.forget();
      return true;
    },
  });
  if (!isOut) return;
  location.hash = "";
  location.reload();
}

async function start(token, { eid, device: own }) {
  const inTime = token;
  try {
    device = await openDevice({ url, token: async () => inTime, name: `${eid}/${own}`, gossip: true, agent: "bimip chat (web)" });
  } catch (error) {
    return askForToken(error.code === "IN_USE" ? "Another tab of this browser has this device open: close it, and log in again." : error.message);
  }
  globalThis.messenger = { device }; // for who looks into the page with the browser's tools
  at("login").hidden = true;
  at("messenger").hidden = false;
  at("me").replaceChildren(element("span", { class: "avatar small", "aria-hidden": "true" }, nameOf(eid).slice(0, 1)), element("span", { class: "who" }, element("b", { dir: "auto" }, nameOf(eid)), element("span", { class: "quiet", dir: "auto" }, own)));
  mark(at("me"), "aria-label", `${eid}, device ${own}: status and log out`);
  for (const [event, act] of [
    ["condition", showCondition], ["inbox", refresh], ["contacts", refresh], ["groups", refresh], ["presence", showHead], ["error", onError],
    ["typing", onTyping], ["message", onMessage],
  ]) device.on(event, act);
  showCondition();
  await refresh();
  await route();
}

function onError(error) {
  if (device.condition.isStopped) showCondition();
  else if (UNMEANT.has(error.command?.kind)) return; // as where one is removed from a group while one reads in it
  else if (error.code !== "UNAVAILABLE") tell(error.message);
}

// What the list and the head say.

function showCondition() {
  const { isConnected, isStopped, isPlugged, toSend } = device.condition;
  const state = isConnected ? "on" : isStopped ? "off" : "wait";
  mark(at("condition"), "data-state", state);
  const words = isConnected ? "" : isStopped ? "Not connected any more: the token no longer counts, or another browser is this device now" : isPlugged ? "Connects" : "Not connected";
  write(at("condition"), toSend && !isConnected ? `${words}: ${toSend} to send` : words);
  if (isStopped && !at("condition").querySelector("button")) {
    at("condition").append(" ", button("Try again", () => device.plug(), { class: "link" }), button("Log out", logOut, { class: "link" }));
  }
  at("condition").hidden = isConnected;
}

/** Reads the list anew. Several calls meanwhile are one. */
async function refresh() {
  if (reads) { readsAgain = true; return; }
  reads = true;
  try {
    do {
      readsAgain = false;
      const contacts = await device.contacts();
      names = new Map(contacts.filter((one) => one.name).map((one) => [one.eid, one.name]));
      blocked = new Set(contacts.filter((one) => one.blocked).map((one) => one.eid));
      rows = await device.inbox();
    } while (readsAgain);
  } catch (error) {
    if (isLeaving) return; // the device was closed meanwhile
    throw error;
  } finally { reads = false; }
  showInbox();
  showHead();
  const unread = rows.filter((row) => !row.muted && !row.archived).reduce((sum, row) => sum + row.unread, 0);
  document.title = unread ? `(${unread}) BIMIP` : "BIMIP";
}

function showInbox() {
  const text = at("find").value.trim().toLowerCase();
  const shown = rows.filter((row) => (text ? titleOf(row, name).toLowerCase().includes(text) || String(row.peer ?? "").includes(text) : !row.archived || row.conversation === chosen));
  inbox.show(shown, { chosen, nothing: text ? "No conversation is called so." : "Nothing here yet: begin a conversation." });
}

async function search() {
  const text = at("find").value.trim(), asked = ++searching;
  showInbox();
  const views = text.length > 1 ? await device.search(text, { limit: FOUND }) : [];
  if (asked !== searching) return;
  at("found")?.remove();
  if (!views.length) return;
  const titles = new Map(rows.map((row) => [row.conversation, titleOf(row, name)]));
  const results = drawResults(views, { titleOf: (id) => titles.get(id) ?? "", name, onChoose: async (view) => { await open(view.conversation); await conversation.messages.reveal(view.signalId || view.id); } });
  at("inbox").append(element("section", { id: "found", class: "found-messages", "aria-label": "Messages that have it" }, element("h3", {}, "Messages"), results));
}

async function showHead() {
  const row = rows.find((one) => one.conversation === chosen);
  if (!head || !chosen) return;
  const eid = row?.kind === "direct" ? row.peer : chosen.startsWith("to:") ? chosen.slice(3) : "";
  write(head.title, row ? titleOf(row, name) : name(eid));
  const group = row?.kind === "group" ? await device.group(chosen) : null, isOut = row?.kind === "group" && !group;
  if (!head) return;
  conversation.composer.box.hidden = isOut;
  write(head.line, isOut ? "You are not in this group" : blocked.has(eid) ? "You block them: nothing that they write reaches you" : group ? several(group.memberCount, "member") : eid ? sayPresence(await device.presence(eid)) || eid : "");
}

function onTyping({ conversation: id, eid, kind, on }) {
  inbox.setTyping(id, on && kind !== "PAUSED" ? `${name(eid)} is ${kind === "RECORDING" ? "recording" : "typing"} …` : "");
}

function onMessage(view) {
  if (view.isMine || view.event || view.status !== "sent") return;
  const row = rows.find((one) => one.conversation === view.conversation);
  if (row?.muted || Date.now() - view.time > 60_000) return;
  notifications.tell(row?.kind === "group" ? `${name(view.author.eid)} in ${titleOf(row, name)}` : name(view.author.eid), (view.text ?? "").slice(0, 200), view.conversation, () => { focus(); open(view.conversation); });
}

// Where one is: the address has the conversation, so that Back leads to the list.

const addressOf = (id) => `#c/${encodeURIComponent(id)}`;

async function route() {
  const [, id] = /^#c\/(.+)$/.exec(location.hash) ?? [];
  await show(id ? decodeURIComponent(id) : "");
}

async function open(id) {
  if (location.hash !== addressOf(id)) history.pushState(null, "", addressOf(id));
  await show(id, { focuses: true });
}

async function show(id, { focuses = false } = {}) {
  const isStill = focusHere();
  closeThread();
  at("messenger").classList.toggle("in-pane", Boolean(id));
  at("empty").hidden = Boolean(id);
  if (!id) {
    leave();
    showInbox();
    return;
  }
  if (!conversation) makePane();
  chosen = id;
  const row = rows.find((one) => one.conversation === id);
  showInbox();
  showHead();
  if (shownAs !== id) {
    shownAs = id;
    const shown = conversation;
    await shown.show(id, { draft: row?.draft ?? "", kind: row?.kind });
    if (conversation !== shown) return; // it was left meanwhile
    if (row?.marked) device.markUnread(id, false).catch(() => {});
  }
  conversation.look(document.visibilityState === "visible");
  if (!focuses || !isStill()) return;
  if (matchMedia("(min-width: 721px)").matches) conversation.composer.focus();
  else at("pane").focus();
}

/** Notes where the focus is. Returns what tells whether it still is there, or nowhere: a menu or a dialog that opens meanwhile keeps it. */
function focusHere() {
  const held = document.activeElement;
  return () => [held, document.body, null].includes(document.activeElement);
}

function leave() {
  conversation?.close();
  head?.box.remove();
  conversation = head = null;
  chosen = shownAs = "";
}

function makePane() {
  conversation = new Conversation(device, {
    name, keepsDraft: true, onThread: openThread, onRefused: (error) => tell(error.message),
    onMoved: (id) => { chosen = shownAs = id; history.replaceState(null, "", addressOf(id)); refresh(); },
  });
  const title = element("h2", { dir: "auto" }), line = element("p", { class: "quiet", dir: "auto" });
  const box = element("header", { class: "bar" },
    button("Back to the conversations", () => history.back(), { icon: "back", class: "icon back" }), element("span", { class: "who" }, title, line),
    button("This conversation", (event) => openConversationMenu(rows.find((row) => row.conversation === chosen) ?? { conversation: chosen }, event.currentTarget), { icon: "more", "aria-haspopup": "menu" }));
  head = { box, title, line };
  at("pane").append(box, conversation.box);
}

function openThread(id, signalId) {
  closeThread();
  thread = new Conversation(device, { name, thread: signalId, label: "Thread", onRefused: (error) => tell(error.message) });
  thread.box.classList.add("thread");
  thread.box.prepend(element("header", { class: "bar" }, element("h2", {}, "Thread"), button("Close the thread", closeThread, { icon: "close" })));
  at("messenger").append(thread.box);
  at("messenger").classList.add("in-thread");
  const isStill = focusHere();
  thread.show(id, { kind: rows.find((row) => row.conversation === id)?.kind }).then(() => { thread?.look(true); if (isStill()) thread?.composer.focus(); });
}

function closeThread() {
  thread?.close();
  thread = null;
  at("messenger").classList.remove("in-thread");
}

function openConversationMenu(row, anchor) {
  const id = row.conversation, items = [], attempt = (act) => () => act().catch((error) => tell(error.message));
  if (row.kind === "group" && row.isMember) items.push(["Members", () => showGroup(device, id, { name })]);
  if (row.kind === "direct" && row.peer) items.push(["Give a name", () => nameSomebody(device, { eid: row.peer, name: names.get(row.peer) })]);
  if (!id.startsWith("to:")) {
    items.push([row.pinned ? "Unpin" : "Pin to the top", attempt(() => device.pin(id, !row.pinned))]);
    items.push([row.muted ? "Unmute" : "Mute for a week", attempt(() => device.mute(id, row.muted ? 0 : Date.now() + 7 * 86_400_000))]);
    items.push([row.archived ? "Take out of the archive" : "Archive", attempt(() => device.archive(id, !row.archived))]);
    items.push(["Mark as unread", attempt(async () => { await device.markUnread(id); if (chosen === id) history.back(); })]);
  }
  if (blocked.has(row.peer)) items.push(["Unblock", attempt(() => device.unblock(row.peer))]);
  else if (row.kind === "direct" && row.peer) items.push(["Block", () => ask({ title: `Block ${row.peer}?`, words: "What they write does not reach you. They do not learn of it.", yes: "Block", danger: true, act: () => device.block(row.peer) }), { class: "danger" }]);
  if (items.length) openMenu(anchor, items, { label: "This conversation" });
}

function openOwnMenu(anchor) {
  const set = (status) => () => device.setStatus(status).catch((error) => tell(error.message));
  openMenu(anchor, [
    ["Online", set("ONLINE")], ["Away", set("AWAY")], ["Busy", set("BUSY")], ["Do not disturb", set("DND")],
    ["People", openPeople], ["Settings", () => showSettings(device)], ["Log out", logOut, { class: "danger" }],
  ], { label: "You" });
}

const openPeople = () => showPeople(device, { onWrite: async (eid) => open(await device.conversationWith(eid)) });

/** Whoever sits before no page for a while is told by Web Push. */
function noteActivity() {
  clearTimeout(away);
  if (device?.condition.isConnected && isInactive) { isInactive = false; device.setStatus("ONLINE").catch(() => {}); }
  away = setTimeout(() => {
    if (!device?.condition.isConnected) return;
    isInactive = true;
    device.setStatus("ONLINE", { inactive: true }).catch(() => {});
  }, AWAY_MS);
}

inbox = new Inbox(at("inbox"), { onChoose: open, onMenu: openConversationMenu, name: (eid) => name(eid) });
at("tools").append(
  button("New conversation", async () => { const id = await beginConversation(device); if (id) { await refresh(); open(id); } }, { icon: "plus" }),
  button("People", openPeople, { icon: "people" }), button("Settings", () => showSettings(device), { icon: "gear" }));
at("me").addEventListener("click", (event) => openOwnMenu(event.currentTarget));
at("find").addEventListener("input", search);
at("login-form").addEventListener("submit", (event) => { event.preventDefault(); logIn(at("token").value.trim()); });
addEventListener("popstate", () => { if (device) route(); });
addEventListener("hashchange", () => { if (device) route(); });
document.addEventListener("visibilitychange", () => { conversation?.look(document.visibilityState === "visible"); noteActivity(); });
for (const event of ["pointerdown", "keydown"]) addEventListener(event, noteActivity, { passive: true });
addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "k" && device) { event.preventDefault(); at("find").focus(); }
  else if (event.key === "Escape" && thread && !document.querySelector("dialog[open], .menu")) closeThread();
});
notifications.onPressed((id) => device && open(id));
notifications.begin();

const token = await login.kept().catch(() => "");
if (token) await start(token, login.ownerOf(token));
else await askForToken();
