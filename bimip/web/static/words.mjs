// Elements and words. Whatever comes from somebody becomes text here, and never markup.

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value !== undefined && value !== false && value !== null) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((one) => one !== null && one !== undefined && one !== false));
  return made;
}

/** A button with words, or with an icon that the words name. */
export function button(words, click, { icon, ...attributes } = {}) {
  const named = icon ? { "aria-label": words, title: words, class: "icon" } : {};
  return element("button", { type: "button", ...named, ...attributes, click }, icon ? drawing(icon) : words);
}

const PATHS = {
  back: "M15 5l-7 7 7 7", close: "M6 6l12 12M18 6L6 18", down: "M6 9l6 6 6-6", more: "M6 12h.01M12 12h.01M18 12h.01",
  send: "M4 12l16-8-5 16-3-7z", search: "M10.5 4a6.5 6.5 0 100 13 6.5 6.5 0 000-13zM15.5 15.5L20 20", plus: "M12 5v14M5 12h14",
  people: "M9 5a3.5 3.5 0 100 7 3.5 3.5 0 000-7zM3 20c0-4 3-6 6-6s6 2 6 6M16 5.5a3.5 3.5 0 010 6M17 14c2.5.600 4 3 4 6",
  gear: "M12 8.500a3.5 3.5 0 100 7 3.5 3.5 0 000-7zM12 3v3M12 18v3M3 12h3M18 12h3M5.6 5.600l2.2 2.200M16.2 16.200l2.2 2.200M5.6 18.400l2.2-2.200M16.2 7.800l2.2-2.2",
  bell: "M6 16V11a6 6 0 0112 0v5l2 2H4zM10 21h4", mute: "M6 16V11a6 6 0 019-5M18 11v5l2 2H4l2-2M10 21h4M4 4l16 16",
  record: "M12 4a3 3 0 00-3 3v5a3 3 0 006 0V7a3 3 0 00-3-3zM6 12a6 6 0 0012 0M12 18v3", sent: "M5 12.500l4.5 4.500L19 7.5",
  both: "M2 12.500l4.5 4.500L16 7.500M11 16l1 1L21.5 7.5", wait: "M12 4a8 8 0 100 16 8 8 0 000-16zM12 8v4.500l3 2",
  refused: "M12 4a8 8 0 100 16 8 8 0 000-16zM12 8v5M12 16h.01", pin: "M9 4h6l-1 6 3 3H7l3-3zM12 13v7", burst: "M4 7h9M4 12h13M4 17h7M18 7l3 0",
};

/** A small line drawing. */
export function drawing(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", "aria-hidden": "true", class: "drawing" })) svg.setAttribute(key, value);
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** Writes only what differs, so that nothing is laid out anew while nothing happens. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function mark(node, name, value) {
  if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

export const clock = (ms) => new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
export const day = (ms) => new Date(ms).toLocaleDateString([], { weekday: "long", day: "numeric", month: "long", year: "numeric" });

/** When something was, as a list of many has room for it. */
export function when(ms, now = Date.now()) {
  const then = new Date(ms), today = new Date(now);
  if (then.toDateString() === today.toDateString()) return clock(ms);
  if (now - ms < 6 * 86_400_000) return then.toLocaleDateString([], { weekday: "short" });
  return then.toLocaleDateString([], { day: "numeric", month: "short", year: then.getFullYear() === today.getFullYear() ? undefined : "2-digit" });
}

export const number = (value) => new Intl.NumberFormat("en").format(value);
export const several = (count, one, more = `${one}s`) => `${number(count)} ${count === 1 ? one : more}`;

/** What somebody is called here: before the @ of their eid, with a capital letter. */
export function nameOf(eid) {
  const name = String(eid ?? "").split("@", 1)[0] || String(eid ?? "");
  return name.slice(0, 1).toUpperCase() + name.slice(1);
}

export const list = (names) => new Intl.ListFormat("en", { type: "conjunction" }).format(names);
const SHORT = 120;
export const short = (text) => (text.length > SHORT ? `${text.slice(0, SHORT)}…` : text);

/** Speaks to a screen reader, in the page's one polite region. */
export function say(words) {
  const region = document.getElementById("said");
  if (region) region.textContent = words;
}

/** What happened in a group, or of a call, as a sentence. */
export function sayEvent({ event, author }, name = nameOf) {
  const who = name(event.by ?? author.eid), members = (event.members ?? []).map(name), whom = list(members.map((one) => (one === "You" ? "you" : one)));
  if ("call" in event) return "A call that nobody answered";
  const kind = String(event.kind).toUpperCase();
  if (kind.includes("CREATE")) return `${who} created the group “${event.title}” with ${whom}`;
  if (kind.includes("ADD") || kind.includes("JOIN")) return `${who} added ${whom}`;
  if (kind.includes("LEFT") || kind.includes("LEAVE")) return `${list(members) || who} left`;
  if (kind.includes("REMOVE")) return `${who} removed ${whom}`;
  if (kind.includes("TITLE") || kind.includes("RENAME")) return `${who} called the group “${event.title}”`;
  if (kind.includes("ROLE")) return `${who} gave ${whom} the role ${String(event.role).toLowerCase()}`;
  return `${who} changed the group`;
}
