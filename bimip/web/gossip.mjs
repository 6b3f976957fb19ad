/**
 * Gossip: a device that comes back takes what it lacks from another device of its user, and the server sends none of it (PROTOCOL.md,
 * "Gossip"). It works between pages, and with every client that obeys that page.
 *
 * Theory of operation. `catchUp` runs over a connection that asked for no log. Where much is lacking it says `hello` to the siblings, takes
 * the first one's offer, and slices of the log come by a data channel. The chain behind them is computed from the server's own in
 * front, and the server is asked whether that is the one: what is not the log is dropped, and its giver with it. What matches goes
 * to bimip.mjs as what comes in turn does, so it is written and shown once. Entries that the giver knows by their digests alone are asked of
 * the server. Giving is the same from the other side, one sibling after the other.
 */

import { fromBase64, newId, toBase64 } from "./bimip.mjs";
import { Channel } from "./channel.mjs";
import { digestOf, extended, START } from "./chain.mjs";
import { decodeSlice, encodeSlice } from "./slices.mjs";

const PREFIX = "gossip:";
const LEAST = 500; // entries behind, from which on it is worth it
const AWAY_MS = 60_000; // without a connection, from which on siblings are asked first
const OFFER_MS = 3000, OPEN_MS = 10_000, SLICE_MS = 30_000, PROGRAM_MS = 600_000;
const SLICE_ENTRIES = 500, SLICE_BYTES = 32 * 1024, LARGEST_BYTES = 48 * 1024;
const MOST_ENTRIES = 5000, MOST_BYTES = 2 << 20; // given until more is asked for
const MOST_HEARD = 16;
const word = (text) => new TextEncoder().encode(text);
const MORE = word("more"), ASKS = word("more?"), DONE = word("done");
const is = (bytes, wanted) => bytes.length === wanted.length && wanted.every((byte, at) => byte === bytes[at]);

/** A slice is not what the log is, or nobody could tell. */
class UncheckedError extends Error {}

export class Gossip {
  #least; #awayMs; #database; #ledger; #client; #tell;
  #heard = []; #hellos = []; #wake = new Set(); #isGiving = false; #isClosed = false; #hasAsked = false; #lastConnected = -Infinity; #channels = new Set();
  /** Entries that were given and taken, and siblings that gave what is not the log. */
  given = 0; taken = 0; dropped = 0;

  constructor({ least = LEAST, awayMs = AWAY_MS, database, ledger, client, tell }) {
    this.#least = least;
    this.#awayMs = awayMs;
    this.#database = database;
    this.#ledger = ledger;
    this.#client = client;
    this.#tell = (phase, sibling = "") => tell({ phase, sibling, given: this.given, taken: this.taken });
  }

  // What bimip.mjs tells.

