// One message as a row of a conversation.

import { button, clock, drawing, element, list, nameOf, sayEvent, several, short } from "./words.mjs";

const LONGEST = 2000; // characters that are shown at once: a message may have 64 KiB
const STATUS = {
  waiting: ["wait", "Waits for a connection"], sent: ["sent", "Sent"], delivered: ["both", "Delivered"],
  read: ["both", "Read"], refused: ["refused", "Not sent"],
};

/** What a row shows; two that have the same need not be drawn anew. */
export const signature = (view) => JSON.stringify(view);
export const keyOf = (view) => view.signalId || view.id;

/**
 * Draws a row. `context`: {name(eid), isGroup(), inThread, quote(signalId) -> view or undefined}, and what is done with it:
 * {onMenu(view, anchor), onReact(view, emoji, on), onThread(signalId), onQuote(signalId)}.
 */
export function drawMessage(view, context) {
  if (view.event) {
    return element("li", { class: "event", tabindex: "-1" }, element("span", { dir: "auto" }, sayEvent(view, context.name)));
  }
  const { isMine, isDeleted } = view;
  const bubble = element("div", { class: "bubble" });
  if (!isMine && context.isGroup()) bubble.append(element("p", { class: "author", dir: "auto" }, context.name(view.author.eid)));
  if (view.replyTo && view.replyTo !== context.inThread) bubble.append(drawQuote(view.replyTo, context));
  bubble.append(isDeleted ? element("p", { class: "text deleted" }, "Deleted") : drawText(view));
  bubble.append(drawFoot(view, context));
  const row = element("li", { class: `message ${isMine ? "mine" : "theirs"}`, tabindex: "-1", "data-status": view.status }, bubble);
  row.append(element("span", { class: "acts" }, button("Actions", (event) => context.onMenu(view, event.currentTarget), { icon: "more", tabindex: "-1", "aria-haspopup": "menu" })));
  const below = element("div", { class: "below" });
  for (const { emoji, eids, mine } of view.reactions ?? []) below.append(drawReaction(view, emoji, eids, mine, context));
  if (view.replies && !context.inThread) {
    below.append(button(several(view.replies, "reply", "replies"), () => context.onThread(view.signalId), { class: "link", tabindex: "-1" }));
  }
  if (below.childElementCount) row.append(below);
  return row;
}

function drawText(view) {
  const text = view.text ?? "", shown = element("p", { class: "text", dir: "auto" });
  if (view.text === null) return element("p", { class: "text deleted" }, "Something that this page cannot show");
  shown.textContent = text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
  if (text.length <= LONGEST) return shown;
  const all = button(`Show all ${several(text.length, "character")}`, () => { shown.textContent = text; all.remove(); }, { class: "link", tabindex: "-1" });
  return element("div", {}, shown, all);
}

function drawQuote(signalId, context) {
  const quoted = context.quote(signalId);
  const words = quoted ? short(quoted.isDeleted ? "Deleted" : quoted.text ?? "") : "A message that is not here";
  return element("button", { type: "button", class: "quote", tabindex: "-1", click: () => context.onQuote(signalId) },
    quoted ? element("b", { dir: "auto" }, context.name(quoted.author.eid)) : null, element("span", { dir: "auto" }, words));
}

function drawFoot(view, context) {
  const foot = element("p", { class: "foot" });
  if (view.isPinned) foot.append(element("span", {}, "pinned"));
  if (view.editedAt && !view.isDeleted) foot.append(element("span", {}, "edited"));
  if (view.expiresAt) foot.append(element("span", {}, `until ${clock(view.expiresAt)}`));
  foot.append(element("time", { datetime: new Date(view.time).toISOString() }, clock(view.time)));
  if (view.isMine) foot.append(drawStatus(view, context));
  return foot;
}

function drawStatus(view, context) {
  const [icon, words] = STATUS[view.status] ?? STATUS.sent;
  const by = view.by?.[view.status] ?? [];
  const all = view.error ? `${words}: ${view.error.message}` : by.length ? `${words} by ${list(by.map(context.name))}` : words;
  const shown = element("span", { class: "ticks", role: "img", "aria-label": all, title: all }, drawing(icon));
  return view.error ? element("span", { class: "why" }, all, shown) : shown;
}

function drawReaction(view, emoji, eids, mine, context) {
  const words = `${emoji} by ${list(eids.map(context.name))}${mine ? ": take yours back" : ": react so too"}`;
  return element("button", { type: "button", class: "reaction", "aria-pressed": String(Boolean(mine)), "aria-label": words, title: words, tabindex: "-1",
    click: () => context.onReact(view, emoji, !mine) }, emoji, eids.length > 1 ? element("span", {}, String(eids.length)) : null);
}

/** A message as one says it. */
export function spoken(view, name = nameOf) {
  if (view.event) return sayEvent(view, name);
  return `${name(view.author.eid)}: ${view.isDeleted ? "deleted" : short(view.text ?? "")}`;
}
