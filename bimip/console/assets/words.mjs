// Elements and words. Whatever comes from the server becomes text here, and never markup.

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Writes only what differs, so that nothing is laid out anew while nothing happens. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function mark(node, name, value) {
  if (value === null || value === undefined) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

export const number = (value) => new Intl.NumberFormat("en").format(value);
export const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString("en-GB");

/** How much waits for a process, where it says so. */
export function backlogOf(row) {
  const { backlog, partitions, unanswered } = row.details;
  if (typeof backlog === "number") return backlog;
  if (partitions && typeof partitions === "object") {
    return Object.values(partitions).reduce((sum, log) => sum + (log?.lag ?? 0), 0);
  }
  return typeof unanswered === "number" ? unanswered : null;
}

export function sayDetail(value) {
  if (value === true) return "yes";
  if (value === false) return "no";
  if (value === null || value === "") return "–";
  if (typeof value === "number") return Number.isInteger(value) ? number(value) : String(Math.round(value * 1000) / 1000);
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
