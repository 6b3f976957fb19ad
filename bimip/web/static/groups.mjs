// Groups: making one, and who is in it.

import { ask, show } from "./dialogs.mjs";
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

export function showGroup(device, id, { tell, name = nameOf }) {
  show("Group", (body, dialog) => {
    const me = device.condition.identity?.eid;
    const act = (what) => async () => {
      try { await what(); await draw(); } catch (error) { tell(error.message); }
    };
    const drawMember = ({ eid, role }, mayChange) => element("li", {},
      element("span", { class: "who" }, element("b", { dir: "auto" }, eid === me ? "You" : name(eid)), element("span", { class: "quiet", dir: "auto" }, `${eid} · ${String(role).toLowerCase()}`)),
      element("span", { class: "acts-row" }, mayChange && eid !== me ? button("Remove", act(() => device.removeMember(id, eid)), { class: "danger", "aria-label": `Remove ${eid}` }) : null));
    const draw = async () => {
      const group = await device.group(id);
      if (!group) return dialog.close();
      const members = await device.members(id).catch(() => group.members ?? []);
      const mayChange = /OWNER|ADMIN/.test(String(group.role).toUpperCase());
      body.replaceChildren(
        element("p", {}, element("b", { dir: "auto" }, group.title), ` · ${several(members.length, "member")}`),
        element("p", { class: "acts-row" },
          mayChange ? button("Rename", () => ask({ title: "Rename the group", fields: [{ name: "title", label: "Title", value: group.title, required: true }], yes: "Rename", act: ({ title }) => device.rename(id, title) }).then(draw)) : null,
          mayChange ? button("Add somebody", () => ask({ title: "Add to the group", fields: [{ name: "eid", label: "Name", required: true, hint: "such as bob@example.org" }], yes: "Add", act: ({ eid }) => device.addMember(id, eid) }).then(draw)) : null,
          button("Leave", () => ask({ title: `Leave ${group.title}?`, words: "Nothing that is written from then on reaches you.", yes: "Leave", danger: true, act: async () => { await device.leave(id); dialog.close(); } }), { class: "danger" })),
        element("ul", { class: "people" }, ...members.map((one) => drawMember(one, mayChange))),
      );
    };
    const off = device.on("groups", draw);
    dialog.addEventListener("close", off);
    draw();
  });
}
