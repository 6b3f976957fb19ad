// The frames of all devices as they pass, the newest first, each as a line that opens.

import { element, several } from "./words.mjs";

const MOST = 200;

export class Frames {
  #isOn = false;

  constructor(box, toggle) {
    Object.assign(this, { box, toggle });
    toggle.addEventListener("click", () => this.#set(!this.#isOn));
  }

  #set(isOn) {
    this.#isOn = isOn;
    this.toggle.setAttribute("aria-checked", String(isOn));
    this.box.hidden = !isOn;
    this.box.replaceChildren();
  }

  add({ direction, frame, at }, device) {
    if (!this.#isOn) return;
    const isIn = direction === "in";
    const line = element("details", {}, element("summary", {},
      element("span", { class: "arrow", "aria-label": isIn ? "to the device" : "to the server", role: "img" }, isIn ? "↓" : "↑"),
      element("span", { class: "of" }, device), " ", element("b", {}, nameOfFrame(frame)), " ", element("span", { class: "quiet" }, about(frame))));
    line.addEventListener("toggle", () => {
      if (line.open && line.childElementCount === 1) line.append(element("pre", { tabindex: "0" }, JSON.stringify(frame, null, 1)));
    });
    this.box.prepend(element("div", { class: isIn ? "in" : "out", "data-at": String(at) }, line));
    while (this.box.childElementCount > MOST) this.box.lastChild.remove();
  }
}

const RESERVED = new Set(["route", "ref"]);
const nameOfFrame = (frame) => Object.keys(frame).find((one) => !RESERVED.has(one)) ?? "frame";

/** Its offsets in a few words. */
function about(frame) {
  const { hello, body, signal, message, error, state_delta: page } = frame;
  if (hello?.partitions) return [`has ${places(hello.partitions)}`, hello.state_version && `state ${hello.state_version}`].filter(Boolean).join(", ");
  if (hello) return (hello.logs ?? []).map((log) => `${log.partition} up to ${log.head ?? 0}`).join(", ");
  if (body) return aboutBody(body);
  if (signal) return [signal.status, signal.partition, signal.upto && `up to ${signal.upto}`, signal.conversation].filter(Boolean).join(" ");
  if (message) return `to ${message.to?.eid ?? "friends"}`;
  if (error) return `${error.code}: ${error.message}`;
  return page ? `state ${page.after ?? 0} to ${page.upto ?? 0}` : "";
}

const places = (all) => all.map((one) => `${one.partition} ${one.offset ?? 0}`).join(", ");

function aboutBody(body) {
  const parts = [];
  if (body.upto !== undefined) parts.push(`${body.partition} ${body.after ?? 0} to ${body.upto}`);
  if (body.messages?.length) parts.push(several(body.messages.length, "message"));
  for (const signal of body.signals ?? []) parts.push([signal.status, signal.user_offset && `#${signal.user_offset}`].filter(Boolean).join(" "));
  for (const page of body.states ?? []) parts.push(`state to ${page.upto ?? 0}`);
  for (const error of body.errors ?? []) parts.push(error.code);
  return parts.join(", ");
}