  /** Whether the next connection is to ask siblings first. */
  isBehind() {
    const hasAsked = this.#hasAsked;
    this.#hasAsked = false; // what they did not give is the server's
    return !hasAsked && Boolean(globalThis.RTCPeerConnection) && performance.now() - this.#lastConnected >= this.#awayMs;
  }
  connected() { this.#lastConnected = Infinity; }
  disconnected() { if (this.#lastConnected === Infinity) this.#lastConnected = performance.now(); }

  hear(said) {
    if (!said.id?.startsWith(PREFIX)) return;
    const queue = said.kind === "hello" ? this.#hellos : this.#heard;
    queue.push(said);
    if (queue.length > MOST_HEARD) queue.shift();
    for (const wake of this.#wake) wake();
    if (said.kind === "hello") this.#giveAll();
  }

  /** Notes what the chain needs of an entry whose content is about to go, or never was here. */
  leaving({ partition, offset, message }) {
    if (!offset || (message.erased && !message.digest)) return;
    this.#link(partition, { offset, signal_offset: message.signal_offset, digest: toBase64(digestOf(message)) });
  }

  /** Notes entries of the log that are for other devices. One that is lost here shortens what can be given, and nothing else. */
  passed({ partition, passed = [] }) { for (const one of passed) this.#link(partition, one); }

  #link(partition, { offset, signal_offset: signalOffset, digest }) {
    this.#ledger.put("links", { id: `${partition}/${offset}`, partition, offset: Number(offset), signal_offset: String(signalOffset ?? 0), digest });
  }

  /** Another epoch's offsets are others. */
  async forget() { for (const { id } of await this.#database.all("links")) this.#ledger.drop("links", id); }

  // Taking.

  async catchUp() {
    this.#hasAsked = true;
    this.#lastConnected = performance.now();
    const lacks = {};
    for (const [partition, after] of Object.entries(this.#client().positions)) {
      const told = await this.#snapshot(partition, after), at = Number(told.offset ?? 0);
      const chain = at === after ? told.checksum && fromBase64(told.checksum) : START; // asked at 0 it tells of the newest checkpoint
      if (at - after + Number(told.delta?.entries ?? 0) >= this.#least && chain) {
        lacks[partition] = { upto: after, chain, bodies: [], size: 0 };
      }
    }
    if (!Object.keys(lacks).length) return;
    const id = `${PREFIX}${newId()}`;
    const wanted = { epoch: this.#client().epoch, after: Object.fromEntries(Object.entries(lacks).map(([name, { upto }]) => [name, upto])) };
    this.#tell("asking");
    try {
      if (!(await this.#say("hello", "", wanted, id))) return;
      const offer = await this.#next(id, "offer");
      if (!offer) return;
      const giver = offer.from.connection_resource_id;
      await this.#withChannel(async (channel) => {
        await this.#say("answer", giver, await channel.answer(saidBy(offer)), id);
        if (!(await within(OPEN_MS, channel.opened))) return;
        this.#tell("open", giver);
        await this.#take(channel, giver, lacks);
      });
    } finally {
      this.#lastConnected = performance.now();
      this.#tell("over");
    }
  }

  /** Takes slices, and hands on many at a time: telling whether they are the log costs the server something. */
  async #take(channel, giver, logs) {
    for (;;) {
      const bytes = (await channel.receive(SLICE_MS)) ?? DONE; // what came until then counts, where it is the log
      const isDone = is(bytes, DONE);
      if (!isDone && !is(bytes, ASKS)) {
        try {
          add(logs, bytes);
        } catch { // whatever a sibling may send
          return this.#drop(giver);
        }
        continue;
      }
      for (const [partition, log] of Object.entries(logs)) {
        if (log.bodies.length && !(await this.#handOn(partition, log))) return this.#drop(giver);
      }
      this.#tell("taken", giver);
      if (isDone || !(await channel.send(MORE))) return;
    }
  }

  #drop(giver) {
    this.dropped++;
    this.#tell("dropped", giver);
  }

  /** Hands on what was taken of a log. Returns whether it is the log. */
  async #handOn(partition, log) {
    if (!(await this.#snapshot(partition, log.upto, log.chain)).matches) return false;
    const bodies = log.bodies.splice(0);
    log.size = 0;
    for (const body of bodies) {
      const asked = await this.#fetched(partition, body.passed);
      const here = new Set(asked.map((message) => Number(message.user_offset)));
      this.passed({ partition, passed: body.passed.filter((one) => !here.has(Number(one.offset))) });
      const messages = [...body.messages, ...asked].sort((one, other) => Number(one.user_offset) - Number(other.user_offset));
      await this.#client().takeSlice({ partition, after: body.after, upto: body.upto, messages });
      this.taken += Number(body.upto) - Number(body.after ?? 0);
    }
    return true;
  }

  /** Asks the server for entries that may be for this device, or may be not. */
  async #fetched(partition, passed) {
    const found = [], wanted = new Set(passed.map((one) => Number(one.offset)));
    let first = Math.min(...wanted);
    const last = Math.max(...wanted);
    while (wanted.size && first <= last) {
      const body = await this.#client().request("fetch", { kind: "LOG", partition, offset: first, limit: Math.min(last - first + 1, 100) });
      found.push(...(body.messages ?? []).filter((message) => wanted.has(Number(message.user_offset))));
      if (body.complete || Number(body.next_offset ?? 0) <= first) break;
      first = Number(body.next_offset);
    }
    return found;
  }

  #snapshot(partition, offset, chain) {
    return this.#client().request("snapshot", { partition, offset, ...(chain && { checksum: toBase64(chain) }) });
  }

  // Giving.

  async #giveAll() {
    if (this.#isGiving) return;
    this.#isGiving = true;
    while (this.#hellos.length && !this.#isClosed) {
      const hello = this.#hellos.shift();
      await this.#giveTo(hello).catch(() => {}); // the sibling has the rest from the server
    }
    this.#isGiving = false;
  }

  async #giveTo(hello) {
    const { epoch, after } = saidBy(hello), { positions, epoch: ours } = this.#client(), sibling = hello.from.connection_resource_id;
    if (!globalThis.RTCPeerConnection || String(epoch) !== String(ours)) return;
    const ranges = Object.entries(after).filter(([name, from]) => (positions[name] ?? 0) > Number(from)).map(([name, from]) => [name, Number(from), positions[name]]);
    let first = null;
    for (const range of ranges) first ??= (await this.#slices(...range).next()).value ?? null;
    if (!first) return;
    await this.#withChannel(async (channel) => {
      this.#tell("offering", sibling);
      await this.#say("offer", sibling, await channel.offer(), hello.id);
      const answer = await this.#next(hello.id, "answer", sibling);
      if (!answer) return;
      await channel.accept(saidBy(answer));
      if (!(await within(OPEN_MS, channel.opened))) return;
      this.#tell("open", sibling);
      if (!(await this.#send(channel, ranges)) || !(await channel.send(DONE))) return;
      this.#tell("given", sibling);
      await channel.receive(SLICE_MS); // until it is closed there
    });
    this.#tell("over", sibling);
  }

  async #send(channel, ranges) {
    let entries = 0, size = 0;
    for (const range of ranges) {
      for await (const body of this.#slices(...range)) {
        const bytes = encodeSlice(body), count = body.upto - body.after;
        if (!(await channel.send(bytes))) return false;
        this.given += count;
        entries += count;
        size += bytes.length;
        if (entries < MOST_ENTRIES && size < MOST_BYTES) continue;
        this.#tell("given");
        if (!(await channel.send(ASKS)) || !(await channel.receive(PROGRAM_MS))) return false;
        entries = size = 0;
      }
    }
    return true;
  }

  /** The slices of (after, upto], as far as this device can give them. */
  async *#slices(partition, after, upto) {
    while (after < upto) {
      const body = await this.#slice(partition, after, Math.min(upto, after + SLICE_ENTRIES));
      if (body.upto === after) return;
      yield body;
      after = body.upto;
    }
  }

  async #slice(partition, after, upto) {
    const find = (table) => this.#database.find(table, "log", [partition, after + 1], [partition, upto]);
    const [entries, links] = [await find("entries"), await find("links")];
    const messages = new Map(entries.map((entry) => [entry.offset, entry.message])), passed = new Map(links.map((link) => [link.offset, link]));
    const body = { partition, after, upto: after, messages: [], passed: [] };
    let size = 0;
    for (let offset = after + 1; offset <= upto; offset++) {
      const message = messages.get(offset), link = passed.get(offset);
      if (message && !message.erased) {
        const { length } = JSON.stringify(message); // at least what it has as protobuf
        size += length;
        if (isUnchecked(message) || length > LARGEST_BYTES || (size > SLICE_BYTES && body.upto > after)) break;
        body.messages.push({ ...message, user_offset: String(offset) });
      } else if (link) body.passed.push({ offset, signal_offset: link.signal_offset, digest: link.digest });
      else break;
      body.upto = offset;
    }
    return body;
  }

  // Both.

  async #withChannel(use) {
    const channel = new Channel();
    this.#channels.add(channel);
    try {
      return await use(channel);
    } finally {
      this.#channels.delete(channel);
      channel.close();
    }
  }

  async #say(kind, device, said, id) {
    const payload = toBase64(word(JSON.stringify(said)));
    const answer = await this.#client().request("peer_signal", { kind, payload, id, ...(device && { to: { connection_resource_id: device } }) });
    return Number(answer.reached ?? 0);
  }

  /** What is said next in an exchange; null where nothing is in time. */
  async #next(id, kind, device) {
    const until = performance.now() + OFFER_MS;
    for (;;) {
      while (this.#heard.length) {
        const said = this.#heard.shift();
        if (said.id === id && said.kind === kind && (!device || said.from.connection_resource_id === device)) return said;
      }
      const leftMs = until - performance.now();
      if (leftMs <= 0) return null;
      await new Promise((resolve) => {
        const wake = () => { clearTimeout(timer); this.#wake.delete(wake); resolve(); }, timer = setTimeout(wake, leftMs + 1);
        this.#wake.add(wake);
      });
    }
  }

  close() {
    this.#isClosed = true;
    for (const channel of this.#channels) channel.close();
  }
}

/** Adds a slice that came to its log. Throws where it does not join, is too much, or cannot be checked. */
function add(logs, bytes) {
  const body = decodeSlice(bytes), log = logs[body.partition], after = Number(body.after ?? 0), upto = Number(body.upto ?? 0);
  if (!log || after !== log.upto) throw new UncheckedError(`a slice begins behind ${after}`);
  log.size += bytes.length;
  if (log.size > 2 * MOST_BYTES) throw new UncheckedError("more is sent than was asked for");
  const messages = new Map(body.messages.map((message) => [Number(message.user_offset), message])), passed = new Map(body.passed.map((one) => [Number(one.offset), one]));
  if (messages.size + passed.size !== upto - after || body.messages.length + body.passed.length !== upto - after) throw new UncheckedError("a slice has holes, or entries twice");
  for (let offset = after + 1; offset <= upto; offset++) {
    const message = messages.get(offset), link = passed.get(offset);
    if (!message && !link) throw new UncheckedError("a slice has holes");
    if (message && (isUnchecked(message) || message.partition !== body.partition)) throw new UncheckedError(`nothing tells whether entry ${offset} is what it was`);
    const digest = message ? digestOf(message) : fromBase64(link.digest ?? "");
    if (digest.length !== 8) throw new UncheckedError(`entry ${offset} has no digest`);
    log.chain = extended(log.chain, (message ?? link).signal_offset ?? 0, digest);
  }
  log.upto = upto;
  log.bodies.push(body);
}

function isUnchecked(message) { return Boolean(message.digest || message.devices?.length); }

function saidBy({ payload }) { return JSON.parse(new TextDecoder().decode(fromBase64(payload ?? ""))); }

function within(ms, promise) { return Promise.race([promise, new Promise((resolve) => setTimeout(resolve, ms, false))]); }
