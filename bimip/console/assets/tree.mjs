// The tree as a tree for everybody: rows that arrows walk through, as ARIA's pattern "tree view" has it.

import { backlogOf, duration, element, mark, number, write } from "./words.mjs";

const MOST_OPENED = 7; // beside the two that are searched, and the one that is followed: the server shows ten
const CELLS = ["name", "state", "for", "restarts", "backlog", "crash", "place"];

export class Tree {
  rows = new Map(); // by path
  #below = new Map(); // paths by that of their parent, in the server's order
  #drawn = new Map(); // elements by path
  #order = []; // the rows that are shown
  #folded = new Set(); // static supervisors, which are open by themselves
  #opened = new Set(); // dynamic ones, which are not
  #text = "";
  #focus = "";
  chosen = "";

  /** `onChoose(path)`; `onOpen()` when the server is to be asked for others. */
  constructor(box, { onChoose, onOpen }) {
    Object.assign(this, { box, onChoose, onOpen });
    box.addEventListener("keydown", (event) => this.#onKey(event));
    box.addEventListener("click", (event) => this.#onClick(event));
    box.addEventListener("focusin", (event) => this.#move(event.target.dataset.path, { focuses: false }));
  }

  get opened() {
    const searched = [...this.rows.values()].filter((row) => isMany(row) && this.#isSearched(row)).map((row) => row.path);
    return [...new Set([...searched, ...this.#opened])];
  }

  open(paths) {
    this.#opened = new Set(paths);
  }

  take({ rows = [], gone = [] }, isFirst) {
    if (isFirst) { this.rows.clear(); this.#below.clear(); }
    for (const path of gone) this.#drop(path);
    for (const row of rows) {
      const known = this.rows.get(row.path);
      if (known) Object.assign(known, row);
      else {
        this.rows.set(row.path, row);
        if (!this.#below.has(row.parent)) this.#below.set(row.parent, []);
        this.#below.get(row.parent).push(row.path);
      }
    }
    this.draw();
  }

  filter(text) {
    this.#text = text.toLowerCase();
    this.draw();
  }

  foldAll() {
    this.#opened.clear();
    for (const row of this.rows.values()) if (row.parent && row.kind === "supervisor") this.#folded.add(row.path);
    this.onOpen();
    this.draw();
  }

  flash(path, what) {
    const drawn = this.#drawn.get(path) ?? this.#drawn.get(this.#nearest(path));
    if (!drawn) return;
    drawn.classList.remove("crashed", "killed", "restarted", "gave-up", "overdue");
    void drawn.offsetWidth; // so that the same flash begins again
    drawn.classList.add(what.replace(" ", "-"));
  }

  choose(path) {
    this.#move(path, { focuses: false });
    this.chosen = path;
    for (const [own, drawn] of this.#drawn) mark(drawn, "aria-selected", own === path);
    this.onChoose(path);
  }

  /** Shows what there is: rows in their place, those that are there already untouched. */
  draw() {
    this.#order = [...this.#visible()];
    const shown = new Set(this.#order);
    for (const [path, drawn] of this.#drawn) if (!shown.has(path)) { drawn.remove(); this.#drawn.delete(path); }
    let before = null;
    for (const path of this.#order) {
      const drawn = this.#drawn.get(path) ?? this.#make(path);
      const place = before ? before.nextSibling : this.box.firstChild;
      if (drawn !== place) this.box.insertBefore(drawn, place);
      before = drawn;
      this.#write(drawn, this.rows.get(path));
    }
    if (!shown.has(this.#focus)) this.#focus = this.#order[0] ?? "";
    for (const [path, drawn] of this.#drawn) mark(drawn, "tabindex", path === this.#focus ? 0 : -1);
  }

  /** Where the arrows go on. */
  focus() {
    this.#move(this.#focus);
  }

  tick(now) {
    this.now = now;
    for (const path of this.#order) write(this.#drawn.get(path).cells.for, duration(now - this.rows.get(path).since));
  }

  *#visible(paths = this.#tops()) {
    for (const path of paths) {
      const row = this.rows.get(path);
      const below = [...this.#visible(this.#isOpen(row) ? this.#below.get(path) ?? [] : [])];
      if (!this.#text || below.length || this.#says(row)) yield path;
      yield* below;
    }
  }

  #tops() {
    return [...this.rows.values()].filter((row) => !this.rows.has(row.parent)).map((row) => row.path);
  }

  #says(row) {
    const crash = row.last_crash ? `${row.last_crash.type} ${row.last_crash.message}` : "";
    return `${row.path} ${row.state} ${row.waiting_at} ${crash}`.toLowerCase().includes(this.#text);
  }

  #isOpen(row) {
    if (isMany(row)) return this.#opened.has(row.path) || this.#isSearched(row);
    return Boolean(this.#text) || !this.#folded.has(row.path);
  }

  /** What is looked for may be below, of which the server has the names: users and connections, not each one's own. */
  #isSearched(row) {
    const above = this.rows.get(row.parent);
    return Boolean(this.#text) && above !== undefined && !isMany(above);
  }

  #toggle(path, open) {
    const row = this.rows.get(path);
    if (isMany(row)) {
      if (open) {
        this.#opened.add(path);
        for (const first of this.#opened) if (this.#opened.size > MOST_OPENED) this.#opened.delete(first);
      }
      else for (const each of [...this.#opened]) if (each === path || each.startsWith(`${path}/`)) this.#opened.delete(each);
      this.onOpen();
    } else if (open) this.#folded.delete(path);
    else this.#folded.add(path);
    this.draw();
  }

  #drop(path) {
    const row = this.rows.get(path);
    if (!row) return;
    this.rows.delete(path);
    const siblings = this.#below.get(row.parent) ?? [];
    const at = siblings.indexOf(path);
    if (at >= 0) siblings.splice(at, 1);
    if (!siblings.length) this.#below.delete(row.parent);
  }

  #nearest(path) {
    let found = path;
    while (found && !this.#drawn.has(found)) found = found.slice(0, Math.max(0, found.lastIndexOf("/")));
    return found;
  }

  #depth(row) {
    return row.path.split("/").length - 1;
  }

  #make(path) {
    const cells = Object.fromEntries(CELLS.map((name) => [name, element("span", { class: name })]));
    const fold = element("span", { class: "fold", "aria-hidden": "true" });
    const label = element("span", { class: "label" });
    const count = element("span", { class: "count" });
    cells.name.append(fold, label, count);
    const made = element("div", { class: "row", role: "treeitem", "aria-selected": "false", tabindex: "-1" }, ...Object.values(cells));
    made.dataset.path = path;
    Object.assign(made, { cells, fold, label, count });
    this.#drawn.set(path, made);
    return made;
  }

  #write(drawn, row) {
    const { cells } = drawn;
    const top = this.#order[0] ? this.#depth(this.rows.get(this.#order[0])) : 0;
    const siblings = this.#below.get(row.parent) ?? [row.path];
    const has = row.child_count > 0;
    mark(drawn, "aria-level", this.#depth(row) - top + 1);
    mark(drawn, "aria-posinset", siblings.indexOf(row.path) + 1);
    mark(drawn, "aria-setsize", siblings.length);
    mark(drawn, "aria-expanded", has ? this.#isOpen(row) : null);
    mark(drawn, "aria-selected", row.path === this.chosen);
    mark(drawn, "data-state", row.state);
    drawn.style.setProperty("--level", this.#depth(row) - top);
    write(drawn.label, row.id);
    mark(drawn.label, "title", row.path);
    const shown = (this.#below.get(row.path) ?? []).length;
    const many = isMany(row) && has;
    write(drawn.count, !many ? "" : this.#isOpen(row) && shown < row.child_count ? `${number(shown)} of ${number(row.child_count)}` : number(row.child_count));
    write(cells.state, row.state);
    if (this.now) write(cells.for, duration(this.now - row.since));
    write(cells.restarts, row.budget?.restarts ? `${row.restarts ? `${row.restarts} · ` : ""}${row.budget.restarts}/${row.budget.intensity}` : row.restarts ? String(row.restarts) : "");
    mark(cells.restarts, "title", row.budget?.restarts ? `of its own; ${row.budget.restarts} of ${row.budget.intensity} restarts of children spent within ${row.budget.period_seconds} s` : null);
    mark(cells.restarts, "class", row.budget && row.budget.restarts && row.budget.intensity - row.budget.restarts <= 1 ? "restarts low" : "restarts");
    const backlog = backlogOf(row);
    write(cells.backlog, backlog ? number(backlog) : "");
    write(cells.crash, row.last_crash ? row.last_crash.type + (row.last_crash.message ? `: ${row.last_crash.message}` : "") : "");
    write(cells.place, row.waiting_at);
    mark(drawn, "aria-label", spoken(row));
  }

  #move(path, { focuses = true } = {}) {
    if (!path || !this.#drawn.has(path)) return;
    const was = this.#drawn.get(this.#focus);
    if (was) mark(was, "tabindex", -1);
    this.#focus = path;
    const drawn = this.#drawn.get(path);
    mark(drawn, "tabindex", 0);
    if (focuses) { drawn.focus(); drawn.scrollIntoView({ block: "nearest" }); }
  }

  #onClick(event) {
    const drawn = event.target.closest(".row");
    if (!drawn) return;
    const { path } = drawn.dataset;
    if (event.target.closest(".fold") && drawn.hasAttribute("aria-expanded")) this.#toggle(path, drawn.getAttribute("aria-expanded") === "false");
    else this.choose(path);
  }

  #onKey(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const path = this.#focus, at = this.#order.indexOf(path), row = this.rows.get(path);
    if (!row) return;
    const has = row.child_count > 0, isOpen = has && this.#isOpen(row);
    const moves = {
      ArrowDown: () => this.#move(this.#order[at + 1]),
      ArrowUp: () => this.#move(this.#order[at - 1]),
      Home: () => this.#move(this.#order[0]),
      End: () => this.#move(this.#order.at(-1)),
      ArrowRight: () => (has && !isOpen ? this.#toggle(path, true) : isOpen && this.#move(this.#order[at + 1])),
      ArrowLeft: () => (isOpen ? this.#toggle(path, false) : this.#move(row.parent)),
      Enter: () => this.choose(path),
      " ": () => this.choose(path),
    };
    const move = moves[event.key] ?? (/^[\p{L}\p{N}]$/u.test(event.key) ? () => this.#type(event.key, at) : null);
    if (!move) return;
    event.preventDefault();
    move();
  }

  /** Goes to the next row whose name begins with what is typed. */
  #type(key, at) {
    const rest = [...this.#order.slice(at + 1), ...this.#order.slice(0, at + 1)];
    this.#move(rest.find((path) => this.rows.get(path).id.toLowerCase().startsWith(key.toLowerCase())));
  }
}

/** Its children may be very many, and are shown when it is opened. */
export const isMany = (row) => row.kind === "dynamic supervisor";

function spoken(row) {
  const parts = [row.id, row.state];
  if (row.restarts) parts.push(`${row.restarts} restarts`);
  if (isMany(row)) parts.push(`${number(row.child_count)} below`);
  if (row.last_crash) parts.push(`last crash ${row.last_crash.type}`);
  return parts.join(", ");
}
