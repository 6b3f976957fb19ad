// All that is known of one process, and what may be done to it.

import { isMany } from "./tree.mjs";
import { clock, duration, element, mark, number, sayDetail, write } from "./words.mjs";

const STRATEGIES = {
  one_for_one: "one for one: who ends is started again",
  one_for_all: "one for all: all children are started again",
  rest_for_one: "rest for one: who ends, and those after it",
};
const RESTARTS = { permanent: "permanent: always started again", transient: "transient: after a failure", temporary: "temporary: never started again" };

export class Details {
  #path = "";
  #lines = new Map();

  /** `onAct("kill" | "restart" | "follow" | "ask", row)`. */
  constructor(box, { onAct }) {
    this.box = box;
    this.title = element("h2");
    this.path = element("p", { class: "path" });
    this.buttons = element("p", { class: "buttons" });
    for (const [act, words, kind] of [["restart", "Restart…", ""], ["kill", "Kill…", "danger"], ["follow", "Follow", ""], ["ask", "Ask about them", ""]]) {
      const button = element("button", { class: kind, "data-act": act }, words);
      button.addEventListener("click", () => this.row && onAct(act, this.row));
      this.buttons.append(button);
    }
    this.list = element("dl");
    this.crash = element("section", { class: "crash" });
    this.crashHead = element("h3");
    this.trace = element("pre", { tabindex: "0", "aria-label": "Traceback of the last crash" });
    this.crash.append(this.crashHead, this.trace);
    this.hint = element("p", { class: "hint" }, "Choose a process to see all of it: arrows walk, Enter chooses, letters jump.");
    box.append(this.hint, this.title, this.path, this.buttons, this.list, this.crash);
    this.show(undefined, 0);
  }

  show(row, now, follows) {
    this.row = row;
    for (const part of [this.title, this.path, this.buttons, this.list]) part.hidden = !row;
    this.hint.hidden = Boolean(row);
    this.crash.hidden = !row?.last_crash;
    if (!row) return;
    if (row.path !== this.#path) { this.#path = row.path; this.list.replaceChildren(); this.#lines.clear(); }
    write(this.title, row.id);
    write(this.path, row.path);
    const isWhole = !row.path.includes("/"); // which is ended by SIGTERM
    for (const act of ["kill", "restart"]) this.buttons.querySelector(`[data-act=${act}]`).disabled = isWhole;
    this.buttons.querySelector("[data-act=follow]").hidden = !isMany(row) || follows === row.path;
    this.buttons.querySelector("[data-act=ask]").hidden = !row.path.startsWith("bimip/users/");
    const facts = new Map([
      ["state", `${row.state} for ${duration(now - row.since)}`],
      ["kind", row.kind],
      ["strategy", row.strategy ? STRATEGIES[row.strategy] ?? row.strategy : isMany(row) ? "each child for itself" : ""],
      ["restart", RESTARTS[row.restart] ?? row.restart],
      ["restarts", String(row.restarts)],
      ["budget", row.budget ? sayBudget(row.budget) : ""],
      ["children", row.child_count ? number(row.child_count) : ""],
      ["waits at", row.waiting_at],
      ...Object.entries(row.details).map(([name, value]) => [name.replaceAll("_", " "), sayDetail(value)]),
    ]);
    for (const [name, [term, value]] of this.#lines) if (!facts.get(name)) { term.remove(); value.remove(); this.#lines.delete(name); }
    for (const [name, text] of facts) if (text) this.#line(name, text);
    if (row.last_crash) {
      const { type, message, when, traceback } = row.last_crash;
      write(this.crashHead, `Last crash: ${type}${message ? `: ${message}` : ""}, at ${clock(when)}, ${duration(now - when)} ago`);
      write(this.trace, traceback || "It was ended from outside: there is no traceback.");
    }
  }

  #line(name, text) {
    let line = this.#lines.get(name);
    if (!line) {
      line = [element("dt", {}, name), element("dd")];
      this.list.append(...line);
      this.#lines.set(name, line);
    }
    write(line[1], text);
    mark(line[1], "class", name === "waits at" ? "code" : null);
  }
}

export function sayBudget({ restarts, intensity, period_seconds: seconds }) {
  return `${Math.max(0, intensity - restarts)} of ${intensity} restarts left within ${seconds} s`;
}
