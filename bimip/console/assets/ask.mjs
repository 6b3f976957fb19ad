// Questions about users, devices and messages, and their answers as tables: the same as `bimip user`, `doctor` and
// `message explain` tell. What is asked stays out of the page's address.

import * as session from "./session.mjs";
import { element, sayDetail } from "./words.mjs";

const EID = { name: "eid", words: "User" };
const DEVICE = { name: "device", words: "Device", optional: true };
const QUESTIONS = [
  { words: "Why does a device not receive?", path: "/debug/doctor", fields: [{ ...EID, optional: true }, DEVICE] },
  { words: "How are a user's devices?", path: "/debug/user", fields: [EID, DEVICE] },
  { words: "What became of a message?", path: "/debug/message", fields: [
    { name: "id", words: "Its signal id, or with a user theirs" }, { ...EID, optional: true }, DEVICE] },
  { words: "What does one see of another?", path: "/debug/user/why", fields: [
    { name: "viewer", words: "Who sees" }, { name: "owner", words: "Of whom" }] },
  { words: "What holds logs back?", path: "/debug/user/pins", fields: [{ ...EID, optional: true }] },
  { words: "Which writes lost against others?", path: "/debug/conflicts", fields: [] },
  { words: "Which devices have most to do?", path: "/debug/busiest", fields: [] },
  { words: "Who is there?", path: "/debug/users", fields: [{ name: "after", words: "Behind this name", optional: true }] },
];
const EARLIEST = 1e12, LATEST = 4e12; // ms: a number between them is a time

export class Ask {
  #asked = 0;

  /** `onRefused(error)` where the session is over. */
  constructor(form, answer, { onRefused }) {
    Object.assign(this, { form, answer, onRefused });
    this.question = element("select", { id: "question" }, ...QUESTIONS.map(({ words }, at) => element("option", { value: at }, words)));
    this.fields = element("span", { class: "fields" });
    form.append(element("label", {}, "Question", this.question), this.fields, element("button", { class: "main" }, "Ask"));
    this.question.addEventListener("change", () => this.#showFields());
    form.addEventListener("submit", (event) => { event.preventDefault(); this.#ask(); });
    this.#showFields();
  }

  /** Asks of a user, or of one device, why it does not receive. */
  about(eid, device = "") {
    this.question.value = "0";
    this.#showFields();
    for (const [name, text] of Object.entries({ eid, device })) this.fields.querySelector(`[name=${name}]`).value = text;
    this.#ask();
  }

  /** Nothing of an answer stays. */
  clear() {
    this.#asked += 1;
    this.answer.replaceChildren();
    for (const input of this.fields.querySelectorAll("input")) input.value = "";
  }

  #showFields() {
    const said = Object.fromEntries([...this.fields.querySelectorAll("input")].map(({ name, value }) => [name, value]));
    this.fields.replaceChildren(...QUESTIONS[this.question.value].fields.map(({ name, words, optional }) => {
      const input = element("input", { name, maxlength: 300, autocomplete: "off", spellcheck: "false", required: optional ? undefined : "" });
      input.value = said[name] ?? "";
      return element("label", {}, words, input);
    }));
  }

  async #ask() {
    const turn = this.#asked += 1;
    const query = new URLSearchParams();
    for (const { name, value } of this.fields.querySelectorAll("input")) if (value.trim()) query.set(name, value.trim());
    this.answer.setAttribute("aria-busy", "true");
    let shown;
    try {
      shown = show(await session.look(QUESTIONS[this.question.value].path, query));
    } catch (error) {
      if (error.status === 401) return this.onRefused(error);
      shown = element("p", { class: "refused" }, error.message);
    }
    if (turn !== this.#asked) return; // something else was asked meanwhile
    this.answer.replaceChildren(shown);
    this.answer.setAttribute("aria-busy", "false");
    this.answer.focus();
  }
}

/** What JSON says: a list of objects as a table, or a part for each kind of them; an object as a list of its fields. */
function show(value) {
  if (Array.isArray(value)) {
    if (value.length && value.every((one) => one?.kind)) return element("div", {}, ...kinds(value));
    if (!value.length) return element("span", {}, "none");
    return value.every(isObject) ? table(value) : element("span", {}, value.map(say).join(", "));
  }
  if (!isObject(value)) return element("span", {}, say(value));
  const entries = Object.entries(value);
  if (!entries.length) return element("span", {}, "none");
  if (entries.length > 1 && entries.every(([, one]) => isObject(one))) {
    return table(entries.map(([name, one]) => ({ "": name, ...one })));
  }
  return element("dl", {}, ...entries.flatMap(([name, one]) => [element("dt", {}, name.replaceAll("_", " ")), element("dd", {}, show(one))]));
}

function kinds(rows) {
  const parts = Map.groupBy(rows, ({ kind }) => kind);
  return [...parts].map(([kind, some]) => {
    const plain = some.map(({ kind: _, ...rest }) => rest);
    return element("section", {}, element("h3", {}, kind), show(plain.length > 1 ? plain : plain[0]));
  });
}

/** Columns in which nothing stands are left out. */
function table(rows) {
  const names = [...new Set(rows.flatMap(Object.keys))].filter((name) => rows.some((row) => !isNothing(row[name])));
  const head = element("tr", {}, ...names.map((name) => element("th", { scope: "col" }, name.replaceAll("_", " "))));
  const lines = rows.map((row) => element("tr", {}, ...names.map((name) => element("td", {}, name in row ? show(row[name]) : ""))));
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...lines));
}

const isNothing = (value) => value === undefined || value === null || value === "" || value === false || (typeof value === "object" && !Object.keys(value).length);
const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

function say(value) {
  if (Number.isInteger(value) && value > EARLIEST && value < LATEST) return new Date(value).toLocaleString("en-GB");
  return sayDetail(value);
}
