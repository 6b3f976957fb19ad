// The rules of PROTOCOL.md that a client obeys, against a server that says what a test wants. Prints each rule that holds.

import assert from "node:assert/strict";
import { connect, textOf } from "../../bimip/web/bimip.mjs";

const ME = { eid: "bob", connection_resource_id: "phone" };

/** A WebSocket whose other end is the test. */
class Socket extends EventTarget {
  static opened = [];
  readyState = 0;
  said = [];

  constructor(url) {
    super();
    this.url = url;
    Socket.opened.push(this);
    setImmediate(() => { this.readyState = 1; this.dispatchEvent(new Event("open")); });
  }

  send(text) { this.said.push(JSON.parse(text)); }
  close() { this.readyState = 3; }

  tell(frame) { this.dispatchEvent(Object.assign(new Event("message"), { data: JSON.stringify(frame) })); }
  body(body) { this.tell({ route: "10", body }); }
  welcome(hello = {}) {
    this.tell({ route: "13", hello: { epoch: "7", identity: ME, logs: [{ partition: "chat" }], ...hello } });
  }
  drop(code, reason = "") { this.readyState = 3; this.dispatchEvent(Object.assign(new Event("close"), { code, reason })); }
  all(name) { return this.said.filter((one) => name in one).map((one) => one[name]); }
}

Math.random = () => 0; // nobody waits before they connect again

const clients = [];
const settled = async () => { for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate); };

function message(offset, more = {}) {
  return { id: `m${offset}`, signal_id: `s${offset}`, from: { eid: "alice" }, user_offset: String(offset), payload: btoa(`text ${offset}`), ...more };
}

async function open(options = {}, hello = {}) {
  const shown = [], url = `ws://server/${clients.length}`, client = connect(url, {
    token: "T", WebSocket: Socket, onMessage: (one) => { shown.push(textOf(one)); }, ...options,
  });
  clients.push(client);
  const socket = await nth(url, 1);
  socket.welcome(hello);
  await settled();
  return { client, socket, shown };
}

/** A client's n-th connection, once it is there. */
async function nth(url, number) {
  const ours = () => Socket.opened.filter((one) => one.url === url);
  while (ours().length < number) await new Promise((resolve) => setTimeout(resolve, 1));
  await settled();
  return ours()[number - 1];
}

/** The connection behind this one. */
async function again(socket, code = 1006, hello = {}) {
  const number = Socket.opened.filter((one) => one.url === socket.url).indexOf(socket) + 1;
  socket.drop(code);
  const next = await nth(socket.url, number + 1);
  next.welcome(hello);
  await settled();
  return next;
}

