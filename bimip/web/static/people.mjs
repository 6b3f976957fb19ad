// Contacts: who may see whom, requests, and who is blocked.

import { ask, show } from "./dialogs.mjs";
import { button, element, nameOf, when } from "./words.mjs";

export function showPeople(device, { onWrite, tell }) {
  const dialog = show("People", (body) => {
    const draw = async () => {
      const all = await device.contacts();
      const groups = [
        ["Wish to see you", all.filter((one) => isAsking(one))], ["Contacts", all.filter((one) => isContact(one))],
        ["You asked", all.filter((one) => isAsked(one))], ["Blocked", all.filter((one) => one.blocked)],
      ];
      const parts = [button("Add somebody", () => add(device, draw), { class: "main" })];
      for (const [title, some] of groups) {
        if (!some.length) continue;
        parts.push(element("h3", {}, title), element("ul", { class: "people" }, ...await Promise.all(some.map((one) => drawPerson(one)))));
      }
      if (!all.length) parts.push(element("p", { class: "quiet" }, "Nobody yet. You can write to anybody whose name you know; contacts also see whether the other is there."));
      body.replaceChildren(...parts);
    };
    const act = (what) => async () => {
      try { await what(); await draw(); } catch (error) { tell(error.message); }
    };
    const drawPerson = async (one) => {
      const { eid } = one, acts = [];
      if (one.blocked) acts.push(button("Unblock", act(() => device.unblock(eid))));
      else {
        if (isAsking(one)) acts.push(button("Accept", act(() => device.acceptContact(eid)), { class: "main" }), button("Decline", act(() => device.denyContact(eid))));
        else {
          acts.push(button("Write", () => { dialog.close(); onWrite(eid); }));
          if (isContact(one) || isAsked(one)) acts.push(button("Remove", act(() => device.removeContact(eid))));
        }
        acts.push(button("Block", act(() => device.block(eid)), { class: "danger" }));
      }
      const presence = isContact(one) ? await device.presence(eid) : null;
      return element("li", {}, element("span", { class: "who" }, element("b", { dir: "auto" }, one.name || nameOf(eid)), element("span", { class: "quiet", dir: "auto" }, [eid, sayPresence(presence)].filter(Boolean).join(" · "))), element("span", { class: "acts-row" }, ...acts));
    };
    const offs = ["contacts", "presence"].map((name) => device.on(name, draw));
    body.closest("dialog").addEventListener("close", () => { for (const off of offs) off(); });
    draw();
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
