// The page: logs in, looks at the tree, shows what changes, and does what an operator confirms.

import { Ask } from "./ask.mjs";
import { Details, sayBudget } from "./details.mjs";
import * as session from "./session.mjs";
import { Stream } from "./stream.mjs";
import { Timeline } from "./timeline.mjs";
import { Tree, isMany } from "./tree.mjs";
import { mark, number, write } from "./words.mjs";

const HEALTH_MS = 10_000, TYPING_MS = 300, SAID = 3, FLASHES = 20;
const at = (id) => document.getElementById(id);

let follows = ""; // the path that is followed; all of the tree where it is empty
let ahead = 0; // by how much the server's clock is before this one's, in seconds
let whyLost = ""; // why nothing is shown
let isLive = false, isAbsent = false, enters = false, typing = 0;

const now = () => Date.now() / 1000 + ahead;
const tree = new Tree(at("tree"), { onChoose: () => showDetails(), onOpen: look });
const details = new Details(at("details"), { onAct: act });
const timeline = new Timeline(at("chart"), at("events"), { onChoose: reveal });
const ask = new Ask(at("questions"), at("answer"), { onRefused: askForToken });
const stream = new Stream({ onLine: take, onState: setLive, onRefused: askForToken });

function take(line, isFirst) {
  ahead = line.now - Date.now() / 1000;
  isAbsent = line.absent ?? (isAbsent && !isFirst);
  tree.now = now();
  tree.take(line, isFirst);
  if (enters) { enters = false; tree.focus(); }
  timeline.take(line.events ?? [], isFirst);
  timeline.draw(now());
  if (!isFirst) tell(line.events ?? []);
  showDetails();
  showNumbers();
}

function tell(events) {
  for (const { path, what } of events.slice(-FLASHES)) tree.flash(path, what);
  const words = events.slice(-SAID).map(({ path, what, text }) => `${path} ${what}${text && text !== what ? `, ${text}` : ""}`);
  if (events.length > SAID) words.push(`and ${events.length - SAID} more`);
  if (words.length) write(at("said"), words.join(". "));
}

function showDetails() {
  details.show(tree.rows.get(tree.chosen), now(), follows);
}

function showNumbers() {
  const rows = [...tree.rows.values()];
  const down = rows.filter((row) => row.state !== "running").length;
  const users = rows.find((row) => row.path === "bimip/users");
  const parts = [`${number(rows.length)} shown`];
  if (users) parts.unshift(`${number(users.child_count)} users connected`);
  if (down) parts.push(`${down} not running`);
  write(at("numbers"), parts.join(" · "));
  const nothing = at("nothing");
  nothing.hidden = at("tree").children.length > 0;
  write(nothing, isAbsent && follows ? `${nameOf(follows)} is not here now. It is shown when it comes.` : "Nothing matches.");
}

async function showHealth() {
  let state = "lost", words = whyLost;
  if (isLive) {
    try {
      const { ready, reasons, warnings } = await session.readiness();
      state = ready ? (warnings.length ? "warned" : "ready") : "unready";
      words = ready ? (warnings.join("; ") || "ready") : reasons.join("; ");
    } catch { /* the words above say it */ }
  }
  mark(at("health"), "data-state", state);
  write(at("health"), words);
}

function setLive(state, words = "the server does not answer; trying again") {
  if (isLive === (state === "live") && whyLost === words) return;
  isLive = state === "live";
  whyLost = words;
  document.body.classList.toggle("stale", !isLive);
  showHealth();
}

function look() {
  const query = new URLSearchParams();
  const open = new Set(follows ? [follows, ...tree.opened] : tree.opened);
  if (follows) query.set("at", follows);
  for (const path of open) query.append("open", path);
  if (at("find").value) query.set("find", at("find").value);
  history.replaceState(null, "", query.size ? `#${query}` : location.pathname);
  stream.look(query);
}

