// Rules of the copies of the state and of what keeps them: no server. Prints each rule that holds.

import assert from "node:assert/strict";
import { Ledger, clientStore, memoryDatabase } from "../../bimip/web/database.mjs";
import { State } from "../../bimip/web/state.mjs";

let seed = 7;
const draw = (below) => { seed = (seed * 1103515245 + 12345) % 2 ** 31; return seed % below; };
const pick = (list) => list[draw(list.length)];
function shuffled(list) {
  const found = [...list];
  for (let at = found.length - 1; at > 0; at--) { const other = draw(at + 1); [found[at], found[other]] = [found[other], found[at]]; }
  return found;
}

const C = "c1", PEOPLE = ["alice", "bob", "carl"];
const MAKERS = {
  receipts: () => { const from = 1 + draw(20); return { conversation: C, member: pick(PEOPLE), kind: pick(["DELIVERED", "READ"]), runs: [{ from, to: from + draw(9), time: String(100 + draw(50)) }] }; },
  message: () => ({
    conversation: C, conversation_offset: String(1 + draw(3)), signal_offset: "77", deleted: draw(12) === 0, hidden: draw(9) === 0, forwards: String(draw(4)),
    stamp: String(draw(5)), payload: btoa(`text ${draw(4)}`), pinned: draw(2) === 0, pinned_stamp: String(draw(4)),
    reactions: [{ eid: pick(PEOPLE), emoji: pick(["👍", "🙈"]), stamp: String(99 + draw(4)), removed: draw(2) === 0 }],
  }),
  read_marker: () => ({ conversation: C, conversation_offset: String(draw(30)) }),
  conversation: () => ({ id: C, version: String(8 + draw(4)), archived: draw(2) === 0, draft: btoa(String(draw(3))) }),
  group: () => ({ id: C, conversation_offset: String(8 + draw(4)), title: pick(PEOPLE), members: [{ eid: pick(PEOPLE) }] }),
  contact: () => ({ eid: pick(PEOPLE), version: String(9 + draw(3)), state: pick(["asked", "accepted"]) }),
  settings: () => ({ version: String(9 + draw(3)), visible: draw(2) === 0 }),
  device: () => ({ name: pick(["phone", "laptop"]), created: String(draw(3)), stamp: String(9 + draw(3)), label: pick(PEOPLE) }),
};
const nowhere = { put() {}, drop() {} };
const all = (state) => Object.fromEntries([...Object.keys(MAKERS), "private_receipts"].map((kind) => [kind, state.all(kind).map(({ key, value }) => [key, value]).sort((one, other) => (JSON.stringify(one) < JSON.stringify(other) ? -1 : 1))]));
const merged = (items) => { const state = new State(nowhere); for (const one of items) state.page({ after: "0", upto: "1", items: [one] }); return all(state); };

