/**
 * A client of BIMIP for Node and browsers: one module, nothing to install. It speaks `bimip.v1.json`, which PROTOCOL.md
 * explains; payloads here are those of bimip.proto in ProtoJSON.
 *
 *     import { connect, fileStore, textOf } from "./bimip.mjs";
 *     const client = connect("wss://chat.example.org", {
 *       token: () => fetchToken(),                 // or a text
 *       store: fileStore("phone.json"),            // or browserStore("phone"), or one of your own
 *       onMessage: async (message) => { ... },     // acknowledged when this is done
 *     });
 *     const sent = await client.send({ to: "bob@example.org", text: "Hello" });  // on the server's disk
 *     await client.close();
 *
 * Theory of operation. What arrives is decided in the order in which it came, by one task (`#work`), and a message's
 * place counts as held once `onMessage` is done with it: then it is stored, acknowledged and said in the next Hello. So
 * a message is shown once for as long as the program lives, and one that died in the middle of `onMessage` gets it
 * again: have what you do there be known by `signal_id`. Answers (SENT, and those to `request`) wait for nothing.
 *
 * Not here: copies of the state, what a messenger shows, gossip: these are in `device.mjs`, which stands on this. `onState` has the
 * pages of the state as they come.
 */

const PROTOCOL = "bimip.v1.json";
const ROUTES = {
  awareness: 2, ping_pong: 3, awareness_visibility: 4, token_authority: 5, message: 6, signal: 7, push_notification: 8,
  location_stream: 9, body: 10, logout: 12, hello: 13, contact: 14, command: 15, state_delta: 16, fetch: 17,
  conversation: 18, peer_signal: 19, settings: 20, snapshot: 21, devices: 22,
};
const SENT = 1, DELIVERED = 2, READ = 3;
const WINDOW = 256; // offsets beyond a position that Hello may name
const IN_FLIGHT = 32; // messages that wait for their answer
const ACK_EVERY = 64; // messages that are taken without an ack: a quarter of the window, so that it never runs dry
const RECENT = 1024; // signal_ids that are remembered, for the time after a restore
const HELLO_MS = 10_000;
const STEADY_MS = 10_000; // a connection that lasted so long makes the next wait a first one again
const LONGEST_WAIT_MS = 15_000;
const AGAIN_MS = 1000; // until a message that was not stored is sent again, where the server names no time
const UNCERTAIN_TRIES = 3; // of a message of which the server cannot say whether it has it: it may be what crashes it
const LONGEST_TIMER_MS = 2 ** 31 - 1; // beyond it setTimeout fires at once
const FINAL = new Set([1000, 1002, 1003, 1007, 1009]);
const TURNS = new Set([undefined, "TURN_RESUME", "TURN_FETCH", "REDELIVERED"]); // what else there may be is left aside
const NOT_STORED = new Set(["RATE_LIMITED", "STORAGE_FULL", "UNAVAILABLE", "UNKNOWN_OUTCOME"]);

/** What the server refused, or why there is no connection any more: `code` is an ErrorCode's name or a close code. */
export class BimipError extends Error {
  constructor(code, message, details = {}) {
    super(message);
    this.name = "BimipError";
    this.code = code;
    Object.assign(this, details);
  }
}

/** Connects, and stays connected until `close` or until somebody has to act. See `Client`. */
export function connect(url, options) {
  return new Client(url, options);
}

