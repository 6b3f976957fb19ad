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
    const id = "dialog-title";
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
    dialog.addEventListener("close", () => { dialog.remove(); resolve(result); });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Shows something in a dialog that has only a way out. `fill(body, dialog)` may be called again by who made it. */
export function show(title, fill) {
  const id = "dialog-title", body = element("div", { class: "dialog-body" });
  const dialog = element("dialog", { "aria-labelledby": id, class: "wide" },
    element("header", { class: "bar" }, element("h2", { id }, title), button("Close", () => dialog.close(), { icon: "close" })), body);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  fill(body, dialog);
  return dialog;
}
