/**
 * One device of a user, with all that a messenger shows of it: what a page uses. It stands on `bimip.mjs` (the connection), `database.mjs`
 * (what is kept), `state.mjs` and `conversations.mjs` (what became of messages, and how they are shown), `commands.mjs`, `presence.mjs`
 * and `gossip.mjs`.
 *
 *     import { openDevice } from "./device.mjs";
 *     const device = await openDevice({ url, token, name: "alice-laptop" });
 *     device.on("message", (view) => show(view));
 *     await device.send({ to: "bob@example.org", text: "Hello" });
 *
 * All methods but `on`, `plug`, `unplug`, `typing` and `presence` return promises; `condition` is there at once. What a method
 * changes is on this device's disk when its promise is done, connection or not, and is sent when there is one; what asks
 * the server (marked *) rejects with a BimipError where there is none. A reload or a killed tab loses nothing: a message and
 * the place behind it are one transaction.
 *
 * openDevice({
 *   url, token           as for `connect` of bimip.mjs
 *   name                 of the database: one for each device. A second page that opens it while it is open is refused (IN_USE)
 *   partitions           ["chat"]
 *   start                {start: "LAST", last: 1000}: what a new device begins with
 *   gossip               false | true | {least: 500, awayMs: 60000}: takes from siblings where it lacks so many entries, and was away so long
 *   plugged              true: connects by itself
 *   database             `browserDatabase(name)`, or another one with its interface
 *   WebSocket, agent     as for `connect`
 * })
 *
 *     device.condition   {isConnected, isPlugged, isStopped, retryMs, outbox, toSend, lag, identity: {eid, device}}. outbox: messages and
 *                        commands that are not answered; toSend: those among them that somebody meant to send, so neither how far
 *                        they read nor a draft; lag: entries that the log has beyond this device's place, as Hello told it
 *     device.on(name, handler) -> off()
 *
 *     | name         | handler is given |
 *     |--------------|------------------|
 *     | condition    | (condition) |
 *     | message      | (view): one that came in the log, each once and in the order of the log; and one that was written here, then and
 *                      again when it was sent or refused, for which nothing waits. What `older` brings, or the server's list, is none |
 *     | conversation | (id, {signalIds}): something of it changed; signalIds: of which messages, where it is single ones |
 *     | inbox        | (): the list is another one |
 *     | typing       | ({conversation, eid, kind: "TYPING" | "RECORDING" | "PAUSED", on}) |
 *     | presence     | (eid, presence) |
 *     | contacts, settings, devices, groups | () |
 *     | frame        | ({direction: "in" | "out", frame, at}): each frame, with `token` taken out |
 *     | gossip       | ({phase: "asking" | "offering" | "open" | "taken" | "given" | "dropped" | "over", sibling, given, taken}) |
 *     | error        | (error): a BimipError with `command` or `message` where one was refused; or what a handler threw |
 *
 * Messages. `conversation` is an id of the server's, or "to:" and an eid for one that does not exist yet.
 *
 *     send({to | conversation, text, replyTo, thread, disappearAfterMs, mentions}) -> {id, sent: Promise<Signal>}; `sent` rejects only where it is refused
 *     edit(signalId, text), delete(signalId, {forAll}), react(signalId, emoji), unreact(signalId, emoji), pinMessage(signalId, on = true)
 *         signalId: or the `id` of one that was written here and has none yet
 *     messages(conversation, {before, limit = 50, thread}) -> [MessageView], oldest first, from the database. before: the `order` of a view
 *     older*(conversation, limit = 50) -> whether there is more on the server
 *     search(text, {limit = 50}) -> [MessageView], newest first
 *     export() -> all entries of the log, in its order: {partition, offset, signalId, conversation, place, author, text, reactions, isDeleted}
 *
 *     MessageView = {signalId, id, conversation, offset, order, author: {eid, device}, isMine, text, time, editedAt, isDeleted, isPinned, reactions: [{emoji, eids, mine}],
 *       replyTo, thread, replies, mentions, expiresAt, event, status: "waiting" | "sent" | "delivered" | "read" | "refused", by: {delivered: [eid], read: [eid]}, error}
 *     offset: its place in the conversation, 0 while it waits. order: sorts a conversation. editedAt: ms, or 0. text is null where it is deleted or
 *     is no text. event: {kind, members, title, role, owner, by} of a group, or {call, end} of a missed call: nobody's message. replyTo and thread: a signalId. error: {code, message}
 *
 * Conversations.
 *
 *     inbox() -> [{conversation, kind: "direct" | "group" | "feed", title, peer, unread, mentions, marked, muted, mutedUntil, archived, pinned, isMember, draft, typing: [eid], last: MessageView, time}],
 *         pinned first, then the newest first. Archived ones are among them, and groups that one has left: `isMember` is false
 *     markRead(conversation, upto), markUnread(conversation, on = true), archive(conversation, on = true), pin(conversation, on = true),
 *     mute(conversation, untilMs): 0: not any more; draft(conversation, text), typing(conversation, kind)
 *     conversationWith(eid) -> its id, or "to:" and the eid
 *
 * Groups: each but `group` and `groups` asks the server (*).
 *
 *     createGroup(title, eids) -> its id; group(id) -> {id, title, role, memberCount, members: [{eid, role}]} or null; groups() -> the same of all
 *     addMember(id, eid), removeMember(id, eid), leave(id), rename(id, title), setRole(id, eid, role), members*(id) -> [{eid, role}], also of a large one
 *
 * People, and this user.
 *
 *     contacts() -> [{eid, name, state, seesYou, seen, blocked, mutual, time}]; requestContact*(eid, {mutual = true}), acceptContact*, denyContact*, removeContact*, block*, unblock*(eid), nameContact*(eid, name)
 *     presence(eid) -> {status: "ONLINE" | "AWAY" | "BUSY" | "DND" | "OFFLINE", since, lastSeen}; askPresence*(eid) -> the same
 *     setStatus*(status, {untilMs, inactive}) , setVisible*(on)
 *     settings() -> as `Settings` in ProtoJSON, with `exceptions`; setSetting*(name, value)
 *     devices*() -> [{name, label, created, lastSeen, isOnline, isThis, isStale, lag}] (without a connection: {name, label, created, isThis}); renameDevice*(name, label), removeDevice*(name)
 *     registerPush*(subscription) a browser's PushSubscription; unregisterPush*(); pushKey*() -> the VAPID key, or ""
 *     request*(name, payload): anything else, as of `bimip.mjs`
 *
 *     close(), forget(): closes, and erases the database
 */