/**
 * Options, of which `token` alone must be given:
 *
 *     token         a text, or a function that returns one (or a promise of it) for each connection
 *     partitions    ["chat"]
 *     start         where a device without a place begins, as Position has it: {start: "FIRST"}
 *     store         where a device keeps its place and what is not answered yet: `load()` and `save(value)`, both may be
 *                   async; `save` returns when it is durable. One that cannot be read ends the client, and is not written.
 *                   Without one a new start goes on from what was acknowledged. What a handler that is awaited, onOutbox or
 *                   onSettle puts aside can be written together with the value: a message and the place behind it
 *     knows         signalId => whether the program has that message; asked after a restore, beside the last 1,024
 *     agent         software and version
 *     WebSocket     a class as browsers have it; that of Node 22 or a browser by default
 *     onMessage     (message) => ...; the next one comes when the promise that it returns is done. Where it fails, the
 *                   message is not acknowledged and comes again over another connection
 *     onKnown       (message), also awaited: one that was shown comes again after a restore, and stands elsewhere in the log
 *     onState       (page: StateDelta), also awaited
 *     onGap         (gap: Gap): these offsets will not come
 *     onBody        (body: Body): what else the server tells, such as awareness, locations, signals of calls
 *     onSent        (signal, message), onRefused (error, message): of each message of the outbox, an earlier program's too
 *     onOutbox      (message): it is put into the outbox, and the next `save` has it there
 *     onSettle      (message, signal, error): it leaves the outbox, and the next `save` has it there no more
 *     onGone        (): the server has another epoch, so places and the version of the state begin anew
 *     onFrame       (direction: "in" | "out", frame)
 *     catchUp       (client) => ...: what is done over a connection that asked for no log, before one that does; see `takeSlice`.
 *                   isBehind   () => whether the next connection is to be one
 *     isPlugged     false: it connects when `plug` is called
 *     onConnected   (hello: Hello)
 *     onDisconnected  ({code, reason, retryMs}); without retryMs it does not connect again
 *     onError       (error): what a handler or the store threw
 */
export class Client {
  #url; #options; #socket = null; #welcomed = false; #isClosing = false;
  #state = { identity: null, epoch: "0", version: 0, positions: {}, outbox: [], recent: [], reads: {} };
  #recent = new Set();
  #limits = {};
  #requests = new Map(); // ref -> {resolve, reject}
  #sending = new Map(); // message id -> {resolve, reject}, of this program's
  #inFlight = new Map(); // ref -> message id
  #tries = new Map(); // message id -> how often its outcome was unknown
  #unsaved = new Set(); // ids of messages that the store does not have yet
  #unconfirmed = new Map(); // conversation -> [upto, heartbeats] of what was said read over this connection
  #lastRef = 0;
  #queue = []; // bodies that are not taken yet
  #wake = () => {};
  #isWhole = false; // a whole state is coming
  #attempt = 0; #began = 0; #heard = 0; #timers = new Set(); #heartbeat = null;
  #pausedUntil = 0; #pumpTimer = null;
  #isUnplugged = false; #isCatchingUp = false; #idle = () => {}; #connection = 0;
  #isLoaded = false; #saving = null; #saveAgain = null;

