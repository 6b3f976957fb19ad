// What to try, in order. A step is ticked when the page sees it happen.

import { element, say } from "./words.mjs";

const STEPS = [
  ["write", "Write on Alice’s phone. Her laptop shows it, and both devices of Bob."],
  ["read", "Point at one of Bob’s devices: Alice sees that he has read it."],
  ["react", "Press ⋯ on a message: react, reply, edit or delete it. All four follow."],
  ["offline", "Pull the plug of Bob’s laptop, and write on it and on the others."],
  ["merge", "Plug it in again: what was written apart is merged, each message once and in order."],
  ["gossip", "Pull it again, have Alice write 20 messages, plug it in: it takes them from Bob’s phone, not from the server."],
  ["kill", "Kill “journal” among the processes, and write at the same time."],
  ["server", "Kill the server with kill -9, write, and start it again."],
];

export function showGuide(box, panels) {
  const items = new Map(STEPS.map(([name, words]) => [name, element("li", { "data-step": name }, words)]));
  box.replaceChildren(...items.values());
  const done = (name) => {
    const item = items.get(name);
    if (item.classList.contains("done")) return;
    item.classList.add("done");
    item.append(element("span", { class: "unseen" }, " (done)"));
    say(`Done: ${item.firstChild.textContent}`);
  };
  for (const panel of panels) panel.onHappening = done;
  document.getElementById("tree").addEventListener("click", (event) => { if (event.target.closest(".kill")) done("kill"); });
}
