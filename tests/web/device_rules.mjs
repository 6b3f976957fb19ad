// Rules of one device, against a server that says what a test wants. Prints each rule that holds.

import assert from "node:assert/strict";
import { newId } from "../../bimip/web/bimip.mjs";
import { Channel } from "../../bimip/web/channel.mjs";
import { memoryDatabase } from "../../bimip/web/database.mjs";
import { openDevice } from "../../bimip/web/device.mjs";

const ME = { eid: "bob", connection_resource_id: "phone" };

/** A WebSocket whose other end is the test. */
class Socket extends EventTarget {
  static opened = [];
  readyState = 0;
  said = [];

  constructor() {
    super();
    Socket.opened.push(this);
    setImmediate(() => { this.readyState = 1; this.dispatchEvent(new Event("open")); });
  }

  send(text) { this.said.push(JSON.parse(text)); }
  close() { this.readyState = 3; }
  tell(frame) { this.dispatchEvent(Object.assign(new Event("message"), { data: JSON.stringify(frame) })); }
  body(body) { this.tell({ route: "10", body }); }
  welcome(hello = {}) { this.tell({ route: "13", hello: { epoch: "7", identity: ME, logs: [{ partition: "chat" }], ...hello } }); }
  all(name) { return this.said.filter((one) => name in one); }
  sent({ ref, message }, offset) {
    this.body({
      partition: "chat", after: String(offset - 1), upto: String(offset),
      signals: [{ id: message.id, signal_id: `s${offset}`, signal_offset: "900", status: "1", partition: "chat", user_offset: String(offset), conversation: "c1", conversation_offset: String(offset), timestamp: "5", ref: String(ref) }],
    });
  }
}

Math.random = () => 0; // nobody waits before they connect again

const devices = [];
const settled = async () => { for (let turn = 0; turn < 60; turn++) await new Promise(setImmediate); };

function message(offset, more = {}) {
  return {
    id: `m${offset}`, signal_id: `s${offset}`, signal_offset: String(800 + offset), from: { eid: "alice" }, to: { eid: "bob" }, partition: "chat", user_offset: String(offset),
    conversation: "c1", conversation_offset: String(offset), server_time: "5", payload: btoa(`text ${offset}`), ...more,
  };
}

async function open(options = {}, hello = {}) {
  const database = options.database ?? memoryDatabase(), shown = [], errors = [];
  const device = await openDevice({ url: "ws://server", token: "T", WebSocket: Socket, database, ...options });
  devices.push(device);
  device.on("message", (view) => shown.push(view.text));
  device.on("error", (error) => errors.push(error.message ?? String(error)));
  await settled();
  const socket = Socket.opened.at(-1);
  if (options.plugged !== false) socket.welcome(hello);
  await settled();
  return { device, socket, database, shown, errors };
}

/** The connection behind this one. */
async function again(socket, hello = {}) {
  const count = Socket.opened.length;
  if (socket.readyState !== 3) socket.dispatchEvent(Object.assign(new Event("close"), { code: 1006, reason: "" }));
  while (Socket.opened.length === count) await new Promise((resolve) => setTimeout(resolve, 1));
  await settled();
  const next = Socket.opened.at(-1);
  next.welcome(hello);
  await settled();
  return next;
}