function follow(path) {
  follows = path;
  enters = true; // the button that was pressed may be gone
  const button = at("follows");
  button.hidden = !path;
  write(button, path ? `Following ${nameOf(path)} ✕` : "");
  mark(button, "aria-label", path ? `Stop following ${nameOf(path)}` : null);
  tree.open(path ? [path] : []);
  look();
}

const plain = (name) => name.replaceAll("%2F", "/").replaceAll("%25", "%");
const nameOf = (path) => plain(path.slice(path.lastIndexOf("/") + 1));

/** Goes to a process that the timeline names; one that is folded away is looked for. */
function reveal(path) {
  if (!tree.rows.has(path)) {
    const names = path.split("/");
    if (path.startsWith("bimip/users/")) return follow(names.slice(0, 3).join("/"));
    at("find").value = names.at(-1);
    tree.filter(at("find").value);
    look();
  }
  tree.choose(path);
}

async function act(what, row) {
  if (what === "follow") return follow(row.path);
  if (what === "ask") return askAbout(row.path);
  const above = tree.rows.get(row.parent);
  const budget = above?.budget ? ` ${above.path} has ${sayBudget(above.budget)}.` : "";
  const means = what === "kill"
    ? `It ends at once, as if it had crashed, and all below it. ${row.restart === "temporary" ? "It is not started again." : "Its supervisor starts it again."}${budget}`
    : "It is stopped in order, and all below it, and started again. That does not count as a crash.";
  write(at("asked"), `${what === "kill" ? "Kill" : "Restart"} ${row.path}?`);
  write(at("means"), means + (isMany(row) && row.child_count ? ` ${number(row.child_count)} processes are below it.` : ""));
  write(at("yes"), what === "kill" ? "Kill" : "Restart");
  if ((await confirmed()) !== "yes") return;
  try {
    await session[what](row.path);
    if (what === "restart") write(at("said"), `${row.path}: restarted`); // a kill is told by the stream
  } catch (error) {
    if (error.status === 401) return askForToken(error);
    write(at("asked"), "It was not done");
    write(at("means"), error.message);
    write(at("yes"), "OK");
    await confirmed();
  }
}

/** A user's process, or what is below it, is about them; the third name is a device's. */
function askAbout(path) {
  const [, , eid, device = ""] = path.split("/");
  showAsk(true);
  ask.about(plain(eid), plain(device));
}

function showAsk(isOpen) {
  at("ask").hidden = !isOpen;
  mark(at("asks"), "aria-expanded", isOpen);
  if (isOpen) at("question").focus();
}

function confirmed() {
  const dialog = at("confirm");
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue), { once: true }));
}

function show(isIn) {
  for (const id of ["page", "tools", "past"]) at(id).hidden = !isIn;
  at("login").hidden = isIn;
  if (isIn) return;
  showAsk(false);
  ask.clear();
  at("token").focus();
}

function askForToken(error) {
  stream.stop();
  show(false);
  write(at("refused"), error?.status === 401 ? "The session is over: log in again." : "");
}

function begin() {
  const asked = new URLSearchParams(location.hash.slice(1));
  at("find").value = asked.get("find") ?? "";
  tree.filter(at("find").value);
  show(true);
  follow(asked.get("at") ?? "");
  if (!follows && asked.has("open")) { tree.open(asked.getAll("open")); look(); }
}

at("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await session.logIn(at("token").value, at("name").value);
    at("token").value = "";
    write(at("refused"), "");
    begin();
  } catch (error) {
    write(at("refused"), error.message);
  }
});
at("leave").addEventListener("click", async () => {
  await session.logOut().catch(() => {});
  askForToken();
});
at("find").addEventListener("input", () => {
  tree.filter(at("find").value);
  clearTimeout(typing);
  typing = setTimeout(look, TYPING_MS);
});
at("asks").addEventListener("click", () => showAsk(at("ask").hidden));
at("fold").addEventListener("click", () => tree.foldAll());
at("follows").addEventListener("click", () => follow(""));
setInterval(() => { if (isLive) { tree.tick(now()); timeline.draw(now()); showDetails(); } }, 1000);
setInterval(showHealth, HEALTH_MS);
session.resume().then(begin, () => askForToken());
