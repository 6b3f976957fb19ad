// Dialogs: a question with fields, and what an answer may be.

import { button, element, write } from "./words.mjs";

/**
 * Asks, and does: `act(values)` may throw, and what it throws is said in the dialog, which stays. Resolves when it is closed,
 * with what `act` returned.
 */
export function ask({ title, words, fields = [], yes = "OK", danger = false, act }) {
  return new Promise((resolve) => {
    let result;
    const refused = element("p", { class: "refused", role: "alert" });
    const inputs = fields.map(({ name, label, type = "text", value = "", checked, required, hint }) => {
      const input = element("input", { name, type, value: type === "checkbox" ? undefined : value, checked, required, autocomplete: "off", spellcheck: "false", "aria-label": type === "checkbox" ? undefined : label });
      return [input, type === "checkbox" ? element("label", { class: "row" }, input, label) : element("label", { class: "field" }, label, input, hint && element("span", { class: "quiet" }, hint))];
    });
    const id = nextId(), back = placeOfFocus();
    const form = element("form", { method: "dialog" }, element("h2", { id }, title), words && element("p", { dir: "auto" }, words),
      ...inputs.map(([, label]) => label), refused,
      element("p", { class: "buttons" }, button("Cancel", () => dialog.close()), element("button", { class: danger ? "danger" : "main" }, yes)));
    const dialog = element("dialog", { "aria-labelledby": id }, form);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const values = Object.fromEntries(inputs.map(([input]) => [input.name, input.type === "checkbox" ? input.checked : input.value.trim()]));
      try {
        result = (await act(values)) ?? true;
        dialog.close();
      } catch (error) {
        write(refused, error.message);
      }
    });
    dialog.addEventListener("close", () => { dialog.remove(); back(); resolve(result); });
    document.body.append(dialog);
    dialog.showModal();
    inputs[0]?.[0].select(); // who types writes over what is there
  });
}

/**
 * Shows something in a dialog that has only a way out. `fill(body, dialog, attempt)`: `attempt(act)` makes a handler that says in the dialog
 * why `act` was refused: what is said beside it nobody sees who is in it.
 */
export function show(title, fill) {
  const id = nextId(), body = element("div", { class: "dialog-body" }), refused = element("p", { class: "refused", role: "alert" });
  const dialog = element("dialog", { "aria-labelledby": id, class: "wide" },
    element("header", { class: "bar" }, element("h2", { id }, title), button("Close", () => dialog.close(), { icon: "close" })), refused, body);
  const attempt = (act) => async (...given) => {
    write(refused, "");
    try { await act(...given); } catch (error) { write(refused, error.message); }
  };
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  fill(body, dialog, attempt);
  return dialog;
}

/**
 * Makes what reads and draws go one after the other: what was read before is never drawn over what was read later. Calls while it runs are
 * one more, and resolve with it.
 */
export function inTurn(draw) {
  let running = null, isAgain = false;
  const run = async () => {
    try {
      while (isAgain) { isAgain = false; await draw(); }
    } finally { running = null; }
  };
  return () => { isAgain = true; return (running ??= run()); };
}

/** Draws the body of a dialog anew. Who is at a button by the keyboard stays at the one of these words. */
export function redraw(body, ...nodes) {
  const back = body.contains(document.activeElement) ? placeOfFocus() : () => {};
  body.replaceChildren(...nodes.filter(Boolean));
  back();
}

/** Remembers where the focus is. Returns what puts it there again, where that was drawn anew too. */
function placeOfFocus() {
  const held = document.activeElement, words = wordsOf(held);
  return () => {
    const dialog = [...document.querySelectorAll("dialog[open]")].at(-1);
    if (!dialog || (held.isConnected && dialog.contains(held))) return held.focus?.();
    const all = [...dialog.querySelectorAll("button, input, select")];
    (all.find((one) => wordsOf(one) === words) ?? all[0])?.focus();
  };
}

const wordsOf = (node) => node?.getAttribute("aria-label") ?? node?.textContent;

let count = 0;
const nextId = () => `dialog-${++count}`;
