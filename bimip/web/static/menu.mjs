// A menu beside what opened it: arrows walk through it, Escape leads back.

import { button, element } from "./words.mjs";

let open = null;

/** `items`: [words, act] or [words, act, {class}]; a list of such lists is one row, as of reactions. */
export function openMenu(anchor, items, { label = "Actions" } = {}) {
  open?.hidePopover();
  const menu = element("div", { class: "menu", role: "menu", popover: "auto", "aria-label": label });
  for (const item of items) {
    if (Array.isArray(item[0])) menu.append(element("div", { class: "menu-row", role: "group" }, ...item.map((one) => choice(menu, one))));
    else menu.append(choice(menu, item));
  }
  document.body.append(menu);
  menu.showPopover();
  place(menu, anchor);
  open = menu;
  menu.querySelector("button").focus();
  menu.addEventListener("keydown", (event) => onKey(menu, event));
  menu.addEventListener("toggle", (event) => {
    if (event.newState !== "closed") return;
    if (menu.contains(document.activeElement)) anchor.focus?.();
    if (open === menu) open = null;
    menu.remove();
  });
}

function choice(menu, [words, act, more = {}]) {
  return button(words, () => { menu.hidePopover(); act(); }, { role: "menuitem", tabindex: "-1", ...more });
}

function place(menu, anchor) {
  const at = anchor.getBoundingClientRect(), { width, height } = menu.getBoundingClientRect();
  const left = Math.max(8, Math.min(at.right - width, innerWidth - width - 8));
  const below = at.bottom + 4 + height < innerHeight;
  menu.style.setProperty("left", `${left}px`);
  menu.style.setProperty("top", `${below ? at.bottom + 4 : Math.max(8, at.top - height - 4)}px`);
}

function onKey(menu, event) {
  const all = [...menu.querySelectorAll("button")], at = all.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[event.key];
  if (event.key === "Tab") menu.hidePopover();
  if (to === undefined) return;
  event.preventDefault();
  all[(to + all.length) % all.length].focus();
}