import { BimipError, connect, newId } from "./bimip.mjs";
import { Commands } from "./commands.mjs";
import { Conversations, News, payloadOf, payloadText, pendingValue } from "./conversations.mjs";
import { browserDatabase, clientStore, Ledger } from "./database.mjs";
import { Gossip } from "./gossip.mjs";
import { Presence } from "./presence.mjs";
import { State } from "./state.mjs";

const IN_USE_MS = 3000; // a page that is being left gives its database back within that
const PAGE = 100;
const MOST_CONVERSATIONS = 2000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const LAST = { start: "LAST", last: 1000 };
/** Commands that come of reading and typing: nobody waits for them. */
export const UNMEANT = new Set(["MARK_READ", "MARK_UNREAD", "DRAFT"]);

/** Opens a device. See the head of this file. */
export async function openDevice(options) {
  if (!options?.name && !options?.database) throw new TypeError("openDevice: options.name is missing");
  const release = options.database ? () => {} : await lock(options.name);
  try {
    const database = options.database ?? (await browserDatabase(options.name));
    const [state, conversations, commands, meta] = await Promise.all(["state", "conversations", "commands", "meta"].map((table) => database.all(table)));
    return new Device(options, database, { state, conversations, commands, meta: Object.fromEntries(meta.map((row) => [row.id, row])) }, release);
  } catch (error) {
    release();
    throw error;
  }
}

