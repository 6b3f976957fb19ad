// The conversations as a list of which only what is on the screen is in the page: with 500 of them as with five.

import { spoken } from "./message.mjs";
import { drawing, element, mark, nameOf, several, when, write } from "./words.mjs";

export const ROW = 66; // pixels, as chat.css has them
const MORE = 6; // rows beyond what is seen

export class Inbox {
  #rows = []; #drawn = new Map(); #chosen = ""; #focus = 0; #typing = new Map();

  /** `onChoose(conversation)`; `onMenu(row, anchor)`; `name(eid)`. */
  constructor(box, { onChoose, onMenu, name = nameOf }) {
    Object.assign(this, { box, onChoose, onMenu, name });
    this.space = element("ul", { class: "rows", role: "listbox", "aria-label": "Conversations", tabindex: "0" });
    this.nothing = element("p", { class: "empty", hidden: true });
    box.append(this.space, this.nothing);
    box.addEventListener("scroll", () => this.#draw(), { passive: true });
    new ResizeObserver(() => this.#draw()).observe(box);
    this.space.addEventListener("keydown", (event) => this.#onKey(event));
    this.space.addEventListener("click", (event) => {
      const row = event.target.closest("li");
      if (row) this.#choose(Number(row.dataset.at));
    });
    this.space.addEventListener("contextmenu", (event) => {
      const row = event.target.closest("li");
      if (row) { event.preventDefault(); this.onMenu(this.#rows[row.dataset.at], row); }
    });
  }

  get rows() { return this.#rows; }

  show(rows, { chosen, nothing = "" }) {
    const wanted = chosen !== this.#chosen ? chosen : this.#rows[this.#focus]?.conversation; // where the keys are, wherever that is now
    this.#rows = rows;
    this.#chosen = chosen;
    const at = rows.findIndex((row) => row.conversation === wanted);
    this.#focus = at >= 0 ? at : Math.min(this.#focus, Math.max(0, rows.length - 1));
    this.space.style.setProperty("height", `${rows.length * ROW}px`);
    this.nothing.hidden = rows.length > 0;
    write(this.nothing, nothing);
    this.#draw();
  }

  setTyping(conversation, words) {
    if (words) this.#typing.set(conversation, words);
    else this.#typing.delete(conversation);
    this.#draw();
  }

  #draw() {
    const first = Math.max(0, Math.floor(this.box.scrollTop / ROW) - MORE);
    const last = Math.min(this.#rows.length, Math.ceil((this.box.scrollTop + this.box.clientHeight) / ROW) + MORE);
    const wanted = new Map(this.#rows.slice(first, last).map((row, at) => [row.conversation, [row, first + at]]));
    for (const [id, node] of this.#drawn) if (!wanted.has(id)) { node.remove(); this.#drawn.delete(id); }
    let before = null;
    for (const [id, [row, at]] of wanted) {
      const node = this.#drawn.get(id) ?? this.#make(id);
      const place = before ? before.nextSibling : this.space.firstChild;
      if (node !== place) this.space.insertBefore(node, place);
      before = node;
      this.#write(node, row, at);
    }
    const active = this.#rows[this.#focus];
    mark(this.space, "aria-activedescendant", active && this.#drawn.get(active.conversation)?.id);
  }

  #make(id) {
    const node = element("li", { role: "option", class: "row" });
    node.parts = {
      avatar: element("span", { class: "avatar", "aria-hidden": "true" }), title: element("span", { class: "title", dir: "auto" }),
      time: element("span", { class: "time" }), line: element("span", { class: "line", dir: "auto" }), signs: element("span", { class: "signs" }),
    };
    node.append(...Object.values(node.parts));
    this.#drawn.set(id, node);
    return node;
  }

  #write(node, row, at) {
    const title = titleOf(row, this.name);
    node.id = `row-${at}`;
    node.dataset.at = at;
    node.dataset.id = row.conversation;
    node.style.setProperty("top", `${at * ROW}px`);
    mark(node, "aria-selected", String(row.conversation === this.#chosen));
    mark(node, "aria-posinset", at + 1);
    mark(node, "aria-setsize", this.#rows.length);
    node.classList.toggle("active", at === this.#focus);
    node.classList.toggle("new", row.unread > 0 || Boolean(row.marked));
    write(node.parts.avatar, [...title][0]?.toUpperCase() ?? "");
    node.parts.avatar.dataset.hue = hueOf(row.conversation);
    write(node.parts.title, title);
    write(node.parts.time, row.time ? when(row.time) : "");
    const typing = this.#typing.get(row.conversation);
    write(node.parts.line, typing ?? (row.draft ? `Draft: ${row.draft}` : row.last ? lineOf(row, this.name) : ""));
    node.parts.line.classList.toggle("draft", !typing && Boolean(row.draft));
    const said = JSON.stringify([row.unread, row.mentions, row.marked, row.muted, row.pinned]);
    if (node.parts.signs.dataset.said === said) return;
    node.parts.signs.dataset.said = said;
    const signs = [];
    if (row.pinned) signs.push(sign("pin", "pinned"));
    if (row.muted) signs.push(sign("mute", "muted"));
    if (row.mentions) signs.push(element("span", { class: "badge mention", role: "img", "aria-label": `mentions you ${row.mentions} times` }, "@"));
    if (row.unread || row.marked) signs.push(element("span", { class: "badge", role: "img", "aria-label": row.unread ? `${several(row.unread, "new message")}` : "marked as unread" }, row.unread ? (row.unread > 999 ? "999+" : String(row.unread)) : " "));
    node.parts.signs.replaceChildren(...signs);
  }

  #choose(at) {
    this.#focus = at;
    const row = this.#rows[at];
    if (row) this.onChoose(row.conversation, row);
    this.#draw();
  }

  #onKey(event) {
    const page = Math.max(1, Math.floor(this.box.clientHeight / ROW) - 1);
    const to = { ArrowDown: this.#focus + 1, ArrowUp: this.#focus - 1, Home: 0, End: this.#rows.length - 1, PageDown: this.#focus + page, PageUp: this.#focus - page }[event.key];
    const row = this.#rows[this.#focus];
    if (to !== undefined) {
      event.preventDefault();
      this.#focus = Math.max(0, Math.min(this.#rows.length - 1, to));
      const top = this.#focus * ROW;
      if (top < this.box.scrollTop) this.box.scrollTop = top;
      else if (top + ROW > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = top + ROW - this.box.clientHeight;
      this.#draw();
    } else if ((event.key === "Enter" || event.key === " ") && row) {
      event.preventDefault();
      this.#choose(this.#focus);
    } else if ((event.key === "ContextMenu" || (event.shiftKey && event.key === "F10")) && row) {
      event.preventDefault();
      this.onMenu(row, this.#drawn.get(row.conversation) ?? this.space);
    }
  }
}

const sign = (icon, words) => element("span", { class: "sign", role: "img", "aria-label": words, title: words }, drawing(icon));

export function titleOf(row, name = nameOf) {
  if (row.kind === "group") return row.title || "A group";
  if (row.kind === "feed") return `Feed of ${name(row.peer ?? "")}`;
  return row.title && row.title !== row.peer ? row.title : name(row.peer ?? row.conversation.replace(/^to:/, ""));
}

function lineOf(row, name) {
  const { last } = row;
  if (last.event) return spoken(last, name);
  const text = last.isDeleted ? "Deleted" : (last.text ?? "").slice(0, 200);
  if (last.isMine) return `You: ${text}`;
  return row.kind === "group" ? `${name(last.author.eid)}: ${text}` : text;
}

function hueOf(id) {
  let sum = 0;
  for (const one of String(id)) sum = (sum * 31 + one.codePointAt(0)) % 6;
  return sum;
}
