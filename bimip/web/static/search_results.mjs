// What was found in the messages that this device has.

import { element, short, when } from "./words.mjs";

export function drawResults(views, { titleOf, name, onChoose }) {
  return element("ul", { class: "results", "aria-label": "Messages" }, ...views.map((view) => element("li", {},
    element("button", { type: "button", class: "result", click: () => onChoose(view) },
      element("span", { class: "title", dir: "auto" }, titleOf(view.conversation)), element("span", { class: "time" }, when(view.time)),
      element("span", { class: "line", dir: "auto" }, `${view.isMine ? "You" : name(view.author.eid)}: ${short(view.text ?? "")}`)))));
}