  constructor(url, options) {
    if (!options?.token) throw new TypeError("connect: options.token is missing");
    this.#url = url;
    this.#options = { partitions: ["chat"], agent: "bimip.mjs", WebSocket: globalThis.WebSocket, ...options };
    if (!this.#options.WebSocket) throw new TypeError("there is no WebSocket here: give options.WebSocket");
    this.#isUnplugged = this.#options.isPlugged === false;
    /** Fulfilled with the server's Hello once it is connected for the first time. */
    this.connected = new Promise((resolve) => { this.#isThere = resolve; });
    /** Fulfilled after `close`; rejected with a BimipError where the server ended it for good. */
    this.done = new Promise((resolve, reject) => { this.#finished = { resolve, reject }; });
    this.done.catch(() => {}); // whoever does not ask is told by onDisconnected
    this.#started = this.#load().then(() => { this.#work(); this.#open(); }, (error) => this.#cannotRead(error));
  }
  #isThere; #finished; #isFinished = false; #started; #working = Promise.resolve();

  get isConnected() { return this.#welcomed && !this.#isCatchingUp; }
  get identity() { return this.#state.identity; }
  get epoch() { return this.#state.epoch; }
  get limits() { return this.#limits; }
  /** By partition the offset up to which all is held. */
  get positions() { return Object.fromEntries(Object.entries(this.#state.positions).map(([name, one]) => [name, one.offset])); }

  /** Cuts the connection, and makes none until `plug`. What is sent meanwhile waits in the outbox. */
  unplug() {
    if (this.#isUnplugged) return;
    this.#isUnplugged = true;
    const socket = this.#socket;
    this.#disconnect();
    socket?.close(1000);
    this.#tell("onDisconnected", { code: 1000, reason: "unplugged" });
  }

  plug() {
    if (!this.#isUnplugged) return;
    this.#isUnplugged = false;
    this.#attempt = 0;
    this.#started.then(() => this.#open());
  }

  /** Says what is answered by errors alone, or not at all, where there is a connection. */
  say(name, payload) { this.#say(name, payload, ++this.#lastRef); }

  /** Takes a stretch of a log that came another way, `{partition, after, upto, messages}`; done when it is stored. */
  takeSlice(body) {
    this.#queue.push(body);
    this.#wake();
    return new Promise((resolve) => {
      const before = this.#idle;
      this.#idle = () => { before(); resolve(); };
    });
  }
  /** The messages that wait for their answer. */
  get outbox() { return [...this.#state.outbox]; }

  /**
   * Sends a message, now or once there is a connection, and resolves with its Signal SENT: it is on the server's disk.
   * Rejects with a BimipError where it is refused. `to` is a user or a conversation, `text` a payload in UTF-8; all other
   * fields are Message's. It is sent again under its `id` until it is answered, and three times where the server cannot
   * say whether it has it (UNKNOWN_OUTCOME).
   */
  send({ to, text, ...fields }) {
    const message = { id: newId(), type: 1, ...fields };
    if (to !== undefined) message.to = typeof to === "string" ? { eid: to } : to;
    if (text !== undefined) message.payload = toBase64(new TextEncoder().encode(text));
    else if (message.payload instanceof Uint8Array) message.payload = toBase64(message.payload);
    return new Promise((resolve, reject) => {
      if (this.#isFinished || this.#isClosing) return reject(gone());
      if (this.#sending.has(message.id) || this.#state.outbox.some((one) => one.id === message.id)) {
        return reject(new BimipError("CONFLICT", `a message with the id ${message.id} is being sent already`));
      }
      this.#sending.set(message.id, { resolve, reject });
      this.#started.then(() => {
        if (this.#isFinished) return; // the store could not be read: it was rejected
        this.#state.outbox.push(message);
        this.#tell("onOutbox", message);
        this.#unsaved.add(message.id); // it is on this side's disk before it is on its way
        this.#saveOrFail().then(() => { this.#unsaved.delete(message.id); this.#pump(); });
      });
    });
  }

  /**
   * Says that a conversation was read up to a place in it, now or once there is a connection. It is answered by errors only,
   * so it is said again over the next connections, until one has outlived it by two heartbeats.
   */
  markRead(conversation, upto) {
    this.#started.then(() => {
      if (Number(this.#state.reads[conversation] ?? 0) >= Number(upto)) return;
      this.#state.reads[conversation] = upto;
      this.#saveOrFail();
      this.#sayRead(conversation);
    });
  }

  #sayRead(conversation) {
    if (!this.#welcomed) return;
    const upto = this.#state.reads[conversation];
    this.#unconfirmed.set(conversation, [upto, 0]);
    this.#say("signal", { status: READ, conversation, upto }, ++this.#lastRef);
  }

  /** A heartbeat went by, and the server is there: what was said two of them ago is known there. */
  #confirmReads() {
    for (const [conversation, said] of this.#unconfirmed) {
      if (++said[1] <= 2) continue;
      this.#unconfirmed.delete(conversation);
      if (this.#state.reads[conversation] === said[0]) delete this.#state.reads[conversation];
      this.#saveOrFail();
    }
  }

  /**
   * Asks for one thing and resolves with its answer: `await client.request("fetch", {kind: "INBOX", limit: 20})`. Rejects
   * with a BimipError where it is refused, where there is no connection, or where that is cut.
   */
  request(name, payload) {
    if (!this.#welcomed) return Promise.reject(new BimipError("UNAVAILABLE", "there is no connection"));
    const ref = ++this.#lastRef;
    return new Promise((resolve, reject) => {
      this.#requests.set(String(ref), { resolve, reject });
      this.#say(name, payload, ref);
    });
  }

  /** Acknowledges what was taken and closes. Resolves when the handler that runs is done (do not await it there) and all is stored. */
  async close() {
    this.#isClosing = true;
    await this.#started;
    this.#wake();
    await this.#working;
    await this.#save().catch((error) => this.#tell("onError", error));
    this.#end(null);
    await this.done.catch(() => {});
  }

  // One connection after another.

  async #load() {
    const known = await this.#options.store?.load?.();
    if (known) Object.assign(this.#state, known);
    this.#recent = new Set(this.#state.recent);
    this.#isLoaded = true;
  }

  #cannotRead(error) {
    this.#tell("onError", error);
    const sentence = `the store cannot be read, and is left as it is: ${error?.message ?? error}. Mend or remove it`;
    this.#end(new BimipError("UNAVAILABLE", sentence, { cause: error }));
  }

  async #open() {
    const isOver = () => this.#isClosing || this.#isFinished || this.#isUnplugged || connection !== this.#connection;
    const connection = ++this.#connection;
    if (isOver()) return;
    let token;
    try {
      token = (typeof this.#options.token === "function" ? await this.#options.token() : this.#options.token).trim();
    } catch (error) {
      this.#tell("onError", error);
      return isOver() ? undefined : this.#retry(0, "no token", 0);
    }
    if (isOver()) return;
    let socket;
    try {
      socket = this.#socket = new this.#options.WebSocket(this.#url, [PROTOCOL]);
    } catch (error) { // the URL is none
      return this.#end(error);
    }
    this.#began = this.#heard = performance.now();
    const isOurs = () => this.#socket === socket;
    const tooLate = this.#later(HELLO_MS, () => isOurs() && !this.#welcomed && this.#lost(1006, "no Hello in time", token));
    socket.addEventListener("open", () => isOurs() && this.#sayHello(token));
    socket.addEventListener("message", (event) => {
      if (!isOurs()) return;
      try {
        const frame = JSON.parse(event.data);
        this.#tell("onFrame", "in", frame);
        this.#receive(frame, () => this.#cancel(tooLate));
      } catch (error) {
        this.#tell("onError", error);
        this.#lost(4000, String(error.message), token);
      }
    });
    socket.addEventListener("error", () => {}); // what follows is a close
    socket.addEventListener("close", (event) => {
      if (isOurs()) this.#lost(event.code, event.reason, token);
    });
  }

  /** A connection ended, or is to. */
  #lost(code, reason, token) {
    const socket = this.#socket;
    this.#disconnect();
    socket?.close();
    if (performance.now() - this.#began >= STEADY_MS) this.#attempt = 0;
    const named = /again in (\d{1,9}) seconds?\b/.exec(code === 1001 || code === 1013 ? reason : "");
    this.#retry(code, this.#lastRefusal || reason, named ? Number(named[1]) * 1000 : 0, token);
  }
  #lastRefusal = "";

  #disconnect() {
    this.#socket = null;
    this.#welcomed = this.#isWhole = this.#isCatchingUp = false;
    this.#connection++;
    this.#rest();
    this.#queue.length = 0; // it comes again: no place of it was moved
    this.#inFlight.clear();
    this.#unconfirmed.clear();
    clearInterval(this.#heartbeat);
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    const cut = new BimipError("UNKNOWN_OUTCOME", "the connection was cut before the answer came");
    for (const one of this.#requests.values()) one.reject(cut);
    this.#requests.clear();
  }

  async #retry(code, reason, waitMs, token) {
    if (this.#isClosing || this.#isFinished || this.#isUnplugged) return;
    const connection = this.#connection;
    let mayRetry = !FINAL.has(code) && !(code >= 4100 && code <= 4199);
    if ((code === 4100 || code === 4101) && typeof this.#options.token === "function") {
      mayRetry = (await Promise.resolve(this.#options.token()).catch(() => token))?.trim() !== token;
      if (this.#isClosing || this.#isUnplugged || connection !== this.#connection) return;
    }
    if (!mayRetry) {
      this.#tell("onDisconnected", { code, reason });
      return this.#end(new BimipError(code, `the server ended it: ${code} ${reason}`));
    }
    // What the server names is the least; the draw on top of it spreads those who were told the same.
    const retryMs = waitMs + Math.random() * Math.min(LONGEST_WAIT_MS, 500 * 2 ** Math.min(this.#attempt++, 10));
    this.#tell("onDisconnected", { code, reason, retryMs });
    this.#later(retryMs, () => this.#open());
  }

  #end(error) {
    if (this.#isFinished) return;
    this.#isFinished = true;
    const socket = this.#socket;
    this.#disconnect();
    socket?.close(1000);
    this.#wake();
    for (const one of this.#sending.values()) one.reject(error ?? gone());
    this.#sending.clear();
    if (error) this.#finished.reject(error);
    else this.#finished.resolve();
  }

  #later(ms, call) {
    const timer = setTimeout(() => { this.#timers.delete(timer); call(); }, Math.min(ms, LONGEST_TIMER_MS));
    this.#timers.add(timer);
    return timer;
  }
  #cancel(timer) { clearTimeout(timer); this.#timers.delete(timer); }

  // Hello.

  #sayHello(token) {
    this.#isCatchingUp = Boolean(this.#options.catchUp && Object.keys(this.#state.positions).length && this.#options.isBehind?.());
    const partitions = (this.#isCatchingUp ? [] : this.#options.partitions).map((partition) => {
      const position = this.#state.positions[partition];
      if (!position) return { partition, ...this.#options.start };
      const held = lowest(position.held, WINDOW).map(([from, to]) => ({ from, to }));
      return { partition, offset: position.offset, held };
    });
    const { epoch, version } = this.#state;
    this.#lastRefusal = "";
    this.#say("hello", { token, partitions, epoch, state_version: version, agent: this.#options.agent }, ++this.#lastRef);
  }

  #welcome(hello) {
    const known = this.#state.identity, identity = hello.identity;
    if (known && (known.eid !== identity.eid || known.connection_resource_id !== identity.connection_resource_id)) {
      this.#state.outbox = this.#state.outbox.filter((one) => !this.#sending.has(one.id)); // that device shall not send it
      this.#saveOrFail();
      return this.#end(new BimipError("INVALID", `this store is of ${known.eid}/${known.connection_resource_id}: use one for each device`));
    }
    this.#state.identity = identity;
    if (this.#state.epoch !== hello.epoch) { // offsets and versions of another epoch say nothing here
      if (this.#state.epoch !== "0") {
        Object.assign(this.#state, { positions: {}, version: 0, reads: {} });
        this.#tell("onGone");
      }
      this.#state.epoch = hello.epoch;
    }
    for (const log of hello.logs ?? []) {
      this.#state.positions[log.partition] ??= { offset: Number(log.position ?? 0), held: [] };
    }
    this.#limits = hello.limits ?? {};
    this.#welcomed = true;
    this.#queue.push({ gaps: hello.gaps });
    this.#wake();
    const everyMs = Number(this.#limits.heartbeat_ms ?? 30_000), socket = this.#socket;
    this.#heartbeat = setInterval(() => {
      if (performance.now() - this.#heard >= 2 * everyMs) this.#lost(4001, "nothing is heard of the server");
      else if (this.#socket === socket) {
        this.#say("ping_pong", { kind: "PING" });
        this.#confirmReads();
      }
    }, everyMs);
    if (this.#isCatchingUp) return this.#catchUp();
    this.#isThere(hello);
    this.#tell("onConnected", hello);
    this.#pump();
    for (const conversation of Object.keys(this.#state.reads)) this.#sayRead(conversation);
  }

  /** Has others give what is lacking, and connects again to ask for the rest. */
  async #catchUp() {
    const socket = this.#socket;
    try {
      await this.#options.catchUp(this);
    } catch (error) {
      this.#tell("onError", error);
    }
    if (socket !== this.#socket) return;
    this.#disconnect();
    socket.close(1000);
    this.#open();
  }

  // What arrives.

  #receive(frame, welcomed) {
    this.#heard = performance.now();
    const { hello, body, error, ping_pong: ping } = frame;
    if (!this.#welcomed) {
      if (error) this.#lastRefusal = error.message; // the close code comes behind it
      for (const one of body?.errors ?? []) this.#lastRefusal = one.message;
      if (hello) { welcomed(); this.#welcome(hello); }
      return;
    }
    if (ping && !ping.kind) this.#say("ping_pong", { ...ping, kind: "PONG" }, frame.ref); // PING is 0: it is left away
    const name = Object.keys(ROUTES).find((one) => one in frame);
    if (error) this.#refuse(error.ref ?? frame.ref, error);
    else if (frame.ref && name) this.#answer(frame.ref, frame[name]);
    if (body) this.#body(body);
  }

  #body(body) {
    for (const signal of body.signals ?? []) if (Number(signal.status) === SENT) this.#sent(signal);
    for (const error of body.errors ?? []) this.#refuse(error.ref, error);
    for (const command of body.commands ?? []) this.#answer(command.ref, command);
    if (body.turn === "TURN_FETCH" || (body.ref && !body.messages && !body.states)) this.#answer(body.ref, body);
    else {
      this.#queue.push(body);
      this.#wake();
    }
  }

  #answer(ref, value) {
    this.#requests.get(ref)?.resolve(value);
    this.#requests.delete(ref);
  }

  #refuse(ref, refused) {
    const { code, message, ...details } = refused;
    const error = new BimipError(code, message, details);
    const id = this.#inFlight.get(ref);
    if (id === undefined) {
      this.#requests.get(ref)?.reject(error);
      this.#requests.delete(ref);
      return;
    }
    this.#inFlight.delete(ref);
    if (NOT_STORED.has(code) && this.#mayTryAgain(id, code)) { // it stays in the outbox, and all behind it
      const waitMs = Number(refused.retry_after_ms ?? 0) || AGAIN_MS;
      this.#pausedUntil = Math.max(this.#pausedUntil, performance.now() + waitMs);
      return this.#pump();
    }
    const given = this.#settle(id);
    if (given) this.#tell("onSettle", given, null, error);
    this.#sending.get(id)?.reject(error);
    this.#sending.delete(id);
    this.#saveOrFail().then(() => { if (given) this.#tell("onRefused", error, given); });
    this.#pump();
  }

  #mayTryAgain(id, code) {
    if (code !== "UNKNOWN_OUTCOME") return true;
    const tries = (this.#tries.get(id) ?? 0) + 1;
    this.#tries.set(id, tries);
    return tries < UNCERTAIN_TRIES;
  }

  /** A message was stored: its answer came, or it stands in the log. */
  #sent(signal) {
    this.#inFlight.delete(signal.ref);
    const position = this.#state.positions[signal.partition];
    if (position && signal.user_offset) hold(position, Number(signal.user_offset));
    this.#remember(signal.signal_id);
    const given = this.#settle(signal.id);
    if (given) this.#tell("onSettle", given, signal, null);
    // Where it cannot be noted here it is stored there all the same: another program sends it again, and it is a duplicate.
    this.#save().catch((error) => this.#tell("onError", error)).then(() => {
      this.#sending.get(signal.id)?.resolve(signal);
      this.#sending.delete(signal.id);
      if (given) this.#tell("onSent", signal, given);
    });
    this.#pump();
  }

  #settle(id) {
    this.#tries.delete(id);
    const at = this.#state.outbox.findIndex((one) => one.id === id);
    return at < 0 ? undefined : this.#state.outbox.splice(at, 1)[0];
  }

  /** Sends what waits, in its order; where the server named a wait, when that is over, whichever connection there is. */
  #pump() {
    if (!this.isConnected) return;
    const waitMs = this.#pausedUntil - performance.now();
    this.#cancel(this.#pumpTimer);
    if (waitMs > 0) { // asked again behind it: timers come a little early too
      this.#pumpTimer = this.#later(Math.ceil(waitMs), () => this.#pump());
      return;
    }
    const flying = new Set(this.#inFlight.values());
    for (const message of [...this.#state.outbox]) {
      if (this.#inFlight.size >= IN_FLIGHT) break;
      if (this.#unsaved.has(message.id)) break;
      if (flying.has(message.id)) continue;
      const ref = String(++this.#lastRef);
      this.#inFlight.set(ref, message.id);
      const size = new TextEncoder().encode(JSON.stringify(message)).length + 256;
      if (size > Number(this.#limits.max_frame_bytes ?? Infinity)) { // the server would end the connection over it
        this.#refuse(ref, { code: "TOO_LARGE", message: `the message has ${size} bytes as text: send less in one` });
        return;
      }
      this.#say("message", message, ref);
    }
  }

  /** Takes one body after another, as long as the client runs. */
  #work() {
    this.#working = (async () => {
      while (!this.#isClosing && !this.#isFinished) {
        const body = this.#queue.shift();
        if (!body) {
          this.#rest();
          await new Promise((resolve) => { this.#wake = resolve; });
        } else {
          const socket = this.#socket;
          try {
            await this.#take(body);
          } catch (error) { // what was not taken comes again over another connection
            this.#tell("onError", error);
            if (socket === this.#socket && socket) this.#lost(4000, String(error?.message ?? error));
          }
        }
      }
    })();
  }

  #rest() {
    const told = this.#idle;
    this.#idle = () => {};
    told();
  }

  async #take(body) {
    const { partition, turn, messages = [], gaps = [], states = [] } = body;
    if (!TURNS.has(turn)) return; // of a later version
    const after = Number(body.after ?? 0), upto = Number(body.upto ?? 0);
    const position = this.#state.positions[partition];
    const inTurn = turn === undefined && partition && position;
    if (inTurn && after > position.offset) throw new BimipError("HOLE", `${partition}: it goes on behind ${after}, and ${position.offset} is held`);
    for (const gap of gaps) {
      const place = this.#state.positions[gap.partition];
      if (place && !holds(place, Number(gap.from), Number(gap.to))) {
        hold(place, Number(gap.from), Number(gap.to));
        this.#tell("onGap", gap);
      }
    }
    let taken = 0;
    const before = position?.offset, socket = this.#socket;
    for (const message of position ? messages : []) {
      if (this.#isClosing) break;
      const offset = Number(message.user_offset);
      if (!holds(position, offset)) await this.#show(message, partition);
      if (inTurn) reach(position, offset);
      else hold(position, offset);
      if (++taken % ACK_EVERY === 0) await this.#acknowledge(partition, position, messages.slice(taken - ACK_EVERY, taken));
    }
    if (inTurn && !this.#isClosing) reach(position, upto);
    if (taken || position?.offset !== before) await this.#acknowledge(partition, position, messages.slice(taken - (taken % ACK_EVERY), taken));
    for (const page of states) await this.#page(page, socket);
    this.#tell("onBody", body);
  }

  async #show(message, partition) {
    const { eid, connection_resource_id: device } = this.#state.identity;
    const isMine = message.from?.eid === eid && message.from?.connection_resource_id === device;
    if (isMine && this.#state.outbox.some((one) => one.id === message.id)) { // its SENT was cut off
      return this.#sent({ ...message, status: SENT, timestamp: message.server_time, partition, duplicate: true });
    }
    const isKnown = this.#recent.has(message.signal_id) || (await this.#options.knows?.(message.signal_id));
    await (isKnown ? this.#options.onKnown : this.#options.onMessage)?.(message);
    this.#remember(message.signal_id);
  }

  #remember(signalId) {
    if (!signalId) return;
    this.#recent.add(signalId);
    if (this.#recent.size > RECENT) this.#recent.delete(this.#recent.values().next().value);
  }

  /** Stores the place, then tells the server. */
  async #acknowledge(partition, position, messages) {
    await this.#save();
    if (!this.isConnected || !messages.length || position !== this.#state.positions[partition]) return;
    const beyond = messages.map((one) => Number(one.user_offset)).filter((offset) => offset > position.offset);
    const signal = { status: DELIVERED, partition };
    if (beyond.length < messages.length) signal.upto = position.offset;
    if (beyond.length) signal.offsets = beyond.sort((a, b) => a - b).map((offset) => ({ from: offset, to: offset }));
    this.#say("signal", signal);
  }

  async #page(page, socket) {
    if (socket !== this.#socket) return; // the next connection tells it again
    const isPage = page.reset || page.upto !== undefined, upto = Number(page.upto ?? 0);
    if (page.reset) this.#isWhole = true;
    else if (isPage && !this.#isWhole && Number(page.after ?? 0) > this.#state.version) {
      throw new BimipError("HOLE", `the state goes on behind ${page.after}, and ${this.#state.version} is known`);
    }
    await this.#options.onState?.(page);
    if (!isPage || socket !== this.#socket || (this.#isWhole && !page.complete)) return;
    // A whole state counts when all of it is there, so that one that is cut begins anew.
    this.#state.version = this.#isWhole ? upto : Math.max(this.#state.version, upto);
    this.#isWhole = false;
    await this.#save();
  }

  #say(name, payload, ref) {
    const isHello = name === "hello";
    if (!(this.#welcomed || isHello) || this.#socket?.readyState !== 1) return;
    const frame = { route: ROUTES[name], ref, [name]: payload };
    this.#socket.send(JSON.stringify(frame));
    this.#tell("onFrame", "out", frame);
  }

  /** Resolves when all that is so now is stored. One save runs at a time; those who ask meanwhile share the next. */
  #save() {
    if (!this.#options.store?.save || !this.#isLoaded) return Promise.resolve(); // what is not known is not written over
    const store = () => this.#options.store.save({ ...this.#state, recent: [...this.#recent] });
    if (!this.#saving) {
      this.#saving = Promise.resolve().then(store).finally(() => { this.#saving = null; });
      return this.#saving;
    }
    this.#saveAgain ??= this.#saving.catch(() => {}).then(() => { this.#saveAgain = null; return this.#save(); });
    return this.#saveAgain;
  }

  #saveOrFail() { return this.#save().catch((error) => this.#tell("onError", error)); }

  #tell(handler, ...told) {
    try {
      this.#options[handler]?.(...told);
    } catch (error) {
      if (handler !== "onError") this.#tell("onError", error);
    }
  }
}

/** A message's payload as text. */
export function textOf(message) {
  return new TextDecoder().decode(fromBase64(message.payload ?? ""));
}

/** Keeps a device's place in a file (Node on Unix): written beside it, synced, renamed. One program at a time uses it. */
export function fileStore(path) {
  const files = import("node:fs/promises");
  return {
    async load() {
      try {
        return JSON.parse(await (await files).readFile(path, "utf8"));
      } catch (error) {
        if (error.code === "ENOENT") return null;
        throw error;
      }
    },
    async save(value) {
      const { open, rename } = await files;
      const file = await open(`${path}.new`, "w", 0o600);
      try {
        await file.writeFile(JSON.stringify(value));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(`${path}.new`, path);
      const folder = await open(path.replace(/[^/]*$/, "") || ".", "r"); // or the name may lead to the old one after a power cut
      try {
        await folder.sync();
      } finally {
        await folder.close();
      }
    },
  };
}

/** Keeps a device's place in the browser's localStorage. One page at a time uses it. */
export function browserStore(key) {
  return {
    load: () => JSON.parse(localStorage.getItem(key)),
    save: (value) => localStorage.setItem(key, JSON.stringify(value)),
  };
}

function gone() { return new BimipError("UNAVAILABLE", "this client has left; what was not answered stays in its store"); }

/**
 * Draws an id, of a message or a request: 32 hexadecimal digits that begin with the time, so that what a device writes
 * lies side by side where the server looks for what it has already. Also where a page came without TLS, in which
 * browsers have no `crypto.randomUUID`.
 */
export function newId() {
  const drawn = crypto.getRandomValues(new Uint8Array(10));
  return Date.now().toString(16).padStart(12, "0") + Array.from(drawn, (one) => one.toString(16).padStart(2, "0")).join("");
}

export function toBase64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 4096) text += String.fromCharCode(...bytes.subarray(at, at + 4096));
  return btoa(text);
}

/** Reads base64, in either alphabet. */
export function fromBase64(text) {
  return Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));
}

// Positions: everything up to `offset` is held, and the ranges `held` beyond it, ascending and apart from each other.

function holds(position, from, to = from) {
  return to <= position.offset || position.held.some(([first, last]) => first <= from && to <= last);
}

function hold(position, from, to = from) {
  const ranges = [...position.held, [from, to]].sort((a, b) => a[0] - b[0]);
  position.held = [];
  for (const [first, last] of ranges) {
    const before = position.held.at(-1);
    if (before && first <= before[1] + 1) before[1] = Math.max(before[1], last);
    else position.held.push([first, last]);
  }
  reach(position, position.offset);
}

function reach(position, offset) {
  position.offset = Math.max(position.offset, offset);
  while (position.held.length && position.held[0][0] <= position.offset + 1) {
    position.offset = Math.max(position.offset, position.held.shift()[1]);
  }
}

function lowest(ranges, most) {
  const found = [];
  for (const [first, last] of ranges) {
    if (most <= 0) break;
    const end = Math.min(last, first + most - 1);
    found.push([first, end]);
    most -= end - first + 1;
  }
  return found;
}