const RULES = {
  async "Hello brings the token and asks for the partitions"() {
    const { socket } = await open({ token: async () => "T\n", start: { start: "FIRST" } });
    const [hello] = socket.all("hello");
    assert.equal(hello.token, "T");
    assert.deepEqual(hello.partitions, [{ partition: "chat", start: "FIRST" }]);
  },

  async "a batch in turn is shown in its order and acknowledged as a whole"() {
    const { socket, shown } = await open();
    socket.body({ partition: "chat", upto: "4", messages: [message(1), message(3)] });
    await settled();
    assert.deepEqual(shown, ["text 1", "text 3"]);
    assert.deepEqual(socket.all("signal"), [{ status: 2, partition: "chat", upto: 4 }]);
  },

  async "what comes again is not shown again, and acknowledged again"() {
    const { socket, shown } = await open();
    const second = message(2, { signal_id: undefined }); // known by its place alone
    socket.body({ partition: "chat", upto: "2", messages: [message(1), second] });
    socket.body({ partition: "chat", turn: "REDELIVERED", messages: [second] });
    await settled();
    assert.deepEqual(shown, ["text 1", "text 2"]);
    assert.equal(socket.all("signal").length, 2);
  },

  async "what comes out of turn is held, said in Hello, and shown once"() {
    const { socket, shown } = await open();
    socket.body({ partition: "chat", turn: "TURN_RESUME", messages: [message(3)] });
    await settled();
    assert.deepEqual(socket.all("signal"), [{ status: 2, partition: "chat", offsets: [{ from: 3, to: 3 }] }]);
    const next = await again(socket);
    assert.deepEqual(next.all("hello")[0].partitions, [{ partition: "chat", offset: 0, held: [{ from: 3, to: 3 }] }]);
    next.body({ partition: "chat", upto: "3", messages: [message(2), message(3)] });
    await settled();
    assert.deepEqual(shown, ["text 3", "text 2"]);
  },

  async "a batch with a turn of a later version is left aside"() {
    const { socket, shown } = await open();
    socket.body({ partition: "chat", turn: 99, messages: [message(1)] });
    socket.body({ partition: "chat", turn: "TURN_OF_LATER", messages: [message(1)] });
    await settled();
    assert.deepEqual([shown, socket.all("signal")], [[], []]);
    socket.body({ partition: "chat", upto: "1", messages: [message(1)] });
    await settled();
    assert.deepEqual(shown, ["text 1"]);
  },

  async "a PING, whose kind is left away as all that is 0, is answered with PONG and its id"() {
    const { socket } = await open();
    socket.tell({ route: "3", ping_pong: { id: "p1" }, ref: "9" });
    socket.tell({ route: "3", ping_pong: { id: "p2", kind: "PONG" } });
    assert.deepEqual(socket.said.filter((one) => one.ping_pong), [{ route: 3, ref: "9", ping_pong: { id: "p1", kind: "PONG" } }]);
  },

  async "what an unfinished connection left is asked for again"() {
    const { socket, shown } = await open();
    socket.body({ partition: "chat", upto: "1", messages: [message(1)] });
    await settled();
    const next = await again(socket);
    assert.deepEqual(next.all("hello")[0].partitions, [{ partition: "chat", offset: 1, held: [] }]);
    assert.deepEqual(shown, ["text 1"]);
  },

  async "a batch that does not join is not taken: Hello is said again"() {
    const errors = [], { socket, shown } = await open({ onError: (error) => errors.push(error.code) });
    socket.body({ partition: "chat", after: "5", upto: "6", messages: [message(6)] });
    await settled();
    assert.deepEqual([shown, errors, socket.readyState], [[], ["HOLE"], 3]);
  },

  async "a gap is told and passed"() {
    const gaps = [], { socket } = await open({ onGap: (gap) => gaps.push(gap.reason) });
    socket.body({ partition: "chat", upto: "9", gaps: [{ partition: "chat", from: "1", to: "8", reason: "EXPIRED" }], messages: [message(9)] });
    await settled();
    assert.deepEqual(gaps, ["EXPIRED"]);
    assert.deepEqual(socket.all("signal"), [{ status: 2, partition: "chat", upto: 9 }]);
  },

  async "a message is acknowledged when its handler is done, and not before"() {
    let finish;
    const { socket } = await open({ onMessage: () => new Promise((resolve) => { finish = resolve; }) });
    socket.body({ partition: "chat", upto: "1", messages: [message(1)] });
    await settled();
    assert.deepEqual(socket.all("signal"), []);
    finish();
    await settled();
    assert.equal(socket.all("signal").length, 1);
  },

  async "a message whose handler fails comes again"() {
    let tries = 0;
    const { socket } = await open({ onMessage: () => { if (tries++ === 0) throw new Error("no room"); } });
    socket.body({ partition: "chat", upto: "1", messages: [message(1)] });
    await settled();
    assert.deepEqual(socket.all("signal"), []);
    const next = await again(socket);
    next.body({ partition: "chat", upto: "1", messages: [message(1)] });
    await settled();
    assert.equal(tries, 2);
    assert.equal(next.all("signal").length, 1);
  },

  async "SENT settles a message, whose place is held"() {
    const { client, socket } = await open();
    const sending = client.send({ to: "alice", text: "grüezi", id: "m1" });
    await settled();
    const [sent] = socket.said.filter((one) => one.message);
    assert.equal(textOf(sent.message), "grüezi");
    assert.deepEqual(sent.message.to, { eid: "alice" });
    socket.body({ signals: [{ id: "m1", signal_id: "s1", status: "1", partition: "chat", user_offset: "2", ref: sent.ref }] });
    assert.equal((await sending).signal_id, "s1");
    const next = await again(socket);
    assert.deepEqual(next.all("hello")[0].partitions[0].held, [{ from: 2, to: 2 }]);
    assert.deepEqual(next.all("message"), []);
    next.body({ partition: "chat", turn: "TURN_RESUME", messages: [message(1)] });
    await settled();
    assert.deepEqual((await again(next)).all("hello")[0].partitions, [{ partition: "chat", offset: 2, held: [] }]);
  },

  async "a message is in the store before it is sent"() {
    let finish;
    const saved = [], store = { load: () => null, save: (state) => new Promise((resolve) => { saved.push(state.outbox.map((one) => one.id)); finish = resolve; }) };
    const { client, socket } = await open({ store });
    client.send({ to: "alice", text: "hello", id: "m1" }).catch(() => {});
    await settled();
    assert.deepEqual([saved.at(-1), socket.all("message")], [["m1"], []]);
    finish();
    await settled();
    assert.deepEqual(socket.all("message").map((one) => one.id), ["m1"]);
  },

  async "what was read is said again over the next connection, until one outlived it by two heartbeats"() {
    const { client, socket } = await open({}, { limits: { heartbeat_ms: 20 } });
    const reads = (one) => one.all("signal").filter((signal) => signal.status === 3).map((signal) => [signal.conversation, signal.upto]);
    client.markRead("c1", 4);
    client.markRead("c1", 2); // less than is known
    client.markRead("c2", 1);
    await settled();
    assert.deepEqual(reads(socket), [["c1", 4], ["c2", 1]]);
    const next = await again(socket, 1006, { limits: { heartbeat_ms: 20 } });
    assert.deepEqual(reads(next), [["c1", 4], ["c2", 1]]);
    const monotonic = performance.now.bind(performance);
    performance.now = () => 0; // so that nobody is silent, however busy this machine is
    try {
      while (next.all("ping_pong").length < 3) await new Promise((resolve) => setTimeout(resolve, 2));
      await settled();
      assert.deepEqual(reads(await again(next)), []);
    } finally {
      performance.now = monotonic;
    }
  },

  async "a message without an answer is sent again under its id"() {
    const { client, socket } = await open();
    client.send({ to: "alice", text: "hello", id: "m1" }).catch(() => {});
    await settled();
    const next = await again(socket);
    assert.deepEqual(next.all("message").map((one) => one.id), ["m1"]);
  },

  async "an own entry of the log is the SENT that was cut off"() {
    const { client, socket, shown } = await open();
    const sending = client.send({ to: "alice", text: "hello", id: "m1" });
    await settled();
    const next = await again(socket);
    next.body({ partition: "chat", upto: "1", messages: [message(1, { id: "m1", from: ME })] });
    assert.equal((await sending).duplicate, true);
    assert.deepEqual([shown, client.outbox], [[], []]);
  },

  async "what is refused for good is told, what was not stored is sent again"() {
    const { client, socket } = await open();
    const refused = client.send({ to: "alice", text: "a", id: "m1" });
    const delayed = client.send({ to: "alice", text: "b", id: "m2" });
    await settled();
    const [first, second] = socket.said.filter((one) => one.message).map((one) => one.ref);
    socket.body({ errors: [{ code: "FORBIDDEN", message: "no", id: "m1", ref: first }, { code: "RATE_LIMITED", message: "later", retry_after_ms: "1", id: "m2", ref: second }] });
    await assert.rejects(refused, { code: "FORBIDDEN" });
    await new Promise((resolve) => setTimeout(resolve, 5));
    await settled();
    const ids = socket.all("message").map((one) => one.id);
    assert.deepEqual(ids, ["m1", "m2", "m2"]);
    socket.body({ signals: [{ id: "m2", signal_id: "s2", status: "1", partition: "chat", user_offset: "1" }] });
    assert.equal((await delayed).signal_id, "s2");
  },

  async "a wait that the server named goes on over the next connection, and ends when it is over"() {
    const { client, socket } = await open();
    client.send({ to: "alice", text: "x", id: "m1" }).catch(() => {});
    await settled();
    const { setTimeout: set } = globalThis, { now } = Date, timers = [], monotonic = performance.now.bind(performance);
    let at = 0;
    Object.assign(globalThis, { setTimeout: (call, ms) => (ms === 5000 || ms <= 5 ? timers.push(call) : set(call, ms)) });
    Date.now = performance.now = () => at;
    try {
      const { ref } = socket.said.find((one) => one.message);
      socket.body({ errors: [{ code: "RATE_LIMITED", message: "later", retry_after_ms: "5000", id: "m1", ref }] });
      assert.equal(timers.length, 1);
      at = 4999;
      timers.shift()(); // as Node's do, a little before their time
      assert.deepEqual([socket.all("message").length, timers.length], [1, 1]);
      socket.drop(1006);
      for (const call of timers.splice(0)) call(); // of which one connects again
      await settled();
      const next = Socket.opened.filter((one) => one.url === socket.url)[1];
      next.welcome();
      assert.deepEqual(next.all("message"), []);
      at = 5000;
      for (const call of timers.splice(0)) call();
      assert.deepEqual(next.all("message").map((one) => one.id), ["m1"]);
    } finally {
      Object.assign(globalThis, { setTimeout: set });
      Date.now = now;
      performance.now = monotonic;
    }
  },

  async "a message of which the server cannot say whether it has it is sent three times"() {
    const refused = [], { client, socket } = await open({ onRefused: (error, message) => refused.push([error.code, message.id]) });
    const sending = client.send({ to: "alice", text: "x", id: "m1" });
    sending.catch(() => {});
    for (let number = 1; number <= 3; number++) {
      while (socket.all("message").length < number) await new Promise((resolve) => setTimeout(resolve, 1));
      const { ref } = socket.said.filter((one) => one.message).at(-1);
      socket.body({ errors: [{ code: "UNKNOWN_OUTCOME", message: "perhaps", retry_after_ms: "1", id: "m1", ref }] });
    }
    await settled();
    await assert.rejects(Promise.race([sending, settled()]), { code: "UNKNOWN_OUTCOME" });
    assert.deepEqual([refused, client.outbox], [[["UNKNOWN_OUTCOME", "m1"]], []]);
  },

  async "a message that is too large in UTF-8 is refused here"() {
    const { client, socket } = await open({}, { limits: { max_frame_bytes: 700 } });
    const mentions = Array.from({ length: 20 }, () => "\u4f60".repeat(7)); // 200 characters more, three bytes each
    await assert.rejects(client.send({ to: "alice", text: "x", mentions }), { code: "TOO_LARGE" });
    assert.deepEqual(socket.all("message"), []);
  },

  async "at most 32 messages wait for their answers"() {
    const { client, socket } = await open();
    for (let number = 0; number < 40; number++) client.send({ to: "alice", text: "x" }).catch(() => {});
    await settled();
    assert.equal(socket.all("message").length, 32);
    const { ref, message: first } = socket.said.find((one) => one.message);
    socket.body({ signals: [{ id: first.id, status: "1", partition: "chat", user_offset: "1", ref }] });
    await settled();
    assert.equal(socket.all("message").length, 33);
  },

  async "another epoch makes offsets void, and what is known by signal_id is not shown"() {
    const { socket, shown } = await open({ knows: (id) => id === "s2" });
    socket.body({ partition: "chat", upto: "90", messages: [message(90)], states: [{ upto: "4" }] });
    await settled();
    const next = await again(socket, 1006, { epoch: "9", logs: [{ partition: "chat", position: "75" }] });
    next.body({ partition: "chat", after: "75", upto: "78", messages: [message(76, { signal_id: "s90" }), message(77, { signal_id: "s2" }), message(78)] });
    await settled();
    assert.deepEqual(shown, ["text 90", "text 78"]);
    const [hello] = (await again(next)).all("hello");
    assert.deepEqual([hello.epoch, hello.state_version], ["9", 0]);
  },

  async "the state's version counts when its page was taken, and of a whole state at its end"() {
    const pages = [], { socket } = await open({ onState: (page) => { pages.push(page.upto); } });
    socket.body({ states: [{ reset: true, upto: "3" }] });
    await settled();
    const next = await again(socket);
    assert.equal(next.all("hello")[0].state_version, 0);
    next.body({ states: [{ reset: true, upto: "3" }, { after: "3", upto: "5", complete: true }] });
    next.body({ states: [{ after: "5", upto: "6" }] });
    await settled();
    assert.deepEqual(pages, ["3", "3", "5", "6"]);
    assert.equal((await again(next)).all("hello")[0].state_version, 6);
  },

  async "a whole state of which an ended connection told a part does not count"() {
    let finish;
    const pages = [], { socket } = await open({ onState: (page) => { pages.push(page.upto); return new Promise((resolve) => { finish = resolve; }); } });
    socket.body({ states: [{ reset: true, upto: "3" }, { after: "3", upto: "5", complete: true }] });
    await settled();
    const next = await again(socket);
    finish();
    await settled();
    assert.deepEqual(pages, ["3"]);
    assert.equal((await again(next)).all("hello")[0].state_version, 0);
  },

  async "a request is answered by its ref, and ends with its connection"() {
    const { client, socket } = await open();
    const ask = (name, payload) => {
      const asked = client.request(name, payload);
      return [asked, String(socket.said.at(-1).ref)];
    };
    const [inbox, first] = ask("fetch", { kind: "INBOX" });
    socket.body({ turn: "TURN_FETCH", complete: true, ref: first });
    assert.equal((await inbox).complete, true);
    const [devices, second] = ask("devices", { action: "LIST" });
    socket.tell({ route: "22", devices: { devices: [] }, ref: second });
    assert.deepEqual(await devices, { devices: [] });
    const [edit, third] = ask("command", { kind: "EDIT" });
    socket.body({ errors: [{ code: "NOT_FOUND", message: "no", field: "target", ref: third }] });
    await assert.rejects(edit, { code: "NOT_FOUND", field: "target" });
    const [cut] = ask("devices", { action: "LIST" });
    socket.drop(1006);
    await assert.rejects(cut, { code: "UNKNOWN_OUTCOME" });
    await assert.rejects(client.request("devices", {}), { code: "UNAVAILABLE" });
  },

  async "close codes say whether it connects again"() {
    for (const [code, retries] of [[1001, true], [1006, true], [1011, true], [1013, true], [4000, true], [4099, true], [4200, true], [1002, false], [1009, false], [4100, false], [4101, false], [4103, false], [4107, false]]) {
      const ends = [], { client, socket } = await open({ onDisconnected: (end) => ends.push(end) });
      socket.drop(code, "why");
      await settled();
      assert.equal("retryMs" in ends[0], retries, String(code));
      if (!retries) await assert.rejects(client.done, { code });
      if (!retries) await assert.rejects(client.send({ to: "alice", text: "x" }), { code: "UNAVAILABLE" });
      await client.close();
    }
  },

  async "it waits as long as the server says, and gets another token for one that expired"() {
    const ends = [], tokens = ["A", "B", "B"];
    const { client, socket } = await open({ token: () => tokens.shift(), onDisconnected: (end) => ends.push(end) });
    const next = await again(socket, 4101);
    assert.equal(next.all("hello")[0].token, "B");
    next.drop(1013, "too many: again in 7 seconds");
    await settled();
    assert.ok(ends[1].retryMs >= 7000, JSON.stringify(ends));
    await client.close();
  },

  async "it leaves a server that drains alone for as long as that says"() {
    const ends = [];
    const { client, socket } = await open({ onDisconnected: (end) => ends.push(end) });
    socket.drop(1001, "the server stops; please connect again in 17 seconds");
    await settled();
    assert.ok(ends[0].retryMs >= 17_000, JSON.stringify(ends));
    await client.close();
  },

  async "a refused Hello is told with the server's sentence"() {
    const ends = [];
    connect("ws://server", { token: "T", WebSocket: Socket, onDisconnected: (end) => ends.push(end) });
    const socket = await nth("ws://server", 1);
    socket.tell({ route: "11", error: { code: "NOT_FOUND", message: "There is no partition." } });
    socket.drop(4106, "");
    await settled();
    assert.deepEqual(ends, [{ code: 4106, reason: "There is no partition." }]);
  },

  async "a store is loaded, and saved before an acknowledgement"() {
    const saved = [];
    let fails = false;
    const store = {
      load: async () => saved.at(-1),
      save: async (value) => { if (fails) throw new Error("disk"); saved.push(structuredClone(value)); },
    };
    const { client, socket } = await open({ store });
    socket.body({ partition: "chat", upto: "1", messages: [message(1)] });
    client.send({ to: "alice", text: "x", id: "m1" }).catch(() => {});
    await settled();
    assert.equal(saved.at(-1).positions.chat.offset, 1);
    fails = true;
    socket.body({ partition: "chat", after: "1", upto: "2", messages: [message(2)] });
    await settled();
    assert.equal(socket.all("signal").length, 1);
    await client.close();
    fails = false;
    const next = await open({ store });
    assert.deepEqual(next.socket.all("hello")[0].partitions, [{ partition: "chat", offset: 1, held: [] }]);
    assert.deepEqual(next.socket.all("message").map((one) => one.id), ["m1"]);
    next.socket.welcome({ identity: { ...ME, connection_resource_id: "laptop" } });
  },

  async "a store that cannot be read is not written, whatever is sent meanwhile"() {
    const saved = [], errors = [];
    let fail;
    const store = { load: () => new Promise((_, reject) => { fail = reject; }), save: (value) => { saved.push(value); } };
    const client = connect("ws://server/unread", { token: "T", WebSocket: Socket, store, onError: (error) => errors.push(error.message) });
    const early = client.send({ to: "alice", text: "x" });
    await settled();
    fail(new Error("EIO"));
    await assert.rejects(early, { code: "UNAVAILABLE", message: /EIO/ });
    await assert.rejects(client.done, { code: "UNAVAILABLE", message: /EIO/ });
    await assert.rejects(client.send({ to: "alice", text: "x" }), { code: "UNAVAILABLE" });
    await client.close();
    assert.deepEqual([saved, errors.length, client.outbox], [[], 1, []]);
    assert.ok(!Socket.opened.some((one) => one.url === "ws://server/unread"));
  },

  async "SENT is told though the store cannot be written"() {
    const errors = [], store = { load: () => null, save: () => { throw new Error("disk"); } };
    const { client, socket } = await open({ store, onError: (error) => errors.push(error.message) });
    const sending = client.send({ to: "alice", text: "x", id: "m1" });
    await settled();
    const before = errors.length;
    socket.body({ signals: [{ id: "m1", signal_id: "s1", status: "1", partition: "chat", user_offset: "1" }] });
    assert.equal(await Promise.race([sending.then((one) => one.signal_id), settled()]), "s1");
    assert.deepEqual([client.outbox, errors.slice(before)], [[], ["disk"]]);
  },

  async "a store is one device's: the connection is closed, and nothing is left there to be sent"() {
    let saved = { identity: { ...ME, connection_resource_id: "laptop" }, outbox: [{ id: "m1" }] };
    const store = { load: () => saved, save: (value) => { saved = structuredClone(value); } };
    const url = "ws://server/another", client = connect(url, { token: "T", WebSocket: Socket, store });
    const sending = client.send({ to: "alice", text: "x", id: "m2" });
    const socket = await nth(url, 1);
    socket.welcome();
    await assert.rejects(client.done, { code: "INVALID" });
    await assert.rejects(sending, { code: "INVALID" });
    await settled();
    assert.equal(socket.readyState, 3);
    assert.deepEqual(saved.outbox, [{ id: "m1" }]);
    assert.equal(saved.identity.connection_resource_id, "laptop");
  },

  async "close does not wait for a token"() {
    const client = connect("ws://server/closed", { token: () => new Promise(() => {}), WebSocket: Socket });
    await settled();
    const closing = client.close().then(() => "closed");
    assert.equal(await Promise.race([closing, settled()]), "closed");
  },

  async "close waits for the handler and acknowledges"() {
    let finish;
    const { client, socket } = await open({ onMessage: () => new Promise((resolve) => { finish = resolve; }) });
    socket.body({ partition: "chat", upto: "2", messages: [message(1), message(2)] });
    await settled();
    const closing = client.close();
    finish();
    await closing;
    assert.deepEqual(socket.all("signal"), [{ status: 2, partition: "chat", upto: 1 }]);
    assert.equal(socket.readyState, 3);
  },
};

for (const [rule, check] of Object.entries(RULES)) {
  await check();
  console.log(rule);
}
process.exit(0); // clients wait for their next connections
