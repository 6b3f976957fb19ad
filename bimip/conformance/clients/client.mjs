// A whole client of BIMIP in plain JavaScript, for Node 22 (20.10 with --experimental-websocket), on bimip.v1.json. It is written from
// PROTOCOL.md alone, to show that this is enough, and obeys the kit's lines (../README.md): node client.mjs. Copy from it what you like.
//
// What arrives is taken at once and in its order, and all that is known is stored, in one file, before the server is told of it.

import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";

const { BIMIP_URL, BIMIP_TOKEN, BIMIP_STORE, BIMIP_PARTITIONS = "chat", BIMIP_BACKOFF_MS = "15000", BIMIP_TIMEOUT_MS = "10000" } = process.env;
const ROUTES = { ping_pong: 3, message: 6, signal: 7, body: 10, hello: 13 };
const SENT = "1", DELIVERED = 2, READ = 3, MOST_KNOWN = 10_000, MOST_HELD = 256;
const FINAL = new Set([1000, 1002, 1003, 1007, 1009]);
const MOMENTARY = new Set(["RATE_LIMITED", "STORAGE_FULL", "UNAVAILABLE", "UNKNOWN_OUTCOME"]);
const TURNS = new Set(["REDELIVERED", "TURN_RESUME"]); // beside what is in turn; what else there may be is left aside

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

// What is kept. Offsets are numbers, which a double holds for longer than anybody lives; epochs and signal ids stay text.

const FILE = `${BIMIP_STORE}/client.json`;
let state = { epoch: "0", version: "0", positions: {}, outbox: [], known: [], reads: {}, markers: {} };
try {
  state = JSON.parse(readFileSync(FILE, "utf8"));
} catch (error) {
  if (error.code !== "ENOENT") throw error;
}
const known = new Set(state.known);

function save() {
  state.known = [...known].slice(-MOST_KNOWN);
  writeFileSync(`${FILE}.new`, JSON.stringify(state), { mode: 0o600, flush: true });
  renameSync(`${FILE}.new`, FILE);
}

// Positions: all up to `offset`, and the offsets `held` beyond it.

const holds = (place, offset) => offset <= place.offset || place.held.includes(offset);

function reach(place, offset) {
  place.offset = Math.max(place.offset, offset);
  place.held = [...new Set(place.held)].filter((one) => one > place.offset).sort((a, b) => a - b);
  while (place.held[0] === place.offset + 1) place.offset = place.held.shift();
}

function hold(place, offset) {
  place.held.push(offset);
  reach(place, 0);
}

// One connection after another.

let socket = null, me = null, ref = 0, heard = 0, attempt = 0, whole = null, isStopped = false, heartbeat, tooLate, pausedUntil = 0;
const inFlight = new Map(); // ref -> id of the message that waits for its answer

function open() {
  const ours = socket = new WebSocket(BIMIP_URL, ["bimip.v1.json"]);
  const isOurs = () => socket === ours;
  ours.addEventListener("open", () => isOurs() && sayHello());
  ours.addEventListener("message", (event) => {
    if (!isOurs()) return;
    heard = performance.now();
    try {
      take(JSON.parse(event.data));
    } catch (error) { // nothing of it counts: it comes again
      console.error(error);
      lost(0, "");
    }
  });
  ours.addEventListener("error", () => {}); // what follows is a close
  ours.addEventListener("close", (event) => isOurs() && lost(event.code, event.reason));
  tooLate = setTimeout(() => isOurs() && !me && lost(0, ""), Number(BIMIP_TIMEOUT_MS));
}

function lost(code, reason) {
  const ours = socket;
  socket = me = whole = null;
  inFlight.clear();
  clearTimeout(tooLate);
  clearInterval(heartbeat);
  ours.close();
  if (FINAL.has(code) || (code >= 4100 && code <= 4199)) {
    isStopped = true;
    return say({ stopped: { code } });
  }
  const named = code === 1001 || code === 1013 ? /again in ([0-9]{1,9}) seconds?\b/.exec(reason) : null;
  const backOffMs = Math.random() * Math.min(15_000, Number(BIMIP_BACKOFF_MS), 500 * 2 ** Math.min(attempt++, 10));
  setTimeout(open, (named ? Number(named[1]) * 1000 : 0) + backOffMs);
}

const send = (name, payload, number) => socket.send(JSON.stringify({ route: ROUTES[name], ref: number, [name]: payload }));

function sayHello() {
  const partitions = BIMIP_PARTITIONS.split(",").map((partition) => {
    const place = state.positions[partition];
    if (!place) return { partition };
    return { partition, offset: place.offset, held: place.held.slice(0, MOST_HELD).map((one) => ({ from: one, to: one })) };
  });
  send("hello", { token: BIMIP_TOKEN, partitions, epoch: state.epoch, state_version: state.version, agent: "client.mjs/1" }, ++ref);
}

function welcome(hello) {
  me = hello.identity;
  clearTimeout(tooLate);
  attempt = 0;
  if (state.epoch !== hello.epoch) {
    if (state.epoch !== "0") { // offsets, versions and places in conversations of another epoch say nothing here
      Object.assign(state, { positions: {}, version: "0", reads: {} });
      say({ reset: { epoch: hello.epoch } });
    }
    state.epoch = hello.epoch;
  }
  for (const log of hello.logs ?? []) state.positions[log.partition] ??= { offset: Number(log.position ?? 0), held: [] };
  hello.gaps?.forEach(pass);
  save();
  const everyMs = hello.limits.heartbeat_ms;
  heartbeat = setInterval(() => {
    if (performance.now() - heard >= 2 * everyMs) lost(4001, "");
    else send("ping_pong", { kind: "PING" });
  }, everyMs);
  sendOutbox();
  for (const [conversation, upto] of Object.entries(state.reads)) sayRead(conversation, upto);
}

