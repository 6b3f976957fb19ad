// A conversation of a device: its messages, who types, and where one writes. The demonstration has one for each device, the
// messenger one, and another beside it where a thread is open.

import { Composer } from "./composer.mjs";
import { openMenu } from "./menu.mjs";
import { Messages } from "./messages.mjs";
import { element, list, nameOf, say, short, write } from "./words.mjs";

const REACTIONS = ["👍", "❤️", "😂", "🎉"];
const TYPING_LASTS_MS = 8000; // whoever is cut off in the middle says no PAUSED

export class Conversation {
  id = null;
  #device; #options; #offs = []; #typing = new Map(); #isLooked = false; #toldRead = new Map(); #kind = "direct"; #isClosed = false;

  /**
   * Options: `name(eid)`, `records` (as of Composer), `keepsDraft`, `thread` (a signalId), `onThread(conversation, signalId)`,
   * `onMoved(id)`: what was "to:" and an eid has its id; `onRefused(error)`.
   */
  constructor(device, options = {}) {
    this.#device = device;
    this.#options = { name: nameOf, ...options };
    const { name, thread } = this.#options;
    const me = () => device.condition.identity?.eid;
    this.name = (eid) => (eid === me() ? "You" : name(eid));
    this.messages = new Messages(device, {
      name: this.name,
      isGroup: () => this.#kind === "group",
      onMenu: (view, anchor) => this.#openMenu(view, anchor),
      onReact: (view, emoji, on) => this.#do(() => (on ? device.react(view.signalId, emoji) : device.unreact(view.signalId, emoji))),
      onThread: (signalId) => this.#options.onThread?.(this.id, signalId),
      onSeen: (view) => this.#seen(view),
      onReply: (view) => this.composer.reply(view),
      onEdit: (view) => view.isMine && this.composer.edit(view),
    }, { thread, label: this.#options.label ?? "Messages" });
    this.composer = new Composer({
      onSend: (text, replyTo) => this.#send(text, replyTo),
      onEdit: (view, text) => this.#do(() => device.edit(view.signalId || view.id, text)),
      onTyping: (kind) => { if (this.id) device.typing(this.id, kind); },
      onDraft: (text) => { if (this.#options.keepsDraft && this.id && !thread) this.#do(() => device.draft(this.id, text)); },
      onLast: () => this.messages.views.findLast((view) => view.isMine && !view.isDeleted && !view.event),
      records: this.#options.records,
      label: thread ? "Reply in the thread" : "Message",
    });
    this.typing = element("p", { class: "typing", role: "status" });
    this.box = element("div", { class: "conversation" }, this.messages.whole, this.typing, this.composer.box);
    this.#offs = [
      device.on("conversation", (id) => { if (id === this.id) this.#changed(); }),
      device.on("message", (view) => this.#onMessage(view)),
      device.on("typing", (told) => this.#onTyping(told)),
    ];
    this.composer.field.addEventListener("focus", () => this.look(true));
  }

  async show(id, { draft = "", kind = "direct" } = {}) {
    this.id = id;
    this.#kind = kind;
    this.#typing.clear();
    this.#showTyping();
    this.composer.set(draft);
    await this.messages.show(id);
  }

  /** Whether somebody looks at it: then what is on the screen has been read. */
  look(isLooked) {
    this.#isLooked = isLooked;
    if (isLooked && this.messages.isAtEnd && this.messages.last) this.#seen(this.messages.last);
  }

  close() {
    this.#isClosed = true;
    for (const off of this.#offs) off();
    this.messages.stop();
    this.box.remove();
  }

  #send(text, replyTo) {
    const { thread } = this.#options, message = { text };
    if (String(this.id).startsWith("to:")) message.to = this.id.slice(3);
    else message.conversation = this.id;
    if (replyTo) message.replyTo = replyTo;
    if (thread) { message.thread = thread; message.replyTo ??= thread; }
    this.#do(async () => {
      const { sent } = await this.#device.send(message);
      sent.catch((error) => this.#refused(error));
      await this.messages.goToEnd();
    });
  }

  #onMessage(view) {
    this.#typing.delete(view.author.eid);
    if (view.conversation === this.id || String(this.id).startsWith("to:")) this.#changed();
    this.#showTyping();
  }

  /** One that has no id of the server's yet may have got one. */
  async #changed() {
    const shown = this.id;
    if (!String(shown).startsWith("to:")) return this.messages.refresh();
    const id = await this.#device.conversationWith(shown.slice(3));
    if (this.id !== shown || this.#isClosed) return; // nobody looks at it any more
    if (id === shown) return this.messages.refresh();
    this.id = id;
    this.#options.onMoved?.(id);
    return this.messages.rename(id);
  }

  #seen(view) {
    if (!this.#isLooked || document.visibilityState !== "visible") return;
    if (!view.offset || Number(view.offset) <= Number(this.#toldRead.get(this.id) ?? 0)) return;
    this.#toldRead.set(this.id, view.offset);
    this.#do(() => this.#device.markRead(this.id, view.offset));
  }

  #onTyping({ conversation, eid, kind, on }) {
    if (conversation !== this.id) return;
    clearTimeout(this.#typing.get(eid)?.timer);
    if (on && kind !== "PAUSED") this.#typing.set(eid, { kind, timer: setTimeout(() => { this.#typing.delete(eid); this.#showTyping(); }, TYPING_LASTS_MS) });
    else this.#typing.delete(eid);
    this.#showTyping();
  }

  #showTyping() {
    const by = (kind) => [...this.#typing].filter(([, one]) => one.kind === kind).map(([eid]) => this.name(eid));
    const parts = [["TYPING", "typing"], ["RECORDING", "recording"]].map(([kind, words]) => [by(kind), words]);
    write(this.typing, parts.filter(([who]) => who.length).map(([who, words]) => `${list(who)} ${who.length > 1 ? "are" : "is"} ${words} …`).join(" "));
  }

  #openMenu(view, anchor) {
    const device = this.#device, id = view.signalId, items = [];
    if (id && !view.isDeleted) {
      const mine = new Set((view.reactions ?? []).filter((one) => one.mine).map((one) => one.emoji));
      items.push(REACTIONS.map((emoji) => [emoji, () => this.#do(() => (mine.has(emoji) ? device.unreact(id, emoji) : device.react(id, emoji))), { "aria-label": `React with ${emoji}` }]));
      items.push(["Reply", () => this.composer.reply(view)]);
      if (!this.#options.thread && this.#options.onThread) items.push(["Reply in a thread", () => this.#options.onThread(this.id, view.thread || id)]);
    }
    if (view.text) items.push(["Copy", () => this.#do(async () => { await navigator.clipboard.writeText(view.text); say("Copied"); })]);
    if (view.isMine && !view.isDeleted && view.status !== "refused") items.push(["Edit", () => this.composer.edit(view)]);
    if (id && !view.isDeleted) items.push([view.isPinned ? "Unpin" : "Pin", () => this.#do(() => device.pinMessage(id, !view.isPinned))]);
    if (id && !view.isDeleted && view.isMine) items.push(["Delete for everyone", () => this.#do(() => device.delete(id, { forAll: true })), { class: "danger" }]);
    if (id) items.push(["Delete for me", () => this.#do(() => device.delete(id, { forAll: false })), { class: "danger" }]);
    if (items.length) openMenu(anchor, items, { label: `Actions for: ${short(view.text ?? "")}` });
  }

  async #do(act) {
    try { await act(); } catch (error) { this.#refused(error); }
  }

  #refused(error) {
    say(error.message);
    this.#options.onRefused?.(error);
  }
}