/** Has this page alone use a database, for as long as it lives. */
async function lock(name) {
  if (!globalThis.navigator?.locks) return () => {};
  return new Promise((resolve, reject) => {
    const given = navigator.locks.request(`bimip:${name}`, { signal: AbortSignal.timeout(IN_USE_MS) }, () => new Promise((release) => resolve(release)));
    given.catch(() => reject(new BimipError("IN_USE", `${name} is open in another page: close that one`)));
  });
}

export class Device {
  #options; #database; #release; #ledger; #state; #conversations; #commands; #presence; #gossip; #store; #client = null;
  #handlers = new Map(); #news = new News(); #sending = new Map(); #outboxed = new Map();
  #isPlugged; #isStopped = false; #isClosed = false; #retryMs = 0; #heads = {}; #identity; #meta; #expiry = null; #last = "";

  constructor(options, database, { state, conversations, commands, meta }, release) {
    this.#options = { plugged: true, partitions: ["chat"], start: LAST, gossip: false, agent: "bimip device.mjs", ...options };
    this.#database = database;
    this.#release = release;
    this.#meta = meta;
    this.#identity = meta.client?.identity ?? null;
    this.#ledger = new Ledger(database);
    this.#state = new State(this.#ledger, state);
    this.#store = clientStore(this.#ledger, database, () => this.#commit());
    this.#commands = new Commands({
      ledger: this.#ledger, rows: commands, newest: meta.device?.stamp, store: this.#store, client: () => this.#client,
      onDone: (row, answer) => this.#done(row, answer), onRefused: (row, error) => this.#refused(row, error),
    });
    this.#conversations = new Conversations({ ledger: this.#ledger, database, state: this.#state, rows: conversations, device: this.#sight() });
    this.#presence = new Presence({
      onPresence: (eid, presence) => this.#emit("presence", eid, presence), onTyping: (typing) => this.#emit("typing", typing),
    });
    if (this.#options.gossip) {
      this.#gossip = new Gossip({
        ...this.#options.gossip, database, ledger: this.#ledger, client: () => this.#client, tell: (told) => this.#emit("gossip", told),
      });
    }
    this.#isPlugged = this.#options.plugged;
    this.#begin();
    this.#expire();
  }

  /** What the conversations see of this device. */
  #sight() {
    const device = this;
    return {
      get identity() { return device.#me(); },
      get news() { return device.#news; },
      get waiting() { return device.#commands.waiting; },
      now: Date.now,
      dropped: (entry) => device.#gossip?.leaving(entry),
    };
  }

  #me() {
    const identity = this.#client?.identity ?? this.#identity;
    return identity ? { eid: identity.eid, device: identity.connection_resource_id } : null;
  }

  // The connection.

  #begin() {
    const { url, token, partitions, start, agent, WebSocket } = this.#options;
    this.#isStopped = false;
    this.#client = connect(url, {
      token, partitions, start, agent, ...(WebSocket && { WebSocket }), store: this.#store, isPlugged: this.#isPlugged,
      onMessage: (message) => this.#take(message),
      onKnown: (message) => this.#take(message),
      onState: (page) => this.#takeState(page),
      onOutbox: (message) => this.#written(message),
      onSettle: (message, signal, error) => this.#settle(message, signal, error),
      onSent: (signal, message) => this.#tellSent(message.id, (one) => one.resolve(signal)),
      onRefused: (error, message) => {
        this.#tellSent(message.id, (one) => one.reject(error));
        this.#emit("error", Object.assign(error, { refused: message }));
      },
      onBody: (body) => this.#body(body),
      onGone: () => this.#forgetOffsets(),
      onFrame: (direction, frame) => this.#tellFrame(direction, frame),
      onConnected: (hello) => this.#connected(hello),
      onDisconnected: (end) => this.#disconnected(end),
      onError: (error) => this.#emit("error", error),
      ...(this.#gossip && { catchUp: () => this.#gossip.catchUp(), isBehind: () => this.#gossip.isBehind() }),
    });
    this.#client.done.catch((error) => {
      if (this.#isClosed) return;
      this.#isPlugged = false;
      this.#begin(); // one that waits for `plug`: writing goes on
      this.#isStopped = true;
      this.#emit("error", error);
      this.#tellCondition();
    });
  }

  plug() {
    if (this.#isPlugged || this.#isClosed) return;
    this.#isPlugged = true;
    this.#isStopped = false;
    this.#client.plug();
    this.#tellCondition();
  }

  unplug() {
    if (!this.#isPlugged) return;
    this.#isPlugged = false;
    this.#client.unplug();
    this.#tellCondition();
  }

  get condition() {
    const positions = this.#client.positions;
    const lag = Object.entries(this.#heads).reduce((sum, [partition, head]) => sum + Math.max(0, head - (positions[partition] ?? 0)), 0);
    return {
      isConnected: this.#client.isConnected, isPlugged: this.#isPlugged, isStopped: this.#isStopped, retryMs: this.#retryMs,
      outbox: this.#client.outbox.length + this.#commands.waiting.length,
      toSend: this.#client.outbox.length + this.#commands.waiting.filter(({ command }) => !UNMEANT.has(command.kind)).length,
      lag, identity: this.#me(),
    };
  }

  #tellCondition() {
    const condition = this.condition, text = JSON.stringify(condition);
    if (text === this.#last) return;
    this.#last = text;
    this.#emit("condition", condition);
  }

  #connected(hello) {
    this.#retryMs = 0;
    this.#state.connected();
    this.#identity = this.#client.identity;
    this.#heads = Object.fromEntries((hello.logs ?? []).map((log) => [log.partition, Number(log.head ?? 0)]));
    this.#gossip?.connected();
    this.#commands.pump();
    this.#tellCondition();
    if (!this.#meta.seeded) this.#seed().catch((error) => this.#client.isConnected && this.#emit("error", error));
  }

  #disconnected({ retryMs = 0 }) {
    this.#retryMs = retryMs;
    this.#presence.disconnected();
    this.#gossip?.disconnected();
    this.#tellCondition();
  }

  /** A device that is new has its list from the server, which counts what is unread in what this device does not have. */
  async #seed() {
    let cursor;
    for (let count = 0; count < MOST_CONVERSATIONS; ) {
      const page = await this.#client.request("fetch", { kind: "INBOX", limit: PAGE, ...(cursor && { cursor }) });
      await this.#takeItems(page);
      for (const told of page.conversations ?? []) await this.#conversations.seed(told);
      count += page.conversations?.length ?? 0;
      cursor = page.next_cursor;
      if (page.complete || !cursor) break;
    }
    this.#meta.seeded = { id: "seeded", at: Date.now() };
    this.#ledger.put("meta", this.#meta.seeded);
    await this.#commit();
  }

  // What arrives.

  /** The server has another epoch: its offsets are others. */
  #forgetOffsets() {
    this.#heads = {};
    this.#settling = this.#settling.then(() => Promise.all([this.#conversations.forgetOffsets(), this.#gossip?.forget()]));
  }

  async #take(message) {
    await this.#settling;
    this.#commands.saw(message.signal_offset);
    if (await this.#conversations.take(message)) this.#presence.over(message.conversation, message.from?.eid);
  }

  async #takeState(page) {
    for (const one of this.#state.page(page)) await this.#changed(one);
  }

  /** What stands beside messages that were fetched. */
  async #takeItems(body) {
    for (const page of body.states ?? []) for (const one of this.#state.items(page.items ?? [])) await this.#changed(one);
  }

  async #changed(change) {
    if (change.kind === "message") this.#commands.saw(change.value?.edited);
    await this.#conversations.changed(change);
  }

  #written(message) {
    const aim = this.#outboxed.get(message.id);
    this.#conversations.written(message, aim?.conversation ?? this.#conversations.with(message.to?.eid ?? ""), this.#store.number(message.id));
    this.#store.wait(message);
    this.#outboxed.delete(message.id);
    aim?.written();
  }

  /** It leaves the outbox by the next save, so what became of it has to be in the ledger before that. */
  #settle(message, signal, error) {
    if (signal) this.#commands.saw(signal.signal_offset);
    this.#settling = this.#settling.then(() => this.#conversations.settled(message, signal, error));
  }
  #settling = Promise.resolve();

  #tellSent(id, tell) {
    this.#commands.pump();
    this.#tellCondition();
    const one = this.#sending.get(id);
    this.#sending.delete(id);
    if (one) tell(one);
  }

  #body(body) {
    this.#presence.body(body);
    this.#gossip?.passed(body);
    for (const said of body.peer_signals ?? []) this.#gossip?.hear(said);
    this.#tellCondition();
  }

  // What is written, and told when it is.

  /** Writes all that is gathered, and then tells it: one after the other, with what came meanwhile. */
  #commit() {
    const done = this.#committing.then(() => this.#commitNow());
    this.#committing = done.catch(() => {});
    return done;
  }
  #committing = Promise.resolve();

  async #commitNow() {
    await this.#settling;
    const news = this.#news;
    this.#news = new News();
    try {
      await this.#ledger.flush();
    } catch (error) {
      this.#news = news.with(this.#news);
      throw error;
    }
    if (this.#isClosed) return;
    await this.#conversations.count();
    if (this.#news.conversations.size || this.#news.kinds.size) {
      news.with(this.#news);
      this.#news = new News();
      await this.#ledger.flush();
    }
    this.#telling = this.#telling.then(() => this.#tellNews(news)).catch((error) => this.#isClosed || this.#emit("error", error));
  }
  #telling = Promise.resolve(); // one after the other, in the order in which it was written

  async #tellNews({ conversations, entries, kinds }) {
    if (this.#handlers.get("message")?.size) {
      for (const key of entries) {
        const entry = await this.#ledger.get("entries", key);
        if (entry) this.#emit("message", await this.#conversations.viewWithReplies(entry));
      }
    }
    for (const [conversation, ids] of conversations) this.#emit("conversation", conversation, { signalIds: [...ids] });
    for (const kind of kinds) this.#emit(kind);
    if (entries.size) this.#tellCondition();
    if (this.#conversations.nextExpiry < this.#expiresAt) this.#expire();
  }

  /** Has messages disappear when their time is over. */
  async #expire() {
    clearTimeout(this.#expiry);
    this.#expiresAt = this.#conversations.nextExpiry;
    const next = await this.#conversations.expire();
    if (this.#isClosed) return;
    await this.#commit();
    this.#expiresAt = next;
    if (next < Infinity) this.#expiry = setTimeout(() => this.#expire(), Math.min(Math.max(0, next - Date.now()) + 1, LONGEST_TIMER_MS));
  }
  #expiresAt = Infinity;

  on(name, handler) {
    if (!this.#handlers.has(name)) this.#handlers.set(name, new Set());
    this.#handlers.get(name).add(handler);
    return () => this.#handlers.get(name).delete(handler);
  }

  #emit(name, ...told) {
    for (const handler of this.#handlers.get(name) ?? []) {
      try {
        handler(...told);
      } catch (error) {
        if (name !== "error") this.#emit("error", error);
      }
    }
  }

  #tellFrame(direction, frame) {
    if (!this.#handlers.get("frame")?.size) return;
    const told = frame.hello?.token === undefined ? frame : { ...frame, hello: { ...frame.hello, token: "…" } };
    this.#emit("frame", { direction, frame: told, at: Date.now() });
  }

  // Messages.

  async send({ to, conversation, text, replyTo, thread, disappearAfterMs, mentions }) {
    const id = newId(), aim = this.#conversations.resolve(conversation ?? `to:${to.normalize("NFC")}`);
    const peer = this.#conversations.kind(aim) === "direct" ? this.#conversations.peer(aim) : "";
    const message = { id, to: peer || aim, text, type: 1, timestamp: Date.now() };
    if (replyTo || thread) message.reply_to = replyTo || thread;
    if (disappearAfterMs) message.ttl_ms = disappearAfterMs;
    if (mentions?.length) message.mentions = mentions;
    const sent = new Promise((resolve, reject) => this.#sending.set(id, { resolve, reject }));
    sent.catch(() => {}); // who does not ask sees it in the view
    const written = new Promise((resolve) => this.#outboxed.set(id, { conversation: aim, written: resolve }));
    const leaving = this.#client.send(message);
    leaving.catch(() => {});
    await Promise.race([written, leaving]);
    await this.#commit();
    this.#tellCondition();
    return { id, sent };
  }

  edit(id, text) { return this.#about(id, { kind: "EDIT", payload: payloadOf(text) }); }
  react(id, emoji) { return this.#about(id, { kind: "REACT", emoji }); }
  unreact(id, emoji) { return this.#about(id, { kind: "UNREACT", emoji }); }
  pinMessage(id, on = true) { return this.#about(id, { kind: "PIN", value: on }); }

  async delete(id, { forAll = false } = {}) {
    const entry = await this.#conversations.entry(id);
    if (entry?.error) { // it never was anywhere else
      await this.#conversations.forget(entry);
      return this.#commit();
    }
    await this.#about(id, { kind: forAll ? "DELETE_FOR_EVERYONE" : "DELETE_FOR_ME" });
  }

  async #about(id, command) {
    const entry = await this.#conversations.entry(id);
    if (!entry) throw new BimipError("NOT_FOUND", `there is no message ${id} on this device`);
    const target = entry.signal_id ? { target: entry.message.signal_offset } : { target_id: entry.message.id };
    this.#commands.add({ ...command, ...target }, entry.key);
    this.#news.of(entry.conversation, entry.signal_id ?? entry.message.id);
    this.#news.kinds.add("inbox");
    await this.#commit();
    this.#tellCondition();
    this.#commands.pump();
  }

  /** A command was answered: what it says is known before the state tells it. */
  #done(row, answer) {
    const { command } = row, place = Number(answer.conversation_offset ?? 0);
    let change = null;
    if (!answer.superseded) {
      if (row.about && place) change = this.#state.put("message", [answer.conversation, place], pendingValue(this.#me()?.eid)({ command: { ...command, stamp: String(answer.stamp ?? 0) } }));
      else if (command.kind === "MARK_READ") change = this.#state.put("read_marker", [command.conversation], place);
      else if (Number(answer.version ?? 0)) {
        const kept = this.#conversations.kept(command.conversation);
        const value = { id: command.conversation, ...kept, ...keptBy(command), version: String(answer.version) };
        change = this.#state.put("conversation", [command.conversation], value);
      }
    }
    this.#news.of(answer.conversation ?? command.conversation);
    this.#news.kinds.add("inbox");
    Promise.resolve(change && this.#changed(change)).then(() => this.#commit()).then(() => this.#tellCondition()).catch((error) => this.#emit("error", error));
  }

  #refused(row, error) {
    this.#news.kinds.add("inbox");
    if (row.command.conversation) this.#conversations.uncounted.add(row.command.conversation);
    this.#ledger.get("entries", row.about ?? "").then((entry) => {
      const conversation = entry?.conversation ?? row.command.conversation;
      if (conversation) this.#news.of(conversation, entry?.signal_id);
      return this.#commit();
    }).then(() => this.#tellCondition()).catch((failed) => this.#emit("error", failed));
    this.#emit("error", Object.assign(error, { command: row.command }));
  }

  messages(conversation, options) { return this.#conversations.messages(conversation, options); }
  async message(id) {
    const entry = await this.#conversations.entry(id);
    return entry ? this.#conversations.viewWithReplies(entry) : null;
  }
  search(text, options) { return this.#conversations.search(text, options); }
  export() { return this.#conversations.export(); }

  async older(conversation, limit = 50) {
    const id = this.#conversations.resolve(conversation), lowest = await this.#conversations.lowest(id);
    if (id.startsWith("to:") || lowest === 1 || this.#conversations.isWhole(id)) return false;
    const body = await this.request("fetch", { kind: "HISTORY", conversation: id, backwards: true, limit, ...(lowest && { offset: lowest - 1 }) });
    for (const message of body.messages ?? []) await this.#take(message);
    await this.#takeItems(body);
    if (body.complete) this.#conversations.setWhole(id);
    await this.#commit();
    return !body.complete;
  }

  // Conversations.

  async inbox() { return this.#conversations.inbox((conversation) => this.#presence.typing(conversation)); }
  async conversationWith(eid) { return this.#conversations.with(eid); }

  async markRead(conversation, upto) {
    const id = this.#conversations.resolve(conversation), place = Number(upto ?? this.#conversations.newest(id));
    if (!place || id.startsWith("to:")) return;
    const isKnown = this.#conversations.marker(id) >= place;
    if (isKnown && !this.#conversations.kept(id).marked_unread) return;
    this.#client.markRead(id, place); // whoever wrote it learns of this
    this.#conversations.uncounted.add(id);
    await this.#keep(id, { kind: "MARK_READ", conversation_offset: place }); // and this user's other devices of that
  }

  markUnread(conversation, on = true) { return this.#keep(conversation, { kind: "MARK_UNREAD", value: on }); }
  archive(conversation, on = true) { return this.#keep(conversation, { kind: "ARCHIVE", value: on }); }
  pin(conversation, on = true) { return this.#keep(conversation, { kind: "PIN", value: on }); }
  mute(conversation, untilMs) { return this.#keep(conversation, { kind: "MUTE", until: untilMs ?? 0 }); }

  async draft(conversation, text) {
    const id = this.#conversations.resolve(conversation);
    if (id.startsWith("to:")) {
      this.#conversations.draft(id, text);
      return this.#commit();
    }
    if ((payloadText(this.#conversations.kept(id).draft) ?? "") === text) return;
    await this.#keep(id, { kind: "DRAFT", payload: payloadOf(text) });
  }

  async #keep(conversation, command) {
    const id = this.#conversations.resolve(conversation);
    if (id.startsWith("to:")) throw new BimipError("NOT_FOUND", "there is no such conversation yet: send a message first");
    this.#commands.add({ ...command, conversation: id });
    this.#news.of(id);
    this.#news.kinds.add("inbox");
    await this.#commit();
    this.#tellCondition();
    this.#commands.pump();
  }

  typing(conversation, kind) {
    const id = this.#conversations.resolve(conversation);
    this.#client.say("awareness", id.startsWith("to:") ? { status: kind, to: { eid: id.slice(3) } } : { status: kind, conversation: id });
  }

  // Groups.

  async createGroup(title, eids) {
    const answer = await this.#group("CREATE", { title, members: eids.map((eid) => ({ eid })) });
    return answer.id;
  }
  addMember(id, eid) { return this.#group("INVITE", { id, members: [{ eid }] }); }
  removeMember(id, eid) { return this.#group("REMOVE_MEMBER", { id, members: [{ eid }] }); }
  leave(id) { return this.#group("LEAVE", { id }); }
  rename(id, title) { return this.#group("RENAME", { id, title }); }
  setRole(id, eid, role) { return this.#group("SET_ROLE", { id, members: [{ eid, role }] }); }
  #group(action, payload) { return this.request("conversation", { action, request_id: newId(), ...payload }); }

  async members(id) {
    const found = [];
    for (let after; ; ) {
      const page = await this.request("conversation", { action: "GET", id, ...(after && { after }) });
      found.push(...(page.members ?? []).map(({ eid, role }) => ({ eid, role })));
      if (page.complete || !page.members?.length) return found;
      after = page.members.at(-1).eid;
    }
  }

  async group(id) {
    const value = this.#state.get("group", [id]);
    return value ? groupOf(value) : null;
  }
  async groups() { return this.#state.all("group").map(({ value }) => groupOf(value)); }

  // People, and this user.

  async contacts() {
    const found = this.#state.all("contact").map(({ value }) => ({
      eid: value.eid, name: value.name ?? "", state: value.state ?? "", seesYou: value.sees_you ?? false, seen: value.seen ?? false,
      blocked: value.blocked ?? false, mutual: value.mutual ?? false, time: Number(value.time ?? 0),
    }));
    return found.sort((one, other) => ((one.name || one.eid) < (other.name || other.eid) ? -1 : 1));
  }
  requestContact(eid, { mutual = true } = {}) { return this.#contact("REQUEST", eid, { mutual }); }
  acceptContact(eid, { mutual = false } = {}) { return this.#contact("ACCEPT", eid, { mutual }); }
  denyContact(eid) { return this.#contact("DENY", eid); }
  removeContact(eid) { return this.#contact("REMOVE", eid); }
  block(eid) { return this.#contact("BLOCK", eid); }
  unblock(eid) { return this.#contact("UNBLOCK", eid); }
  nameContact(eid, name) { return this.#contact("NAME", eid, { name }); }
  #contact(action, eid, more = {}) { return this.request("contact", { action, eid, id: newId(), ...more }); }

  presence(eid) { return this.#presence.of(eid); }
  async askPresence(eid) { return this.#presence.set(eid, await this.request("awareness", { to: { eid } })); }
  setStatus(status, { untilMs, inactive } = {}) {
    return this.request("awareness", { status, ...(untilMs && { until: untilMs }), ...(inactive && { inactive }) });
  }
  setVisible(on) { return this.request("awareness_visibility", { visible: on }); }

  async settings() {
    const exceptions = this.#state.all("privacy_exception").map(({ value }) => value);
    return { visible: true, ...this.#state.get("settings", []), exceptions, status: this.#state.get("intent", []) ?? null };
  }
  setSetting(name, value) { return this.request("settings", { [name]: value, stamp: this.#commands.stamp() }); }

  async devices() {
    const own = this.#me()?.device;
    if (!this.#client.isConnected) {
      return this.#state.all("device").map(({ key: [name], value: { label, created } }) => ({ name, label, created, isThis: name === own }));
    }
    const found = [];
    for (let after; ; ) {
      const page = await this.request("devices", after ? { name: after } : {});
      for (const one of page.devices ?? []) {
        found.push({
          name: one.name, label: one.label ?? "", created: Number(one.created ?? 0), lastSeen: Number(one.last_seen ?? 0), isOnline: one.online ?? false,
          isThis: one.asking ?? false, isStale: one.stale ?? false, lag: (one.logs ?? []).reduce((sum, log) => sum + Number(log.lag ?? 0), 0),
        });
      }
      if (page.complete || !page.devices?.length) return found;
      after = page.devices.at(-1).name;
    }
  }
  renameDevice(name, label) { return this.request("devices", { action: "RENAME", name, label }); }
  removeDevice(name) { return this.request("devices", { action: "REMOVE", name }); }

  async pushKey() { return (await this.request("push_notification", { query: true })).public_key ?? ""; }
  registerPush(subscription) {
    const { endpoint, keys } = subscription.toJSON?.() ?? subscription;
    return this.request("push_notification", { id: "page", platform: "webpush", token: endpoint, p256dh: keys.p256dh, auth: keys.auth });
  }
  unregisterPush() { return this.request("push_notification", { id: "page", remove: true }); }

  request(name, payload) {
    if (this.#client.isConnected) return this.#client.request(name, payload);
    return Promise.reject(new BimipError("UNAVAILABLE", "there is no connection: try again when there is one"));
  }

  // The end.

  async close() {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#expiry);
    this.#gossip?.close();
    this.#commands.close();
    this.#presence.disconnected();
    await this.#client.close();
    await this.#settling;
    await this.#telling;
    await this.#ledger.flush().catch((error) => this.#emit("error", error));
    this.#database.close();
    this.#release();
  }

  async forget() {
    await this.close();
    await this.#database.erase();
  }
}

function groupOf({ id, title = "", role = "", member_count: count, members = [] }) {
  return { id, title, role, memberCount: Number(count ?? 0), members: members.map(({ eid, role: theirs }) => ({ eid, role: theirs })) };
}

/** What a command makes of how a conversation is kept. */
function keptBy({ kind, value = false, until = 0, payload = "" }) {
  return { ARCHIVE: { archived: value }, PIN: { pinned: value }, MARK_UNREAD: { marked_unread: value }, MUTE: { muted_until: String(until) }, DRAFT: { draft: payload } }[kind] ?? {};
}