const RULES = {
  async "a message and the place behind it are one transaction"() {
    const { socket, database } = await open(), commit = database.commit, written = [];
    database.commit = async (changes) => { written.push(changes); return commit(changes); };
    socket.body({ partition: "chat", upto: "2", messages: [message(1), message(2)] });
    await settled();
    const places = written.filter((changes) => changes.some(({ table }) => table === "entries"));
    assert.equal(places.length, 1);
    assert.deepEqual(places[0].filter(({ table }) => table === "entries").map(({ value }) => value.offset), [1, 2]);
    assert.equal(places[0].find(({ table, value }) => table === "meta" && value.id === "client").value.positions.chat.offset, 2);
  },

  async "in each transaction what waits is in the outbox, where it stays until its answer is kept"() {
    const memory = memoryDatabase(), apart = [], disk = () => new Promise(setImmediate); // as long as it takes: meanwhile others gather
    const get = async (...asked) => { for (let turn = 0; turn < 5; turn++) await disk(); return memory.get(...asked); };
    const count = async (...asked) => { for (let turn = 0; turn < 3; turn++) await disk(); return memory.count(...asked); };
    const commit = async (changes) => {
      await disk();
      await memory.commit(changes);
      const waiting = (await memory.all("entries")).filter((one) => !one.signal_id).map((one) => one.message.id);
      const outbox = (await memory.all("outbox")).map((one) => one.message.id);
      const lost = waiting.filter((id) => !outbox.includes(id)); // after a kill they would wait for ever
      if (lost.length) apart.push({ lost, changes });
    };
    const { device, socket } = await open({ database: { ...memory, get, count, commit } });
    let offset = 0, answered = 0;
    for (let number = 1; number < 8; number++) {
      const sends = [];
      for (const [turn, text] of ["a", "b", "c"].entries()) {
        sends.push(device.send({ to: "alice", text: `${text} ${number}` }));
        for (let waits = 0; waits < 2 * turn; waits++) await disk();
        const [one] = socket.all("message").slice(answered);
        if (one) { answered++; socket.sent(one, ++offset); }
        socket.body({ partition: "chat", after: String(offset), upto: String(++offset), messages: [message(offset)] });
      }
      await Promise.all(sends);
    }
    await settled();
    assert.ok(answered > 10);
    assert.deepEqual(apart, []);
  },

  async "what could not be written is not acknowledged, and is shown once when it comes again"() {
    const { socket, database, shown, errors } = await open(), commit = database.commit;
    database.commit = async () => { throw new Error("no room"); };
    socket.body({ partition: "chat", upto: "1", messages: [message(1)] });
    await settled();
    assert.deepEqual([shown, socket.all("signal"), errors.includes("no room")], [[], [], true]);
    database.commit = commit;
    const next = await again(socket);
    next.body({ partition: "chat", after: next.all("hello")[0].hello.partitions[0].offset, upto: "1", messages: [message(1)] });
    await settled();
    assert.deepEqual(shown, ["text 1"]);
    assert.equal((await database.all("entries")).length, 1);
  },

  async "another epoch's offsets are forgotten, and what comes again is not shown again"() {
    const { device, socket, shown } = await open();
    socket.body({ partition: "chat", upto: "2", messages: [message(1), message(2)] });
    await settled();
    const next = await again(socket, { epoch: "9" });
    next.body({ partition: "chat", upto: "5", messages: [message(1, { user_offset: "5" })] });
    await settled();
    assert.deepEqual((await device.export()).map(({ offset, signalId }) => [offset, signalId]), [[5, "s1"]]);
    assert.deepEqual(shown, ["text 1", "text 2"]);
    assert.equal((await device.messages("c1")).length, 2);
  },

  async "a command goes behind the messages that were written before it, and one that is not answered goes again under its id"() {
    const { device } = await open({ plugged: false });
    const { id } = await device.send({ to: "alice", text: "one" });
    await device.react(id, "👍");
    await device.send({ to: "alice", text: "two" });
    device.plug();
    await settled();
    const socket = Socket.opened.at(-1);
    socket.welcome();
    await settled();
    const [one, two] = socket.all("message");
    assert.deepEqual(socket.all("command"), []);
    socket.sent(two, 1);
    await settled();
    assert.deepEqual(socket.all("command"), []);
    socket.sent(one, 2);
    await settled();
    const [{ command }] = socket.all("command");
    assert.deepEqual([command.kind, command.target_id, command.emoji], ["REACT", id, "👍"]);
    const next = await again(socket), [{ command: said, ref }] = next.all("command");
    assert.deepEqual(said, command);
    next.body({ commands: [{ ...said, ref: String(ref), target: "900", conversation: "c1", conversation_offset: "2" }] });
    await settled();
    assert.equal(device.condition.outbox, 0);
    assert.deepEqual((await device.message(id)).reactions, [{ emoji: "👍", eids: ["bob"], mine: true }]);
  },

  async "a command that has to wait is sent again, and one that is refused is taken back"() {
    const { device, socket, errors } = await open();
    socket.body({ partition: "chat", upto: "1", messages: [message(1)] });
    await settled();
    await device.react("s1", "👍");
    const refuse = (code, more = {}) => socket.tell({ route: "11", error: { code, message: code, ref: String(socket.all("command").at(-1).ref), ...more } });
    refuse("RATE_LIMITED", { retry_after_ms: 1 });
    while (socket.all("command").length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
    assert.equal((await device.message("s1")).reactions.length, 1);
    refuse("INVALID");
    await settled();
    assert.deepEqual([errors, (await device.message("s1")).reactions, device.condition.outbox], [["INVALID"], [], 0]);
  },

  async "stamps come behind all that this device has seen"() {
    const { device, socket } = await open(), ahead = String(BigInt(Date.now() + 1e7) << 22n);
    socket.body({ partition: "chat", upto: "1", messages: [message(1, { signal_offset: ahead })] });
    await settled();
    await device.react("s1", "👍");
    await device.react("s1", "🎉");
    const [first, second] = socket.all("command").map((one) => BigInt(one.command.stamp));
    assert.ok(BigInt(ahead) < first && first < second);
  },

  async "of drafts that were not sent yet the last one is"() {
    const { device, socket } = await open();
    socket.body({ partition: "chat", upto: "1", messages: [message(1)] });
    await settled();
    device.unplug();
    for (const text of ["a", "ab", "abc"]) await device.draft("c1", text);
    assert.equal(device.condition.outbox, 1);
    assert.equal((await device.inbox())[0].draft, "abc");
  },

  async "an edit that was delivered with its message counts before one that is older"() {
    const { device, socket } = await open();
    socket.body({ partition: "chat", upto: "1", messages: [message(1, { edited: "5000", payload: btoa("newest") })], states: [{ upto: "1", items: [{ message: { conversation: "c1", conversation_offset: "1", stamp: "4000", payload: btoa("older") } }] }] });
    await settled();
    assert.equal((await device.messages("c1"))[0].text, "newest");
    socket.body({ states: [{ after: "1", upto: "2", items: [{ message: { conversation: "c1", conversation_offset: "1", stamp: "6000", payload: btoa("later") } }] }] });
    await settled();
    assert.equal((await device.messages("c1"))[0].text, "later");
  },

  async "one that the server ended for good can write, and is connected again by hand"() {
    const { device, socket } = await open();
    socket.dispatchEvent(Object.assign(new Event("close"), { code: 4103, reason: "replaced" }));
    await settled();
    assert.deepEqual([device.condition.isStopped, device.condition.isPlugged], [true, false]);
    const { id } = await device.send({ to: "alice", text: "written" });
    device.plug();
    await settled();
    Socket.opened.at(-1).welcome();
    await settled();
    assert.deepEqual(Socket.opened.at(-1).all("message").map((one) => one.message.id), [id]);
  },

  async "a message that comes in the log and in the server's list at once has its place in the log, and counts once"() {
    for (const next of ["shift", "pop"]) { // which of both reads is done first
      const memory = memoryDatabase(), held = []; // reads take as long as those of a disk
      const get = async (...asked) => {
        const found = await memory.get(...asked);
        if (asked[0] === "entries") await new Promise((done) => held.push(done));
        return found;
      };
      const { device, socket } = await open({ database: { ...memory, get } });
      const [{ ref }] = socket.said.filter(({ fetch }) => fetch?.kind === "INBOX");
      const conversation = { id: "c1", peer: "alice", head: "1", unread: "1", last_message: message(1, { user_offset: "0" }) };
      socket.body({ turn: "TURN_FETCH", ref: String(ref), complete: true, conversations: [conversation] });
      socket.body({ partition: "chat", upto: "1", messages: [message(1)] });
      await settled();
      while (held.length) {
        held[next]()();
        await settled();
      }
      assert.deepEqual((await device.export()).map((one) => [one.partition, one.offset, one.text]), [["chat", 1, "text 1"]]);
      assert.deepEqual((await device.inbox()).map((one) => one.unread), [1]);
    }
  },

  async "messages are told in the order of the log, also where the server's list or the history has one of them first, and what is older is not told"() {
    const { device, socket, shown } = await open({}, { logs: [{ partition: "chat", position: "5" }] });
    const [{ ref }] = socket.said.filter(({ fetch }) => fetch?.kind === "INBOX");
    const conversation = { id: "c1", peer: "alice", head: "9", last_message: message(9, { user_offset: "0" }) };
    socket.body({ partition: "chat", after: "5", upto: "8", messages: [6, 7, 8].map((offset) => message(offset)) });
    socket.body({ turn: "TURN_FETCH", ref: String(ref), complete: true, conversations: [conversation] });
    await settled();
    const older = device.older("c1");
    await settled();
    const asked = socket.said.find(({ fetch }) => fetch?.kind === "HISTORY");
    socket.body({ turn: "TURN_FETCH", ref: String(asked.ref), complete: true, messages: [5, 10].map((offset) => message(offset, { user_offset: "0" })) });
    await older;
    socket.body({ partition: "chat", after: "8", upto: "11", messages: [9, 10, 11].map((offset) => message(offset)) });
    await settled();
    assert.deepEqual(shown, [6, 7, 8, 9, 10, 11].map((offset) => `text ${offset}`));
    assert.deepEqual((await device.messages("c1")).map((one) => one.offset), [5, 6, 7, 8, 9, 10, 11]);
    await again(socket, { epoch: "9" });
    Socket.opened.at(-1).body({ partition: "chat", upto: "2", messages: [message(9, { user_offset: "1" }), message(5, { user_offset: "2" })] });
    await settled();
    assert.deepEqual(shown.slice(6), ["text 5"], "what was told is not told again, and what never was is");
  },

  async "what one read and what one types are no messages to send"() {
    const { device, socket } = await open();
    socket.body({ partition: "chat", upto: "1", messages: [message(1)] });
    await settled();
    device.unplug();
    await device.markRead("c1", 1);
    await device.draft("c1", "a");
    assert.deepEqual([device.condition.outbox, device.condition.toSend], [2, 0]);
    await device.react("s1", "👍");
    await device.send({ to: "alice", text: "one" });
    assert.deepEqual([device.condition.outbox, device.condition.toSend], [4, 2]);
  },

  async "a message that is deleted while it comes in the log has its place there, and no content"() {
    for (const next of ["shift", "pop"]) {
      const memory = memoryDatabase(), held = [];
      let isSlow = false; // from then on reads take as long as those of a disk
      const get = async (...asked) => {
        const found = await memory.get(...asked);
        if (isSlow && asked[0] === "entries") await new Promise((done) => held.push(done));
        return found;
      };
      const { device, socket } = await open({ database: { ...memory, get } });
      const [{ ref }] = socket.said.filter(({ fetch }) => fetch?.kind === "INBOX");
      const conversation = { id: "c1", peer: "alice", head: "2", unread: "1", last_message: message(2, { user_offset: "0" }) };
      socket.body({ turn: "TURN_FETCH", ref: String(ref), complete: true, conversations: [conversation] });
      await settled();
      const older = device.older("c1");
      await settled();
      const asked = socket.said.find(({ fetch }) => fetch?.kind === "HISTORY");
      isSlow = true;
      socket.body({ partition: "chat", upto: "2", messages: [message(2)] });
      const items = [{ message: { conversation: "c1", conversation_offset: "2", signal_offset: "802", deleted: true } }];
      socket.body({ turn: "TURN_FETCH", ref: String(asked.ref), complete: true, states: [{ items }] });
      await settled();
      while (held.length) {
        held[next]()();
        await settled();
      }
      await older;
      assert.deepEqual((await device.export()).map((one) => [one.offset, one.text]), [[2, null]]);
    }
  },

  async "an own message that the server's list has before its answer comes has its place in the log"() {
    const { device, socket } = await open();
    const { id } = await device.send({ to: "alice", text: "mine" });
    const [{ ref }] = socket.said.filter(({ fetch }) => fetch?.kind === "INBOX");
    const last = message(1, { id, from: ME, to: { eid: "alice" }, user_offset: "0", payload: btoa("mine") });
    socket.body({ turn: "TURN_FETCH", ref: String(ref), complete: true, conversations: [{ id: "c1", peer: "alice", head: "1", last_message: last }] });
    await settled();
    socket.sent(socket.all("message")[0], 1);
    await settled();
    assert.deepEqual((await device.export()).map((one) => [one.partition, one.offset, one.text]), [["chat", 1, "mine"]]);
  },

  async "ids go by the time, and are drawn also where a page came without TLS"() {
    const { now } = Date, { randomUUID } = crypto, times = [5, 6, 7, 8].map((late) => 1_700_000_000_000 + late);
    crypto.randomUUID = undefined;
    Date.now = () => times.shift();
    const drawn = [1, 2, 3, 4].map(() => newId());
    Object.assign(Date, { now });
    crypto.randomUUID = randomUUID;
    assert.deepEqual(drawn, [...drawn].sort());
    assert.equal(new Set(drawn.map((one) => one.slice(12))).size, 4);
    for (const one of drawn) assert.match(one, /^018bcfe568[0-9a-f]{22}$/);
  },

  async "a data channel is closed before its connection, which waits for the other end's answer for a while"() {
    const steps = [], { setTimeout: real } = globalThis;
    globalThis.RTCPeerConnection = class extends EventTarget {
      createDataChannel() { return this.channel = Object.assign(new EventTarget(), { readyState: "open", close: () => steps.push("channel") }); }
      createOffer() { return (RTCPeerConnection.last = this).localDescription = { type: "offer", sdp: "" }; }
      setLocalDescription() { this.iceGatheringState = "complete"; }
      close() { steps.push("connection"); }
    };
    const open = async () => { const channel = new Channel(); await channel.offer(); return [channel, RTCPeerConnection.last.channel]; };
    const [channel, inner] = await open(), waits = [];
    globalThis.setTimeout = (late) => waits.push(late);
    channel.close();
    assert.equal(await channel.receive(1), null);
    assert.deepEqual(steps, ["channel"]);
    inner.dispatchEvent(new Event("close"));
    assert.deepEqual(steps.splice(0), ["channel", "connection"]);

    waits.splice(0);
    const [silent] = await open();
    silent.close();
    assert.deepEqual([steps.splice(0), waits.length], [["channel"], 1]);
    waits[0]();
    assert.deepEqual(steps.splice(0), ["connection"]);

    const [late, gone] = await open();
    gone.readyState = "closed";
    late.close();
    assert.deepEqual(steps, ["connection"]);
    globalThis.setTimeout = real;
    delete globalThis.RTCPeerConnection;
  },

  async "nothing of a payload that is no text is shown as text"() {
    const { device, socket } = await open();
    socket.body({ partition: "chat", upto: "1", messages: [message(1, { payload: btoa("\xff\xfe") })] });
    await settled();
    assert.equal((await device.messages("c1"))[0].text, null);
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
process.exit(0); // devices that are connected have timers
