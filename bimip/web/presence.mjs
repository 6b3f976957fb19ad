/**
 * Who is there, and who is typing: what the server tells in `Body.awareness`, for as long as it means something. Nothing of it is kept.
 *
 *     const presence = new Presence({ onPresence: (eid, presence) => ..., onTyping: ({ conversation, eid, kind, on }) => ... });
 *     presence.body(body); presence.of("bob@example.org"); presence.typing("c1"); presence.disconnected();
 */

const DOING = new Set(["TYPING", "RECORDING", "PAUSED"]);
const OVER = new Set(["CANCELLED", "RESUME"]);
const USUAL_MS = 6000;
const RESET_MS = 3000; // who is not told of by then after a reset is not there: so nobody flickers who is in the next Body

export const NOBODY = Object.freeze({ status: "OFFLINE", since: 0, lastSeen: 0 });

export class Presence {
  #onPresence; #onTyping; #people = new Map(); #doing = new Map(); #unconfirmed = null; #timer = null;

  constructor({ onPresence, onTyping }) {
    this.#onPresence = onPresence;
    this.#onTyping = onTyping;
  }

  of(eid) { return this.#people.get(eid) ?? NOBODY; }
  typing(conversation) { return [...this.#doing.values()].filter((one) => one.conversation === conversation).map((one) => one.eid); }

  body({ awareness = [], awareness_reset: isReset }) {
    if (isReset) {
      this.#unconfirmed = new Set(this.#people.keys());
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => {
        for (const eid of this.#unconfirmed ?? []) this.#set(eid, NOBODY);
        this.#unconfirmed = null;
      }, RESET_MS);
    }
    for (const one of awareness) {
      const eid = one.from?.eid, status = one.status;
      if (DOING.has(status)) this.#begin(one.conversation, eid, status, Number(one.ttl_ms ?? 0) || USUAL_MS);
      else if (OVER.has(status)) this.over(one.conversation, eid);
      else if (status && eid) this.set(eid, one);
    }
  }

  /** As the server says it, in a Body or in its answer. */
  set(eid, { status = "OFFLINE", timestamp, last_seen: lastSeen }) {
    this.#unconfirmed?.delete(eid);
    this.#set(eid, { status, since: Number(timestamp ?? 0), lastSeen: Number(lastSeen ?? 0) });
    return this.of(eid);
  }

  #set(eid, presence) {
    const before = this.of(eid);
    this.#people.set(eid, presence);
    if (before.status !== presence.status || before.lastSeen !== presence.lastSeen) this.#onPresence(eid, presence);
  }

  #begin(conversation, eid, kind, forMs) {
    const id = JSON.stringify([conversation, eid]), before = this.#doing.get(id);
    clearTimeout(before?.timer);
    this.#doing.set(id, { conversation, eid, kind, timer: setTimeout(() => this.over(conversation, eid), forMs) });
    if (before?.kind !== kind) this.#onTyping({ conversation, eid, kind, on: true });
  }

  /** It is over, as also when a message of theirs comes. */
  over(conversation, eid) {
    const id = JSON.stringify([conversation, eid]), before = this.#doing.get(id);
    if (!before) return;
    clearTimeout(before.timer);
    this.#doing.delete(id);
    this.#onTyping({ conversation, eid, kind: before.kind, on: false });
  }

  /** Without a connection nothing is known of anybody. */
  disconnected() {
    clearTimeout(this.#timer);
    this.#unconfirmed = null;
    for (const { conversation, eid } of [...this.#doing.values()]) this.over(conversation, eid);
    for (const eid of [...this.#people.keys()]) this.#set(eid, NOBODY);
    this.#people.clear();
  }
}
