// The messages of a conversation as a list of which a window is in the page: however long the conversation is, the page has
// at most `WINDOW` rows of it. The window is read from this device's database each time, by the place that it ends before;
// where that has no more, the server is asked for what is older.

import { drawMessage, keyOf, signature, spoken } from "./message.mjs";
import { button, day, element, say, write } from "./words.mjs";

export const WINDOW = 120;
const STEP = 60; // by how many rows the window moves
const EDGE = 400; // pixels before an end at which it does

export class Messages {
  /** The element that holds it. */
  box; list;
  conversation = null;
  #device; #context; #thread; #isQuiet;
  #rows = new Map(); // key -> {row, signature, view}
  #views = [];
  #ends = []; // the places before which earlier windows ended, the newest last; empty: the window is at the end
  #end = null;
  #isComplete = false; // the server has nothing older
  #isReading = false; #readsAgain = false; #isMoving = false;
  #quotes = new Map(); // signalId -> view or null
  #atEnd = true;
  #shown = 0; // counts what was shown, so that what was asked for another conversation is left aside

  /** `context`: as of `drawMessage`, but for `quote`; `onSeen(view)`: the newest one that is on the screen. */
  constructor(device, context, { thread = null, label = "Messages" } = {}) {
    this.#device = device;
    this.#thread = thread;
    this.#context = { ...context, inThread: thread, quote: (signalId) => this.#quotes.get(signalId) ?? undefined, onQuote: (signalId) => this.reveal(signalId) };
    this.list = element("ol", { class: "messages", "aria-label": label });
    this.begin = element("p", { class: "begin" });
    this.toEnd = button("To the newest", () => this.goToEnd(), { icon: "down", class: "icon to-end", hidden: true });
    this.box = element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, this.begin, this.list);
    this.whole = element("div", { class: "messages-box" }, this.box, this.toEnd);
    this.box.addEventListener("scroll", () => this.#onScroll(), { passive: true });
    this.box.addEventListener("keydown", (event) => this.#onKey(event));
    new ResizeObserver(() => { if (this.#atEnd && !this.#end) this.#toBottom(); }).observe(this.box);
  }

  async show(conversation) {
    this.conversation = conversation;
    this.#shown += 1;
    this.#rows.clear();
    this.#views = [];
    this.#ends = [];
    this.#end = null;
    this.#isComplete = false;
    this.#atEnd = true;
    this.list.replaceChildren();
    await this.refresh();
    this.#toBottom();
    if (this.#views.length < STEP) this.#askForOlder().catch(() => {}); // nobody waits for the server to see what is here
  }

  /** A conversation that existed only here has got its id. */
  rename(conversation) { this.conversation = conversation; return this.refresh(); }

  /** Reads nothing any more. */
  stop() {
    this.conversation = null;
    this.#shown += 1;
  }

  get views() { return this.#views; }
  get last() { return this.#views.at(-1); }
  get isAtEnd() { return this.#atEnd && !this.#end; }

  /** Reads the window anew. Several calls meanwhile are one. */
  async refresh() {
    if (this.#isReading) { this.#readsAgain = true; return this.#reading; }
    this.#isReading = true;
    this.#reading = (async () => {
      try {
        do {
          this.#readsAgain = false;
          await this.#read();
        } while (this.#readsAgain);
      } finally { this.#isReading = false; }
    })();
    return this.#reading;
  }
  #reading = Promise.resolve();

  async #read() {
    const shown = this.#shown, conversation = this.conversation;
    if (!conversation) return;
    const asked = { limit: WINDOW };
    if (this.#end) asked.before = this.#end;
    if (this.#thread) asked.thread = this.#thread;
    try {
      const views = await this.#device.messages(conversation, asked);
      if (shown !== this.#shown) return;
      await this.#readQuotes(views);
      if (shown === this.#shown) this.#draw(views);
    } catch (error) {
      if (shown === this.#shown) throw error; // else nobody looks any more, and the device may be closed
    }
  }

  async #readQuotes(views) {
    if (this.#quotes.size > 10 * WINDOW) this.#quotes.clear();
    for (const view of views) this.#quotes.set(keyOf(view), view);
    const missing = new Set(views.map((view) => view.replyTo).filter((id) => id && !this.#quotes.has(id)));
    for (const id of missing) this.#quotes.set(id, (await this.#device.message?.(id)) ?? null);
  }

  #draw(views) {
    const wasAtEnd = this.isAtEnd, isFirst = !this.#views.length;
    const anchor = wasAtEnd ? null : this.#anchor();
    const known = this.#views.at(-1);
    const kept = new Set(views.map(keyOf));
    for (const [key, { row }] of this.#rows) if (!kept.has(key)) { row.remove(); this.#rows.delete(key); }
    const hasFocus = this.list.contains(document.activeElement) ? document.activeElement.closest("li")?.dataset.key : null;
    let before = null, date = "";
    for (const node of [...this.list.querySelectorAll(".day")]) node.remove();
    for (const view of views) {
      const key = keyOf(view);
      const today = new Date(view.time).toDateString();
      if (today !== date) {
        date = today;
        before = this.#place(element("li", { class: "day" }, day(view.time)), before);
      }
      before = this.#place(this.#rowOf(key, view), before);
    }
    if (hasFocus && !this.list.contains(document.activeElement)) this.#rows.get(hasFocus)?.row.focus();
    this.#views = views;
    write(this.begin, this.#isComplete && views.length < WINDOW ? (views.length ? "" : "Nothing has been written here") : "");
    if (anchor) this.#restore(anchor);
    else if (!this.#end) this.#toBottom();
    const last = views.at(-1);
    if (!isFirst && last && known && keyOf(last) !== keyOf(known) && !last.isMine && !this.#end) say(spoken(last, this.#context.name));
    this.#onSeen();
  }

  #rowOf(key, view) {
    const said = signature([view, this.#quotes.get(view.replyTo)]);
    const known = this.#rows.get(key);
    if (known?.signature === said) return known.row;
    const row = drawMessage(view, this.#context);
    row.dataset.key = key;
    if (known) known.row.replaceWith(row);
    this.#rows.set(key, { row, signature: said, view });
    return row;
  }

  #place(node, before) {
    const place = before ? before.nextSibling : this.list.firstChild;
    if (node !== place) this.list.insertBefore(node, place);
    return node;
  }

  /** The first row on the screen, and where it is. */
  #anchor() {
    const top = this.box.scrollTop;
    for (const [key, { row }] of this.#rows) {
      if (row.offsetTop + row.offsetHeight >= top) return { key, at: row.offsetTop - top };
    }
    return null;
  }

  #restore({ key, at }) {
    const row = this.#rows.get(key)?.row;
    if (row) this.box.scrollTop = row.offsetTop - at;
  }

  #toBottom() {
    this.box.scrollTop = this.box.scrollHeight;
    this.#atEnd = true;
    this.toEnd.hidden = true;
  }

  async goToEnd() {
    this.#ends = [];
    this.#end = null;
    this.#atEnd = true;
    await this.refresh();
    this.#toBottom();
  }

  #onScroll() {
    const { scrollTop, scrollHeight, clientHeight } = this.box;
    this.#atEnd = scrollHeight - scrollTop - clientHeight < 40;
    this.toEnd.hidden = this.isAtEnd;
    this.#onSeen();
    if (this.#isMoving) return;
    if (scrollTop < EDGE) this.#move(() => this.#back());
    else if (this.#end && scrollHeight - scrollTop - clientHeight < EDGE) this.#move(() => this.#forward());
  }

  async #move(step) {
    const before = this.#views[0];
    this.#isMoving = true;
    try { await step(); } finally { this.#isMoving = false; }
    const first = this.#views[0]; // whoever scrolled on meanwhile is at an end again
    if (first && before && keyOf(first) !== keyOf(before)) this.#onScroll();
  }

  /** Moves the window to older ones. */
  async #back() {
    if (this.#views.length < WINDOW) return this.#askForOlder();
    this.#ends.push(this.#end);
    this.#end = this.#views[WINDOW - STEP].order;
    this.#atEnd = false;
    await this.refresh();
  }

  async #forward() {
    this.#end = this.#ends.pop() ?? null;
    await this.refresh();
  }

  async #askForOlder() {
    if (this.#isComplete || this.#thread || !this.#device.condition.isConnected || String(this.conversation).startsWith("to:")) return;
    const shown = this.#shown;
    write(this.begin, "Looking for older messages");
    try {
      const hasMore = await this.#device.older(this.conversation, STEP);
      if (shown !== this.#shown) return;
      this.#isComplete = !hasMore;
    } catch { /* it is asked again when somebody scrolls */ }
    if (shown !== this.#shown) return;
    write(this.begin, "");
    const at = this.isAtEnd;
    await this.refresh();
    if (at) this.#toBottom();
  }

  /** Goes to a message, if it is in the window or not far before it. */
  async reveal(signalId) {
    for (let tries = 0; tries < 40 && !this.#rows.has(signalId); tries++) {
      const first = this.#views[0];
      await this.#back();
      if (this.#views[0] === first || this.#views.length < WINDOW) break;
    }
    const row = this.#rows.get(signalId)?.row;
    if (!row) return false;
    row.scrollIntoView({ block: "center" });
    row.focus({ preventScroll: true });
    row.classList.add("found");
    setTimeout(() => row.classList.remove("found"), 2000);
    return true;
  }

  #onSeen() {
    if (this.isAtEnd && this.#views.length) this.#context.onSeen?.(this.#views.at(-1));
  }

  #onKey(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const row = document.activeElement?.closest?.("li.message, li.event");
    const rows = [...this.list.querySelectorAll("li.message, li.event")];
    const at = row ? rows.indexOf(row) : rows.length;
    const view = row ? this.#rows.get(row.dataset.key)?.view : null;
    const go = (to) => { rows[Math.max(0, Math.min(rows.length - 1, to))]?.focus(); };
    const inRow = event.target === row;
    const keys = {
      ArrowUp: () => go(at - 1), ArrowDown: () => go(at + 1), Home: () => go(0), End: () => this.goToEnd().then(() => go(Infinity)),
      Enter: view && inRow && (() => this.#context.onMenu(view, row.querySelector(".acts button") ?? row)),
      " ": view && inRow && (() => this.#context.onMenu(view, row.querySelector(".acts button") ?? row)),
      r: view && inRow && (() => this.#context.onReply?.(view)), e: view && inRow && (() => this.#context.onEdit?.(view)),
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  }
}
