// The supervision tree as it changes: a row for each process, with a button that kills it.

import { ask } from "./demonstration.mjs";
import { button, element, mark, nameOf, several, write } from "./words.mjs";

const SILENCE_MS = 25_000; // the server says something every ten seconds
const AGAIN_MS = 1000;
const FLASH_MS = 6000;

export class Processes {
  #rows = new Map(); // path -> row
  #drawn = new Map(); // path -> element
  #isThere = false;

  /** `count`, `said`: where it is told how many there are, and what happened; `onState(isThere)`. */
  constructor(box, { count, said, onState }) {
    Object.assign(this, { box, count, said, onState });
  }

  /** Looks for as long as the page lives. `onBack()`: the server was away and came back. */
  async watch(eids, onBack) {
    const query = new URLSearchParams();
    for (const path of ["bimip/users", ...new Set(eids.map((eid) => `bimip/users/${eid}`)), "bimip/gateway/connections"]) query.append("open", path);
    let wasAway = false;
    for (;;) {
      const abort = new AbortController();
      try {
        const response = await ask("GET", `/tree/stream?${query}`, { signal: abort.signal });
        if (wasAway) await onBack();
        wasAway = false;
        await this.#read(response.body.getReader());
      } catch { /* it is tried again */ }
      wasAway = true;
      this.#set(false);
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }

  #set(isThere) {
    if (this.#isThere !== isThere) this.onState(isThere);
    this.#isThere = isThere;
    this.box.classList.toggle("stale", !isThere);
  }

  async #read(reader) {
    const decoder = new TextDecoder();
    let text = "", isFirst = true, watchdog = 0;
    try {
      for (;;) {
        clearTimeout(watchdog);
        watchdog = setTimeout(() => reader.cancel(), SILENCE_MS);
        const { value, done } = await reader.read();
        if (done) return;
        const lines = (text += decoder.decode(value, { stream: true })).split("\n");
        text = lines.pop();
        for (const line of lines) {
          this.#take(JSON.parse(line), isFirst);
          isFirst = false;
          this.#set(true);
        }
      }
    } finally { clearTimeout(watchdog); }
  }

  #take({ rows = [], gone = [], events = [] }, isFirst) {
    if (isFirst) this.#rows.clear();
    for (const path of gone) this.#rows.delete(path);
    for (const row of rows) this.#rows.set(row.path, { ...this.#rows.get(row.path), ...row });
    this.#draw();
    if (isFirst) return;
    for (const { path, what } of events) this.#flash(path, what);
    const last = events.at(-1);
    if (last) write(this.said, `${plain(last.path)} ${last.what}`);
  }

  #draw() {
    for (const [path, node] of this.#drawn) if (!this.#rows.has(path)) { node.remove(); this.#drawn.delete(path); }
    let before = null;
    for (const row of this.#ordered()) {
      const node = this.#drawn.get(row.path) ?? this.#make(row);
      const place = before ? before.nextSibling : this.box.firstChild;
      if (node !== place) this.box.insertBefore(node, place);
      before = node;
      mark(node, "data-state", row.state);
      write(node.state, row.state === "running" ? "" : row.state);
      write(node.restarts, row.restarts ? several(row.restarts, "restart") : "");
      write(node.many, row.kind === "dynamic supervisor" && row.child_count ? String(row.child_count) : "");
    }
    write(this.count, this.#rows.size ? several(this.#rows.size, "process", "processes") : "");
  }

  *#ordered(parent = "") {
    for (const row of this.#rows.values()) {
      if (row.parent !== parent) continue;
      yield row;
      yield* this.#ordered(row.path);
    }
  }

  #make(row) {
    const depth = row.path.split("/").length - 1;
    const node = element("div", { class: "process" });
    node.style.setProperty("--depth", depth);
    Object.assign(node, { state: element("span", { class: "state" }), restarts: element("span", { class: "restarts" }), many: element("span", { class: "many" }) });
    const name = depth === 2 && row.path.startsWith("bimip/users/") ? nameOf(plain(row.id)) : plain(row.id);
    node.append(element("span", { class: "process-name", dir: "auto", title: row.path }, name), node.many, node.state, node.restarts);
    if (depth > 0) node.append(button("Kill", () => this.#kill(row.path), { class: "kill", "aria-label": `Kill ${plain(row.path)}` }));
    this.#drawn.set(row.path, node);
    return node;
  }

  #flash(path, what) {
    const node = this.#drawn.get(path);
    if (!node) return;
    node.dataset.flash = what.replace(" ", "-");
    clearTimeout(node.timer);
    node.timer = setTimeout(() => delete node.dataset.flash, FLASH_MS);
  }

  async #kill(path) {
    try {
      await ask("POST", `/kill?${new URLSearchParams({ path })}`);
      write(this.said, `${plain(path)} is killed`);
    } catch (error) {
      write(this.said, error.status ? error.message : `${plain(path)} is killed`); // the connection was below it
    }
  }
}

const plain = (name) => name.replaceAll("%2F", "/").replaceAll("%25", "%");
