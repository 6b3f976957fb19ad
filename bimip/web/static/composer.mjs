// Where a message is written, edited, or answered.

import { button, element, nameOf, short, write } from "./words.mjs";

const TYPING_MS = 3000; // how often it is said that somebody types
const PAUSE_MS = 5000; // without a key, until it is said that nobody does
const DRAFT_MS = 1000;

export class Composer {
  #mode = null; // {kind: "edit" | "reply", view}
  #saidAt = 0; #pause = 0; #draft = 0; #isRecording = false;

  /**
   * `onSend(text, replyTo)`, `onEdit(view, text)`, `onTyping(kind)`, `onDraft(text)`; `onLast()` -> the last message of one's own.
   * `records`: with a button that says that something is recorded.
   */
  constructor({ onSend, onEdit, onTyping, onDraft, onLast, records = false, label = "Message" }) {
    Object.assign(this, { onSend, onEdit, onTyping, onDraft, onLast });
    this.field = element("textarea", { rows: "1", "aria-label": label, placeholder: "Message", dir: "auto", autocomplete: "off", maxlength: "60000" });
    this.about = element("span", { dir: "auto" });
    this.banner = element("p", { class: "banner", hidden: true }, this.about, button("Cancel", () => this.cancel(), { icon: "close" }));
    this.record = records ? button("Record", () => this.#toggleRecording(), { icon: "record", "aria-pressed": "false" }) : null;
    const send = button("Send", () => this.#submit(), { icon: "send", class: "icon main" });
    this.box = element("div", { class: "composer" }, this.banner, element("div", { class: "fields" }, this.field, this.record, send));
    this.field.addEventListener("input", () => this.#onInput());
    this.field.addEventListener("keydown", (event) => this.#onKey(event));
  }

  get text() { return this.field.value; }

  /** Begins with what was written before. */
  set(text) {
    this.cancel();
    this.field.value = text ?? "";
    this.#grow();
  }

  reply(view) { this.#begin({ kind: "reply", view }, `Reply to ${nameOf(view.author.eid)}: ${short(view.text ?? "")}`); }

  edit(view) {
    this.#begin({ kind: "edit", view }, `Edit: ${short(view.text ?? "")}`);
    this.field.value = view.text ?? "";
    this.#grow();
  }

  cancel() {
    if (this.#mode?.kind === "edit") this.field.value = "";
    this.#mode = null;
    this.banner.hidden = true;
    this.#grow();
  }

  focus() { this.field.focus({ preventScroll: true }); }

  #begin(mode, words) {
    this.cancel();
    this.#mode = mode;
    write(this.about, words);
    this.banner.hidden = false;
    this.focus();
  }

  #submit() {
    const text = this.field.value.trim(), mode = this.#mode;
    if (!text) return;
    this.#mode = null;
    this.banner.hidden = true;
    this.field.value = "";
    this.#grow();
    this.#stop();
    clearTimeout(this.#draft);
    this.onDraft?.("");
    if (mode?.kind === "edit") this.onEdit(mode.view, text);
    else this.onSend(text, mode?.view.signalId);
    this.focus();
  }

  #onInput() {
    this.#grow();
    if (this.#mode?.kind === "edit") return;
    clearTimeout(this.#draft);
    this.#draft = setTimeout(() => this.onDraft?.(this.field.value), DRAFT_MS);
    if (!this.field.value) return this.#stop();
    const now = Date.now();
    if (now - this.#saidAt > TYPING_MS) { this.#saidAt = now; this.onTyping?.("TYPING"); }
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => this.#stop(), PAUSE_MS);
  }

  #stop() {
    clearTimeout(this.#pause);
    if (this.#saidAt) this.onTyping?.("PAUSED");
    this.#saidAt = 0;
  }

  #toggleRecording() {
    this.#isRecording = !this.#isRecording;
    this.record.setAttribute("aria-pressed", String(this.#isRecording));
    this.onTyping?.(this.#isRecording ? "RECORDING" : "PAUSED");
  }

  #grow() {
    this.field.style.setProperty("height", "auto");
    this.field.style.setProperty("height", `${Math.min(this.field.scrollHeight + 2, 160)}px`);
  }

  #onKey(event) {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); this.#submit(); }
    else if (event.key === "Escape" && this.#mode) { event.preventDefault(); event.stopPropagation(); this.cancel(); }
    else if (event.key === "ArrowUp" && !this.field.value) {
      const last = this.onLast?.();
      if (last) { event.preventDefault(); this.edit(last); }
    }
  }
}
