// Contacts: who may see whom, requests, and who is blocked.

import { ask, inTurn, redraw, show } from "./dialogs.mjs";
import { button, element, nameOf, when } from "./words.mjs";

export function showPeople(device, { onWrite }) {
  const dialog = show("People", (body, _, attempt) => {
    const draw = inTurn(async () => {
      const all = await device.contacts();
      const groups = [
        ["Wish to see you", all.filter(isAsking)], ["Contacts", all.filter(isContact)], ["You asked", all.filter(isAsked)],
        ["Others", all.filter((one) => !one.blocked && ![isAsking, isContact, isAsked].some((is) => is(one)))], ["Blocked", all.filter((one) => one.blocked)],
      ];
      const parts = [button("Add somebody", () => add(device, draw), { class: "main" })];
      for (const [title, some] of groups) {
        if (!some.length) continue;
        parts.push(element("h3", {}, title), element("ul", { class: "people" }, ...await Promise.all(some.map((one) => drawPerson(one)))));
      }
      if (!all.length) parts.push(element("p", { class: "quiet" }, "Nobody yet. You can write to anybody whose name you know; contacts also see whether the other is there."));
      redraw(body, ...parts);
    });
    const drawPerson = async (one) => {
      const { eid } = one, acts = [];
      const offer = (words, act, more) => acts.push(button(words, act, { "aria-label": `${words} ${eid}`, ...more }));
      const does = (words, act, more) => offer(words, attempt(async () => { await act(eid); await draw(); }), more);
      if (one.blocked) does("Unblock", (whom) => device.unblock(whom));
      else {
        if (isAsking(one)) {
          does("Accept", (whom) => device.acceptContact(whom), { class: "main" });
          does("Decline", (whom) => device.denyContact(whom));
        } else {
          offer("Write", () => { dialog.close(); onWrite(eid); });
          offer("Rename", () => nameSomebody(device, one).then(draw));
          does("Remove", (whom) => device.removeContact(whom));
        }
        does("Block", (whom) => device.block(whom), { class: "danger" });
      }
      const presence = isContact(one) ? await device.presence(eid) : null;
      return element("li", {}, element("span", { class: "who" }, element("b", { dir: "auto" }, one.name || nameOf(eid)), element("span", { class: "quiet", dir: "auto" }, [eid, sayPresence(presence)].filter(Boolean).join(" · "))), element("span", { class: "acts-row" }, ...acts));
    };
    const offs = ["contacts", "presence"].map((name) => device.on(name, draw));
    body.closest("dialog").addEventListener("close", () => { for (const off of offs) off(); });
    draw();
  });
}

/** Asks what somebody is to be called here. */
export function nameSomebody(device, { eid, name = "" }) {
  return ask({
    title: `What do you call ${eid}?`, fields: [{ name: "name", label: "Name", value: name, hint: "nobody else sees it" }], yes: "Keep",
    act: ({ name: given }) => device.nameContact(eid, given),
  });
}

const isAsking = (one) => !one.blocked && one.state === "asked"; // by them
const isAsked = (one) => !one.blocked && one.state === "requested";
const isContact = (one) => !one.blocked && !isAsking(one) && !isAsked(one) && (one.seesYou || one.seen);

export function sayPresence(presence) {
  if (!presence?.status) return "";
  const status = String(presence.status);
  if (status === "OFFLINE") return presence.lastSeen ? `last here ${when(Number(presence.lastSeen))}` : "offline";
  return { ONLINE: "online", AWAY: "away", BUSY: "busy", DND: "does not want to be disturbed" }[status] ?? status.toLowerCase();
}

function add(device, then) {
  return ask({
    title: "Add somebody", words: "They are asked whether you may see each other.", yes: "Ask",
    fields: [{ name: "eid", label: "Name", required: true, hint: "such as bob@example.org" }],
    act: async ({ eid }) => { await device.requestContact(eid, { mutual: true }); await then(); },
  });
}
