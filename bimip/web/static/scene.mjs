// What the demonstration begins with, made once by the devices themselves: the two are contacts, so that each sees when the
// other is there, and have a group.

export const GROUP = "Trip to Lisbon";

/** Does what is missing; what cannot be done now is done when the page is loaded again. */
export async function setScene(panels) {
  const [first] = panels, other = panels.find((panel) => panel.eid !== first.eid);
  if (!other || first.isRefused || other.isRefused) return;
  await Promise.all([first, other].map((panel) => panel.connected));
  await befriend(first.device, other.device, first.eid, other.eid);
  const { conversations = [] } = await first.device.request("fetch", { kind: "INBOX", limit: 100 }); // a new device does not know them yet
  if (!conversations.some((one) => one.title === GROUP)) await first.device.createGroup(GROUP, [other.eid]);
  await Promise.all(panels.map((panel) => panel.refreshChoices()));
}

async function befriend(mine, theirs, me, them) {
  const known = (await mine.contacts()).find((one) => one.eid === them);
  if (known?.mutual || known?.seesYou) return;
  await mine.requestContact(them, { mutual: true });
  await theirs.acceptContact(me);
}
