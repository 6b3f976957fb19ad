// Groups: making one, and who is in it.

import { ask, inTurn, redraw, show } from "./dialogs.mjs";
import { button, element, nameOf, several } from "./words.mjs";

const names = (text) => [...new Set(text.split(/[\s,;]+/).filter(Boolean))];

/** Asks for whom to write to. Resolves with a conversation: of one name a direct one, of several a group. */
export function begin(device) {
  return ask({
    title: "New conversation", yes: "Begin",
    fields: [
      { name: "eids", label: "With whom", required: true, hint: "such as bob@example.org; several make a group" },
      { name: "title", label: "Title of the group", hint: "for several" },
    ],
    act: async ({ eids, title }) => {
      const whom = names(eids);
      if (!whom.length) throw new Error("Whom do you want to write to?");
      if (whom.length === 1 && !title) return device.conversationWith(whom[0]);
      if (!title) throw new Error("What is the group to be called?");
      return device.createGroup(title, whom);
    },
  });
}

const ROLES = ["owner", "admin", "member"];
const roleOf = ({ role }) => String(role).toLowerCase();

/** Shows who is in a group, with what one's own role lets one do. */
export function showGroup(device, id, { name = nameOf }) {
  show("Group", (body, dialog, attempt) => {
    const me = device.condition.identity?.eid, changed = (act) => attempt(async (...given) => { try { await act(...given); } finally { await draw(); } });
    const drawRole = (one, own) => {
      if (own !== "owner") return null;
      const select = element("select", { "aria-label": `Role of ${one.eid}`, change: changed(() => device.setRole(id, one.eid, select.value)) },
        ...ROLES.map((role) => element("option", { value: role, selected: role === roleOf(one) }, role)));
      return select;
    };
    const drawMember = (one, own) => {
      const { eid } = one, isMe = eid === me, mayRemove = !isMe && (own === "owner" || (own === "admin" && roleOf(one) === "member"));
      return element("li", {},
        element("span", { class: "who" }, element("b", { dir: "auto" }, isMe ? "You" : name(eid)), element("span", { class: "quiet", dir: "auto" }, `${eid} · ${roleOf(one)}`)),
        element("span", { class: "acts-row" }, drawRole(one, own),
          mayRemove ? button("Remove", changed(() => device.removeMember(id, eid)), { class: "danger", "aria-label": `Remove ${eid}` }) : null));
    };
    const draw = inTurn(async () => {
      const group = await device.group(id);
      if (!group) return dialog.close();
      const members = await device.members(id).catch(() => group.members ?? []), own = roleOf(group), mayChange = own === "owner" || own === "admin";
      redraw(body,
        element("p", {}, element("b", { dir: "auto" }, group.title), ` · ${several(members.length, "member")}`),
        element("p", { class: "acts-row" },
          mayChange ? button("Rename", () => ask({ title: "Rename the group", fields: [{ name: "title", label: "Title", value: group.title, required: true }], yes: "Rename", act: ({ title }) => device.rename(id, title) }).then(draw)) : null,
          mayChange ? button("Add somebody", () => ask({ title: "Add to the group", fields: [{ name: "eid", label: "Name", required: true, hint: "such as bob@example.org" }], yes: "Add", act: ({ eid }) => device.addMember(id, eid) }).then(draw)) : null,
          button("Leave", () => ask({ title: `Leave ${group.title}?`, words: "Nothing that is written from then on reaches you.", yes: "Leave", danger: true, act: () => device.leave(id) }).then((isLeft) => isLeft && dialog.close()), { class: "danger" })),
        element("ul", { class: "people" }, ...members.map((one) => drawMember(one, own))));
    });
    const off = device.on("groups", draw);
    dialog.addEventListener("close", off);
    draw();
  });
}
