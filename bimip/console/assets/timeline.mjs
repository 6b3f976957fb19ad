// What happened in the last hour: a bar a minute, and a list of it, the newest first.

import { clock, element, write } from "./words.mjs";

const MINUTES = 60, HEIGHT = 40, LISTED = 100;
const KINDS = ["gave up", "overdue", "crashed", "killed", "restarted"];
const SVG = "http://www.w3.org/2000/svg";

export class Timeline {
  #events = []; // the oldest first
  #drawn = "";

  constructor(chart, list, { onChoose }) {
    Object.assign(this, { list, onChoose });
    this.svg = document.createElementNS(SVG, "svg");
    this.svg.setAttribute("viewBox", `0 0 ${MINUTES * 10} ${HEIGHT}`);
    this.svg.setAttribute("preserveAspectRatio", "none");
    this.svg.setAttribute("role", "img");
    this.sum = element("p", { class: "sum" });
    const scale = element("p", { class: "scale", "aria-hidden": "true" }, element("span", {}, "60 min ago"), element("span", {}, "30"), element("span", {}, "now"));
    chart.append(this.svg, scale, this.sum);
  }

  take(events, isFirst) {
    if (isFirst) { this.#events = []; this.list.replaceChildren(); }
    this.#events.push(...events);
    for (const event of events.slice(-LISTED)) this.list.prepend(this.#item(event));
    while (this.list.children.length > LISTED) this.list.lastChild.remove();
    if (!this.list.children.length) this.list.append(element("li", { class: "none" }, "Nothing crashed, nothing was restarted."));
    else this.list.querySelector(".none")?.remove();
  }

  draw(now) {
    const minute = Math.floor(now / 60);
    this.#events = this.#events.filter((event) => event.when > now - MINUTES * 60);
    const columns = Array.from({ length: MINUTES }, () => ({}));
    for (const { when, what } of this.#events) {
      const column = columns[MINUTES - 1 - (minute - Math.floor(when / 60))];
      if (column) column[what] = (column[what] ?? 0) + 1;
    }
    const counts = KINDS.map((what) => [what, this.#events.filter((event) => event.what === what).length]).filter(([, count]) => count);
    write(this.sum, counts.map(([what, count]) => `${count} ${what}`).join(" · ") || "quiet");
    this.svg.setAttribute("aria-label", `The last hour: ${this.sum.textContent}`);
    const state = JSON.stringify(columns);
    if (state === this.#drawn) return;
    this.#drawn = state;
    this.svg.replaceChildren(...columns.flatMap((column, at) => bars(column, at)));
  }

  #item({ when, what, path, text }) {
    const link = element("button", { class: "link", title: "Show this process" }, path);
    link.addEventListener("click", () => this.onChoose(path));
    return element("li", { class: what.replace(" ", "-") }, element("time", {}, clock(when)), element("b", {}, what), link, element("span", {}, text));
  }
}

/** One minute's, on top of each other; many are drawn less than in proportion. */
function bars(column, at) {
  const total = Object.values(column).reduce((sum, count) => sum + count, 0);
  const ground = rectangle(at, HEIGHT - 1, 1, "ground");
  if (!total) return [ground];
  const height = Math.min(HEIGHT - 2, 6 + 8 * Math.log2(total));
  let y = HEIGHT - 1;
  return [ground, ...KINDS.toReversed().filter((what) => column[what]).map((what) => {
    const own = (height * column[what]) / total;
    y -= own;
    return rectangle(at, y, own, what.replace(" ", "-"));
  })];
}

function rectangle(at, y, height, kind) {
  const made = document.createElementNS(SVG, "rect");
  for (const [name, value] of Object.entries({ x: at * 10 + 1, y, width: 8, height, class: kind })) made.setAttribute(name, value);
  return made;
}