const RULES = {
  "values are merged in any order, and as often as one likes, with the same outcome"() {
    for (let turn = 0; turn < 60; turn++) {
      const items = Array.from({ length: 40 }, () => { const kind = pick(Object.keys(MAKERS)); return { version: "1", [kind]: MAKERS[kind]() }; });
      const wanted = merged(items);
      assert.deepEqual(merged(shuffled(items)), wanted);
      assert.deepEqual(merged([...items, ...shuffled(items)]), wanted);
    }
  },

  "numbers of 64 bits are compared as such"() {
    const state = new State(nowhere);
    state.page({ upto: "1", items: [{ contact: { eid: "bob", version: "9007199254740993", name: "later" } }, { contact: { eid: "bob", version: "9007199254740992", name: "earlier" } }, { contact: { eid: "bob", version: "9", name: "long ago" } }] });
    assert.equal(state.get("contact", ["bob"]).name, "later");
  },

  "a receipt counts from the earliest time on, and READ implies DELIVERED"() {
    const state = new State(nowhere), told = (kind, from, to, time) => ({ receipts: { conversation: C, member: "bob", kind, runs: [{ from, to, time }] } });
    state.page({ upto: "1", items: [told("DELIVERED", "1", "4", "50"), told("DELIVERED", "3", "3", "40"), told("READ", "6", "6", "60")] });
    assert.deepEqual(state.get("receipts", [C, 0, "bob", "DELIVERED"]), [[1, 2, 50], [3, 3, 40], [4, 4, 50]]);
    assert.deepEqual(state.receiptsOf(C, 6), { delivered: ["bob"], read: ["bob"] });
    assert.deepEqual(state.receiptsOf(C, 5), { delivered: [], read: [] });
  },

  "what is deleted stays so, whatever is told of it before or after"() {
    const state = new State(nowhere);
    state.page({ upto: "1", items: [{ message: { conversation: C, conversation_offset: "1", deleted: true } }, { message: { conversation: C, conversation_offset: "1", stamp: "99", payload: btoa("edited") } }] });
    const { deleted, payload } = state.message(C, 1);
    assert.deepEqual([deleted, payload], [true, null]);
  },

  "a whole state takes the place of what was known, and what is in none of its pages goes at its end"() {
    const state = new State(nowhere), marker = (conversation, place) => ({ read_marker: { conversation, conversation_offset: place } });
    state.page({ upto: "5", items: [marker("c1", "9"), marker("c2", "4"), marker("c3", "1")] });
    state.page({ reset: true, upto: "3", items: [marker("c1", "2")] });
    assert.equal(state.get("read_marker", ["c2"]), 4);
    assert.deepEqual(state.page({ after: "3", upto: "6", complete: true, items: [marker("c2", "8")] }).map(({ key, value }) => [key[0], value]), [["c2", 8], ["c3", undefined]]);
    assert.deepEqual(state.all("read_marker").map(({ key, value }) => [key[0], value]), [["c1", 2], ["c2", 8]]);
  },

  "a whole state that was cut is not continued on the next connection"() {
    const state = new State(nowhere), marker = (conversation) => ({ read_marker: { conversation, conversation_offset: "1" } });
    state.page({ upto: "5", items: [marker("c1"), marker("c2")] });
    state.page({ reset: true, upto: "3", items: [marker("c1")] });
    state.connected();
    state.page({ after: "5", upto: "6", complete: true, items: [] });
    assert.equal(state.all("read_marker").length, 2);
  },

  async "what is in the database is what the state is after a reload"() {
    const database = memoryDatabase(), ledger = new Ledger(database), state = new State(ledger);
    for (let count = 0; count < 200; count++) { const kind = pick(Object.keys(MAKERS)); state.page({ upto: "1", items: [{ [kind]: MAKERS[kind]() }] }); }
    await ledger.flush();
    assert.deepEqual(all(new State(nowhere, await database.all("state"))), all(state));
  },

  async "a ledger reads what it gathered, and a transaction that failed is written by the next one"() {
    const database = memoryDatabase(), commit = database.commit, ledger = new Ledger(database);
    database.commit = async () => { throw new Error("no room"); };
    ledger.put("entries", { key: "a", conversation: "c1", order: 1 });
    await assert.rejects(ledger.flush(), /no room/);
    ledger.put("meta", { id: "client", version: 3 });
    assert.equal((await ledger.get("entries", "a")).order, 1);
    database.commit = commit;
    await ledger.flush();
    assert.deepEqual([(await database.get("entries", "a")).order, (await database.get("meta", "client")).version], [1, 3]);
  },

  async "places and outbox are written in one transaction with what was gathered beside them"() {
    const database = memoryDatabase(), commit = database.commit, written = [], ledger = new Ledger(database), store = clientStore(ledger, database);
    database.commit = async (changes) => { written.push(changes.map(({ table, value }) => `${value ? "+" : "-"}${table}`).sort()); return commit(changes); };
    const one = { id: "m1" }, other = { id: "m2" };
    ledger.put("entries", { key: "own:m1" });
    await store.save({ epoch: "7", positions: {}, outbox: [one, other], recent: [] });
    await store.save({ epoch: "7", positions: { chat: { offset: 1, held: [] } }, outbox: [other], recent: ["s1"] });
    assert.deepEqual(written, [["+entries", "+meta", "+outbox", "+outbox"], ["+meta", "-outbox"]]);
    assert.deepEqual(await clientStore(new Ledger(database), database).load(), { id: "client", epoch: "7", positions: { chat: { offset: 1, held: [] } }, outbox: [other], recent: [] });
  },
};

for (const [rule, holds] of Object.entries(RULES)) {
  try {
    await holds();
  } catch (error) {
    console.error(`does not hold: ${rule}`);
    throw error;
  }
  console.log(rule);
}