// What arrives.

function take({ hello, body, error, ping_pong: ping, ref: number }) {
  if (!me) return hello && welcome(hello);
  if (ping && !ping.kind) send("ping_pong", { ...ping, kind: "PONG" }, number); // PING is 0, so it is left away
  if (error) refused({ ref: number, ...error });
  if (!body) return; // an answer to what this client never asks, or a frame of a later version
  for (const signal of body.signals ?? []) if (signal.status === SENT) sent(signal);
  body.errors?.forEach(refused);
  if (body.partition && state.positions[body.partition]) takeBatch(body);
  body.states?.forEach(takePage);
}

function takeBatch({ partition, turn, after = "0", upto = "0", messages = [], gaps = [] }) {
  const place = state.positions[partition], isInTurn = turn === undefined;
  if (!isInTurn && !TURNS.has(turn)) return;
  if (isInTurn && Number(after) > place.offset) throw new Error(`${partition}: it goes on behind ${after}, and ${place.offset} is held`);
  gaps.forEach(pass);
  for (const message of messages) {
    const offset = Number(message.user_offset);
    if (!holds(place, offset)) show(message);
    hold(place, offset);
  }
  if (isInTurn) reach(place, Number(upto));
  save();
  const beyond = messages.map((one) => Number(one.user_offset)).filter((one) => one > place.offset).sort((a, b) => a - b);
  if (!messages.length && !gaps.length) return;
  send("signal", { status: DELIVERED, partition, upto: place.offset, offsets: beyond.map((one) => ({ from: one, to: one })) });
}

function pass({ partition, from, to, reason }) {
  const place = state.positions[partition];
  if (!place || holds(place, Number(to))) return;
  say({ gap: { partition, from: Number(from), to: Number(to), reason } });
  for (let offset = Math.max(Number(from), place.offset + 1); offset <= Number(to); offset++) place.held.push(offset);
  reach(place, 0);
}

function show(message) {
  const { id, partition, user_offset: offset, signal_id, from, payload = "" } = message;
  const isMine = from.eid === me.eid && from.connection_resource_id === me.connection_resource_id;
  if (isMine && settle(id, signal_id)) return; // its SENT was cut off
  if (!known.has(signal_id)) say({ shown: { partition, offset: Number(offset), signal_id, id, from: from.eid, text: Buffer.from(payload, "base64").toString() } });
  known.add(signal_id);
}

function takePage({ after = "0", upto = "0", reset, complete, items = [] }) {
  if (reset) whole = new Set();
  else if (whole === null && BigInt(after) > BigInt(state.version)) throw new Error(`the state goes on behind ${after}, and ${state.version} is known`);
  for (const { read_marker: marker } of items) {
    if (!marker) continue;
    const { conversation, conversation_offset: place = "0" } = marker;
    whole?.add(conversation);
    state.markers[conversation] = Number(place);
    say({ marker: { conversation, upto: Number(place) } });
  }
  if (whole !== null && !complete) return; // it counts when all of it is there
  for (const conversation of whole === null ? [] : Object.keys(state.markers)) {
    if (whole.has(conversation)) continue;
    delete state.markers[conversation];
    say({ marker: { conversation, upto: 0 } });
  }
  whole = null;
  state.version = upto;
  save();
}

// What goes out.

function sendOutbox() {
  const waitMs = pausedUntil - performance.now();
  if (waitMs > 0) return setTimeout(sendOutbox, Math.ceil(waitMs));
  const flying = new Set(inFlight.values());
  for (const { id, to, text } of me ? state.outbox : []) {
    if (flying.has(id)) continue;
    inFlight.set(String(++ref), id);
    send("message", { id, to: { eid: to }, type: 1, payload: Buffer.from(text).toString("base64") }, ref);
  }
}

function sent({ id, signal_id, partition, user_offset: offset = "0", ref: number }) {
  inFlight.delete(number);
  if (state.positions[partition] && offset !== "0") hold(state.positions[partition], Number(offset));
  known.add(signal_id);
  settle(id, signal_id);
  save();
}

/** A message is on the server's disk. Returns whether it waited for that. */
function settle(id, signal_id) {
  const isWaiting = state.outbox.some((one) => one.id === id);
  state.outbox = state.outbox.filter((one) => one.id !== id);
  if (isWaiting) say({ sent: { id, signal_id } });
  return isWaiting;
}

function refused({ ref: number, id = inFlight.get(number), code, retry_after_ms: waitMs = 1000 }) {
  inFlight.delete(number);
  if (!state.outbox.some((one) => one.id === id)) return;
  if (MOMENTARY.has(code)) { // it stays, and goes again when the wait is over
    pausedUntil = performance.now() + waitMs;
    return sendOutbox();
  }
  state.outbox = state.outbox.filter((one) => one.id !== id);
  save();
  say({ refused: { id, code: typeof code === "string" ? code : "INTERNAL" } }); // a number is a code of a later version
}

const sayRead = (conversation, upto) => send("signal", { status: READ, conversation, upto }, ++ref);

// What the kit says.

open();
for await (const line of createInterface({ input: process.stdin })) {
  const { do: what, id, to, text, conversation, upto } = JSON.parse(line);
  if (what === "send") {
    state.outbox.push({ id, to, text });
    save();
    sendOutbox();
  } else if (what === "read") {
    state.reads[conversation] = upto;
    save();
    if (me) sayRead(conversation, upto);
  } else if (what === "connect" && isStopped) {
    isStopped = false;
    open();
  } else if (what === "quit") break;
}
process.exit(0);
