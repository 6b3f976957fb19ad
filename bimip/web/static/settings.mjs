// What a user may set: privacy, notifications of this browser, devices.

import { ask, inTurn, redraw, show } from "./dialogs.mjs";
import * as notifications from "./notifications.mjs";
import { button, element, several, when } from "./words.mjs";

const AUDIENCES = [["EVERYBODY", "Everybody"], ["CONTACTS", "Contacts"], ["NOBODY", "Nobody"]];
const PRIVACY = [
  ["read_receipts_to", "Who learns that you have read"], ["read_receipts_of", "Whose reading you see"],
  ["last_seen_to", "Who sees when you were last here"], ["online_status_to", "Who sees whether you are here"],
];

export function showSettings(device) {
  show("Settings", (body, _, tried) => {
    const attempt = (act) => tried(async (...given) => { try { await act(...given); } finally { draw(); } });
    const draw = inTurn(async () => {
      const [settings, devices] = await Promise.all([device.settings(), device.devices().catch(() => [])]);
      redraw(body,
        element("section", {}, element("h3", {}, "Privacy"), ...PRIVACY.map(([name, words]) => choose(words, AUDIENCES, settings[name] ?? "EVERYBODY", attempt((value) => device.setSetting(name, value))))),
        element("section", {}, element("h3", {}, "Notifications"), await drawNotifications(device, attempt)),
        element("section", {}, element("h3", {}, "Devices"), element("ul", { class: "people" }, ...devices.map((one) => drawDevice(device, one, attempt)))),
      );
    });
    const offs = ["settings", "devices"].map((name) => device.on(name, draw));
    body.closest("dialog").addEventListener("close", () => { for (const off of offs) off(); });
    draw();
  });
}

function choose(words, choices, value, act) {
  const select = element("select", { change: () => act(select.value) }, ...choices.map(([one, label]) => element("option", { value: one, selected: one === value }, label)));
  return element("label", { class: "field row-field" }, words, select);
}

async function drawNotifications(device, attempt) {
  const state = await notifications.state(device);
  if (state.isImpossible) return element("p", { class: "quiet" }, state.why);
  const part = element("div", { class: "field" });
  part.append(state.isOn ? button("Turn off", attempt(() => notifications.turnOff(device))) : button("Turn on", attempt(() => notifications.turnOn(device)), { class: "main" }));
  part.append(element("p", { class: "quiet" }, state.isOn ? (state.isPushed ? "You are told also while this page is closed." : "You are told while this page is open.") : state.why));
  return part;
}

function drawDevice(device, one, attempt) {
  const seen = one.isThis ? "this one" : one.isOnline ? "connected" : one.lastSeen ? `last here ${when(Number(one.lastSeen))}` : "";
  const behind = one.lag ? `${several(Number(one.lag), "message")} behind` : "";
  const acts = [button("Rename", () => ask({
    title: `Rename ${one.label || one.name}`, fields: [{ name: "label", label: "What it is called", value: one.label ?? "" }], yes: "Rename",
    act: ({ label }) => device.renameDevice(one.name, label),
  }), { "aria-label": `Rename ${one.label || one.name}` })];
  if (!one.isThis) acts.push(button("Remove", attempt(() => ask({
    title: `Remove ${one.label || one.name}?`, words: "It is logged out, and its place is forgotten.", yes: "Remove", danger: true, act: () => device.removeDevice(one.name),
  })), { class: "danger", "aria-label": `Remove ${one.label || one.name}` }));
  return element("li", {}, element("span", { class: "who" }, element("b", { dir: "auto" }, one.label || one.name), element("span", { class: "quiet" }, [seen, behind].filter(Boolean).join(" · "))), element("span", { class: "acts-row" }, ...acts));
}
