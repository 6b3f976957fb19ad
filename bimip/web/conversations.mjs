/**
 * The messages of one device and the conversations that they stand in: what is kept of each, and how it is shown. Changes are put into
 * the ledger; what they change on a screen is noted in `news`, for whoever tells it once it is written.
 *
 * An *entry* is a message with where it stands: `order` is its place in the conversation, or WAITING and a number as long as it has none.
 * Its `key` is its signal_id; of what this device wrote it is "own:" and the id, which it has before it is sent and after it is sent
 * again. A conversation that has no id yet is "to:" and the other one's eid.
 */

import { fromBase64, toBase64 } from "./bimip.mjs";
import { compareNumbers } from "./state.mjs";

export const WAITING = 2 ** 40; // beyond all places in a conversation
const TOGETHER = 1000; // entries that a search reads at once
const UNSEEN = { muted_until: "0", draft: "" };

/** What is to be told once it is written: signalIds by conversation, keys of new entries, and whether the list is another one. */
export class News {
  conversations = new Map(); entries = new Set(); kinds = new Set();

  of(conversation, id) {
    if (!this.conversations.has(conversation)) this.conversations.set(conversation, new Set());
    if (id) this.conversations.get(conversation).add(id);
  }
  with(other) {
    for (const [conversation, ids] of other.conversations) { this.of(conversation); for (const id of ids) this.of(conversation, id); }
    for (const key of other.entries) this.entries.add(key);
    for (const kind of other.kinds) this.kinds.add(kind);
    return this;
  }
}

export class Conversations {
  #ledger; #database; #state; #device; #rows = new Map(); #peers = new Map(); #nextExpiry = Infinity;
  /** Conversations whose unread messages are to be counted. */
  uncounted = new Set();

  /** `device` tells `identity`, `news`, `waiting` (commands), `now` and `dropped(entry)`: its content is about to go. */
  constructor({ ledger, database, state, rows, device }) {
    this.#ledger = ledger;
    this.#database = database;
    this.#state = state;
    this.#device = device;
    for (const row of rows) this.#hold(row);
    for (const row of rows) if (row.countedAt !== this.#marker(row.id)) this.uncounted.add(row.id);
  }

  #hold(row) {
    this.#rows.set(row.id, row);
    if (row.peer && !row.isGroup && !row.isFeed && !row.id.startsWith("to:")) this.#peers.set(row.peer, row.id);
  }

  #row(id) {
    if (!this.#rows.has(id)) {
      this.#rows.set(id, { id, peer: id.startsWith("to:") ? id.slice(3) : "", unread: 0, mentions: 0, countedAt: this.#marker(id), last: null });
    }
    return this.#rows.get(id);
  }

  #keep(row) {
    this.#hold(row);
    this.#ledger.put("conversations", { ...row });
    this.#device.news.of(row.id);
    this.#device.news.kinds.add("inbox");
  }

  /** The conversation's id, of "to:" and an eid too. */
  resolve(conversation) { return conversation.startsWith("to:") ? (this.#peers.get(conversation.slice(3)) ?? conversation) : conversation; }
  with(eid) { return this.resolve(`to:${eid.normalize("NFC")}`); }
  has(conversation) { return this.#rows.has(conversation); }
  kind(conversation) {
    const row = this.#rows.get(conversation);
    if (row?.isFeed) return "feed";
    return row?.isGroup || this.#state.get("group", [conversation]) ? "group" : "direct";
  }
  peer(conversation) { return this.#rows.get(conversation)?.peer ?? (conversation.startsWith("to:") ? conversation.slice(3) : ""); }

  isOwn(message) {
    const me = this.#device.identity;
    return Boolean(me && message.from?.eid === me.eid && message.from.connection_resource_id === me.device);
  }
  isMine(message) { return message.from?.eid !== undefined && message.from.eid === this.#device.identity?.eid; }

  // What comes and goes.

  /** Keeps a message that was written here and is to be sent. */
  written(message, conversation, number) {
    const entry = {
      key: `own:${message.id}`, conversation, order: WAITING + number, message: { ...message, from: this.#from() },
      ...(message.reply_to && { reply_to: message.reply_to }),
    };
    this.#ledger.put("entries", entry);
    this.#device.news.entries.add(entry.key);
    this.#toTop(entry);
    return entry;
  }

  #from() {
    const me = this.#device.identity;
    return { eid: me?.eid ?? "", connection_resource_id: me?.device ?? "" };
  }

  /** One after the other: what changes an entry reads it first, and none may write over what another one noted meanwhile. */
  #inTurn(act) {
    const done = this.#turns.then(act);
    this.#turns = done.catch(() => {});
    return done;
  }
  #turns = Promise.resolve();

  /** What became of one that was written here: it is on the server's disk, or was refused. */
  settled(message, signal, error) { return this.#inTurn(() => this.#settle(message, signal, error)); }

  async #settle(message, signal, error) {
    const entry = (await this.#ledger.get("entries", `own:${message.id}`)) ?? this.written(message, this.#aim(message), 0);
    if (error) {
      entry.error = { code: error.code, message: error.message };
      this.#ledger.put("entries", entry);
      this.#changed(entry);
      this.#device.news.entries.add(entry.key);
      return;
    }
    if (entry.signal_id) return this.#place(entry, signal);
    const before = entry.conversation, { timestamp, signal_id, signal_offset, partition, user_offset, conversation, conversation_offset } = signal;
    entry.message = {
      ...entry.message, from: this.#from(), status: "1", server_time: timestamp, signal_id, signal_offset, partition, user_offset, conversation, conversation_offset,
    };
    if (message.ttl_ms) entry.message.expires_at = String(Number(timestamp) + Number(message.ttl_ms));
    const row = this.#row(conversation);
    if (before.startsWith("to:")) row.peer ||= before.slice(3);
    this.#stand(entry);
    this.#ledger.put("entries", entry);
    this.#device.news.entries.add(entry.key);
    if (before !== conversation) await this.#moved(before, conversation);
    this.#toTop(entry);
    if (this.#rows.get(conversation).last?.key === entry.key) this.#lastIs(entry);
  }

  #aim(message) { return message.conversation ?? (/^c\d+$/.test(message.to?.eid ?? "") ? message.to.eid : this.with(message.to?.eid ?? "")); }

  /** A conversation got its id: what waits in the one without goes there too. */
  async #moved(before, conversation) {
    if (!before.startsWith("to:")) return;
    const waiting = await this.#database.find("entries", "place", [before, 0], [before, Infinity]);
    const gathered = this.#ledger.gathered("entries").filter((one) => one.conversation === before);
    for (const one of new Map([...waiting, ...gathered].map((entry) => [entry.key, entry])).values()) {
      const now = await this.#ledger.get("entries", one.key);
      if (now.conversation !== before) continue;
      now.conversation = conversation;
      this.#ledger.put("entries", now);
      this.#toTop(now);
    }
    this.#rows.delete(before);
    this.#ledger.drop("conversations", before);
    this.#device.news.of(before);
  }

  /** Notes what a message says of where it stands. */
  #stand(entry) {
    const { message } = entry;
    entry.signal_id = message.signal_id;
    entry.conversation = message.conversation ?? "";
    entry.order = Number(message.conversation_offset ?? 0);
    if (message.reply_to) entry.reply_to = message.reply_to;
    if (Number(message.user_offset ?? 0)) Object.assign(entry, { partition: message.partition, offset: Number(message.user_offset) });
    if (Number(message.expires_at ?? 0) && !message.erased) entry.expires = Number(message.expires_at);
    if (!this.isMine(message)) entry.theirs = entry.conversation;
    this.#nextExpiry = Math.min(this.#nextExpiry, entry.expires ?? Infinity);
  }

  /**
   * Takes a message as it was delivered, or fetched. Returns whether it is new here. One that was fetched, so that nothing tells where it
   * stands in the log, is told as a message when it comes in the log: an answer overtakes what is on its way there.
   */
  take(message) { return this.#inTurn(() => this.#take(message)); }

  async #take(message) {
    const key = this.isOwn(message) && message.id ? `own:${message.id}` : message.signal_id;
    const known = await this.#ledger.get("entries", key);
    if (known?.signal_id) {
      this.#place(known, message);
      return false;
    }
    if (known) {
      await this.#settle(known.message, { ...message, timestamp: message.server_time }, null);
      return false;
    }
    const entry = { key, message, ...(!Number(message.user_offset ?? 0) && { isFetched: true }) };
    this.#stand(entry);
    const row = this.#row(entry.conversation);
    this.#learn(row, message);
    const became = this.#state.message(entry.conversation, entry.order);
    if (message.erased) this.#device.dropped(entry);
    else if (became.deleted || became.hidden) this.#strip(entry);
    this.#ledger.put("entries", entry);
    if (!entry.isFetched) this.#device.news.entries.add(key);
    if (entry.theirs && entry.order > Math.max(this.#marker(row.id), this.#countedTo(row))) {
      row.unread++;
      if (this.#mentionsMe(message)) row.mentions++;
    }
    this.#toTop(entry);
    this.#keep(row);
    return true;
  }

  /** Notes where a message stands in the log, that was known by an answer alone. */
  #place({ isFetched, ...entry }, { partition, user_offset }) {
    if (entry.offset || !Number(user_offset ?? 0)) return;
    Object.assign(entry, { partition, offset: Number(user_offset) });
    this.#ledger.put("entries", entry);
    if (isFetched) this.#device.news.entries.add(entry.key);
  }

  /** What a message tells of its conversation. */
  #learn(row, message) {
    if (message.group_event) row.isGroup = true;
    else if (message.scope === "friend" && !message.to?.eid) Object.assign(row, { isFeed: true, peer: message.from?.eid ?? "" });
    else if (!row.peer && !this.isMine(message)) row.peer = message.from?.eid ?? "";
    else if (!row.peer && message.to?.eid && message.to.eid !== row.id) row.peer = message.to.eid;
    if (row.peer && this.#rows.has(`to:${row.peer}`) && !row.isGroup && !row.isFeed && message.to?.eid !== row.id) {
      this.#hold(row);
      this.#orphans.push([`to:${row.peer}`, row.id]);
    }
  }
  #orphans = [];

  /** Notes what the server's list tells of a conversation. */
  async seed(told) {
    const row = this.#row(told.id);
    if (told.feed) row.isFeed = true;
    else if (!told.peer && (told.title !== undefined || Number(told.member_count ?? 0) > 2)) row.isGroup = true;
    if (told.peer) row.peer = told.peer;
    if (told.title) row.title = told.title;
    row.server = { head: Number(told.head ?? 0), unread: Number(told.unread ?? 0), mentions: Number(told.mentions ?? 0), readUpto: Number(told.read_upto ?? 0) };
    if (told.last_message) await this.take(told.last_message);
    this.uncounted.add(row.id);
    this.#keep(row);
  }

  #marker(conversation) {
    const pending = this.#device.waiting.filter(({ command }) => command.kind === "MARK_READ" && command.conversation === conversation);
    return Math.max(this.#state.get("read_marker", [conversation]) ?? 0, ...pending.map(({ command }) => Number(command.conversation_offset)));
  }
  /** Up to where the server counted what is unread, as long as the marker stands where it stood then. */
  #countedTo(row) { return row.server && row.server.readUpto === this.#marker(row.id) ? row.server.head : 0; }
  #mentionsMe(message) { return (message.mentions ?? []).includes(this.#device.identity?.eid); }

  /** Counts what is unread where a marker moved. What is gathered was written before. */
  async count() {
    for (const id of this.uncounted) {
      const row = this.#rows.get(id);
      this.uncounted.delete(id);
      if (!row) continue;
      const marker = this.#marker(id), counted = this.#countedTo(row), from = Math.max(marker, counted) + 1;
      const unread = (counted ? row.server.unread : 0) + (await this.#database.count("entries", "theirs", [id, from], [id, WAITING]));
      const mentions = !unread ? 0 : counted ? row.server.mentions : row.mentions;
      if (row.countedAt === marker && row.unread === unread && row.mentions === mentions) continue;
      Object.assign(row, { unread, mentions, countedAt: marker });
      this.#keep(row);
    }
    for (const [before, conversation] of this.#orphans.splice(0)) {
      if (this.#rows.has(before)) await this.#inTurn(() => this.#moved(before, conversation));
    }
  }

  #toTop(entry) {
    const row = this.#row(entry.conversation);
    if (entry.order < WAITING) row.top = Math.max(row.top ?? 0, entry.order);
    if (row.last && row.last.key !== entry.key && row.last.order > entry.order) this.#device.news.of(entry.conversation, entry.signal_id ?? entry.message.id);
    else this.#lastIs(entry);
  }

  #lastIs(entry) {
    const row = this.#row(entry.conversation);
    row.last = structuredClone(entry);
    this.#keep(row);
    this.#device.news.of(entry.conversation, entry.signal_id ?? entry.message.id);
  }

  #changed(entry) {
    this.#device.news.of(entry.conversation, entry.signal_id ?? entry.message.id);
    const row = this.#rows.get(entry.conversation);
    if (row?.last?.key !== entry.key) return;
    row.last = structuredClone(entry);
    this.#keep(row);
  }

  /** Drops the content of an entry. Its place stays. */
  #strip(entry) {
    this.#device.dropped(entry);
    const { payload: _, encrypted: _e, signature: _s, audiences: _a, mentions: _m, ...rest } = entry.message;
    entry.message = { ...rest, erased: true };
    delete entry.expires;
  }

  /** Takes in what changed in the state. */
  changed(change) { return this.#inTurn(() => this.#apply(change)); }

  async #apply({ kind, key, value }) {
    const [conversation, second] = key, { news } = this.#device;
    if (kind === "message") {
      const [entry] = await this.#find("place", [conversation, second]);
      if (!entry) return;
      if ((value?.deleted || value?.hidden) && !entry.message.erased) {
        this.#strip(entry);
        this.#ledger.put("entries", entry);
      }
      this.#changed(entry);
      if (value?.hidden && this.#rows.get(conversation)?.last?.key === entry.key) await this.#showLast(conversation);
    } else if (kind === "receipts") news.of(conversation);
    else if (kind === "read_marker") this.uncounted.add(conversation);
    else if (kind === "conversation") {
      news.of(conversation);
      news.kinds.add("inbox");
    } else if (kind === "group") {
      const row = this.#row(conversation);
      row.isGroup = true;
      if (value?.title !== undefined) row.title = value.title;
      this.#keep(row);
      news.kinds.add("groups");
    } else if (kind === "contact") {
      news.kinds.add("contacts");
      news.kinds.add("inbox"); // their names are titles
    } else if (kind === "settings" || kind === "privacy_exception" || kind === "intent") news.kinds.add("settings");
    else if (kind === "device") news.kinds.add("devices");
  }

  /** The newest message that is not hidden is the one that the list shows. */
  async #showLast(conversation) {
    const found = await this.#database.find("entries", "place", [conversation, 0], [conversation, Infinity], { limit: 20, backwards: true });
    const row = this.#row(conversation);
    row.last = found.find((one) => !this.#state.message(conversation, one.order).hidden) ?? null;
    this.#keep(row);
  }

  async #find(index, at) {
    const found = await this.#database.find("entries", index, at, at);
    const gathered = this.#ledger.gathered("entries").filter((one) => (index === "place" ? one.conversation === at[0] && one.order === at[1] : one.signal_id === at[0]));
    return Promise.all([...new Set([...found, ...gathered].map((one) => one.key))].map((key) => this.#ledger.get("entries", key)));
  }

  /** The entry of a signal_id, or of the id of one that was written here. */
  async entry(id) { return (await this.#ledger.get("entries", `own:${id}`)) ?? (await this.#find("signal", [id]))[0]; }

  /** Drops one that was refused and is not wanted any more. */
  async forget(entry) {
    this.#ledger.drop("entries", entry.key);
    this.#device.news.of(entry.conversation, entry.message.id);
    const row = this.#rows.get(entry.conversation);
    if (row?.last?.key !== entry.key) return;
    const found = await this.#database.find("entries", "place", [entry.conversation, 0], [entry.conversation, Infinity], { limit: 2, backwards: true });
    row.last = found.find((one) => one.key !== entry.key) ?? null;
    this.#keep(row);
  }

  /** Forgets where entries stand in the log: another epoch gives them other offsets as they come again. */
  forgetOffsets() { return this.#inTurn(() => this.#forgetOffsets()); }

  async #forgetOffsets() {
    for (const { key } of await this.#database.find("entries", "log", ["", 0], ["\uffff", Infinity])) {
      const { partition: _, offset: _o, ...entry } = await this.#ledger.get("entries", key);
      this.#ledger.put("entries", entry);
    }
  }

  /** Erases what has disappeared. Returns when the next one does. */
  expire() { return this.#inTurn(() => this.#expire()); }

  async #expire() {
    const now = this.#device.now(), gone = await this.#database.find("entries", "expires", [0], [now]);
    for (const { key } of gone) {
      const entry = await this.#ledger.get("entries", key);
      this.#strip(entry);
      this.#ledger.put("entries", entry);
      this.#changed(entry);
    }
    const [next] = await this.#database.find("entries", "expires", [now + 1], [Infinity], { limit: 1 });
    return (this.#nextExpiry = Math.min(next?.expires ?? Infinity, this.#ledger.gathered("entries").reduce((least, one) => Math.min(least, one.expires ?? Infinity), Infinity)));
  }
  get nextExpiry() { return this.#nextExpiry; }

  // What is shown.

  /** A MessageView, but for the number of its replies. */
  view(entry, replies = 0) {
    const { message, conversation } = entry, me = this.#device.identity?.eid;
    const place = entry.order < WAITING ? entry.order : 0, pending = this.#device.waiting.filter((row) => row.about === entry.key).map(pendingValue(me));
    const became = this.#state.message(conversation, place, pending);
    const isEditedBefore = compareNumbers(message.edited, became.edited) > 0; // what was delivered is newer than what is known of it
    const isDeleted = Boolean(message.erased || became.deleted || (entry.expires && entry.expires <= this.#device.now()));
    const isMine = entry.key.startsWith("own:") || this.isMine(message);
    const by = isMine ? this.#state.receiptsOf(conversation, place) : { delivered: [], read: [] };
    for (const kind of ["delivered", "read"]) by[kind] = by[kind].filter((eid) => eid !== me);
    const editStamp = isEditedBefore ? message.edited : became.edited;
    return {
      signalId: entry.signal_id ?? "",
      id: message.id ?? "",
      conversation,
      offset: place,
      order: entry.order,
      author: { eid: message.from?.eid || (isMine ? (me ?? "") : ""), device: message.from?.connection_resource_id ?? "" },
      isMine,
      text: isDeleted ? null : payloadText(isEditedBefore ? message.payload : (became.payload ?? message.payload)),
      time: Number(message.server_time ?? message.timestamp ?? 0),
      editedAt: isDeleted || compareNumbers(editStamp, 0) <= 0 ? 0 : Number(BigInt(editStamp) >> 22n),
      isDeleted,
      isHidden: became.hidden,
      isPinned: became.pinned,
      reactions: reactionsOf(became.reactions, me),
      replyTo: message.reply_to ?? "",
      thread: message.reply_to ?? "",
      replies,
      mentions: message.mentions ?? [],
      expiresAt: entry.expires ?? 0,
      event: eventOf(message),
      status: this.#status(entry, isMine, by),
      by,
      error: entry.error ?? null,
    };
  }

  #status(entry, isMine, by) {
    if (entry.error) return "refused";
    if (!entry.signal_id) return "waiting";
    if (!isMine) return "sent";
    const group = this.#state.get("group", [entry.conversation]);
    const others = this.kind(entry.conversation) === "direct" ? 1 : Math.max(1, Number(group?.member_count ?? Infinity) - 1);
    if (by.read.length >= others) return "read";
    return by.delivered.length >= others ? "delivered" : "sent";
  }

  async viewWithReplies(entry) {
    const replies = entry.signal_id ? await this.#database.count("entries", "thread", [entry.signal_id, 0], [entry.signal_id, Infinity]) : 0;
    return this.view(entry, replies);
  }

  async messages(conversation, { before = Infinity, limit = 50, thread } = {}) {
    const found = [], id = this.resolve(conversation);
    let end = before;
    while (found.length < limit) {
      const rows = thread
        ? await this.#database.find("entries", "thread", [thread, 0], [thread, below(end)], { limit, backwards: true })
        : await this.#database.find("entries", "place", [id, 0], [id, below(end)], { limit, backwards: true });
      found.push(...rows.filter((one) => !this.#state.message(one.conversation, one.order).hidden && !this.#isHiding(one)));
      if (rows.length < limit) break;
      end = rows.at(-1).order;
    }
    if (thread && found.length < limit) {
      const [root] = await this.#find("signal", [thread]);
      if (root && root.order < before) found.push(root);
    }
    return Promise.all(found.slice(0, limit).reverse().map((one) => this.viewWithReplies(one)));
  }

  #isHiding(entry) { return this.#device.waiting.some((row) => row.about === entry.key && row.command.kind === "DELETE_FOR_ME"); }

  /** The lowest place of a conversation that is kept; 0: none. */
  async lowest(conversation) {
    const [first] = await this.#database.find("entries", "place", [conversation, 1], [conversation, WAITING - 1], { limit: 1 });
    return first?.order ?? 0;
  }
  isWhole(conversation) { return this.#rows.get(conversation)?.isWhole ?? false; }
  setWhole(conversation) {
    const row = this.#row(conversation);
    row.isWhole = true;
    this.#keep(row);
  }

  async search(text, { limit = 50 } = {}) {
    const wanted = text.normalize("NFC").toLowerCase(), found = [];
    if (!wanted) return found;
    for (let from = [""]; ; ) { // forwards: a browser reads many at once in this direction alone
      const rows = await this.#database.find("entries", "signal", from, ["~"], { limit: TOGETHER });
      for (const entry of rows) {
        if (!this.#contentOf(entry)?.normalize("NFC").toLowerCase().includes(wanted)) continue;
        found.push(entry);
        if (found.length > limit) found.shift();
      }
      if (rows.length < TOGETHER) break;
      from = [`${rows.at(-1).signal_id} `]; // behind it, and in front of all others
    }
    return Promise.all(found.reverse().map((entry) => this.viewWithReplies(entry)));
  }

  /** The text of a message as it is now; null where it has none, or is not to be shown. */
  #contentOf(entry) {
    const { message } = entry, became = this.#state.message(entry.conversation, entry.order);
    if (message.erased || became.deleted || became.hidden || this.#isHiding(entry) || (entry.expires && entry.expires <= this.#device.now())) return null;
    return payloadText(compareNumbers(message.edited, became.edited) > 0 ? message.payload : (became.payload ?? message.payload));
  }

  async export() {
    const found = await this.#database.find("entries", "log", ["", 0], ["\uffff", Infinity]);
    return found.map((entry) => {
      const { signalId, conversation, author, text, reactions, isDeleted, isHidden, id, replyTo } = this.view(entry);
      return {
        partition: entry.partition, offset: entry.offset, signalId, id, conversation, place: entry.order, author, text, replyTo,
        reactions: reactions.map(({ emoji, eids }) => ({ emoji, eids })), isDeleted, isHidden,
      };
    });
  }

  /** How a conversation is kept, with what is on its way to the server. */
  kept(conversation) {
    const kept = { ...UNSEEN, ...this.#state.get("conversation", [conversation]) };
    for (const { command } of this.#device.waiting) {
      if (command.conversation !== conversation) continue;
      if (command.kind === "ARCHIVE") kept.archived = command.value ?? false;
      if (command.kind === "PIN") kept.pinned = command.value ?? false;
      if (command.kind === "MARK_UNREAD") kept.marked_unread = command.value ?? false;
      if (command.kind === "MARK_READ") kept.marked_unread = false;
      if (command.kind === "MUTE") kept.muted_until = command.until ?? 0;
      if (command.kind === "DRAFT") kept.draft = command.payload ?? "";
    }
    return kept;
  }

  /** A draft of a conversation that the server does not have yet is this device's alone. */
  draft(conversation, text) {
    const row = this.#row(conversation);
    row.draft = text;
    this.#keep(row);
  }

  marker(conversation) { return this.#marker(conversation); }
  newest(conversation) { return this.#rows.get(conversation)?.top ?? 0; }

  inbox(typing = () => []) {
    const now = this.#device.now(), found = [];
    for (const row of this.#rows.values()) {
      const kind = this.kind(row.id), kept = this.kept(row.id), group = this.#state.get("group", [row.id]);
      if (!row.last && !group && !row.draft && !kept.draft) continue;
      const last = row.last ? this.view(row.last) : null, mutedUntil = Number(kept.muted_until ?? 0);
      found.push({
        conversation: row.id,
        kind,
        title: kind === "group" ? (group?.title ?? row.title ?? "") : this.#state.get("contact", [row.peer])?.name || row.peer,
        peer: kind === "group" ? "" : row.peer,
        unread: row.unread,
        mentions: row.mentions,
        marked: kept.marked_unread ?? false,
        muted: mutedUntil > now,
        mutedUntil,
        archived: kept.archived ?? false,
        pinned: kept.pinned ?? false,
        isMember: kind !== "group" || Boolean(group),
        draft: row.draft || payloadText(kept.draft) || "",
        typing: typing(row.id),
        last,
        time: last?.time ?? 0,
      });
    }
    return found.sort((one, other) => Number(other.pinned) - Number(one.pinned) || other.time - one.time || (one.conversation < other.conversation ? -1 : 1));
  }
}

const below = (order) => (order === Infinity ? Infinity : order - 1);

/** A command that waits, as what it will have made of its message. */
function pendingValue(me) {
  return ({ command }) => {
    const { kind, stamp, payload, emoji } = command, nothing = { signal_offset: "0", edited: "0", payload: null, deleted: false, hidden: false, pinned: false, pinned_stamp: "0", forwards: 0, reactions: [] };
    if (kind === "EDIT") return { ...nothing, edited: stamp, payload };
    if (kind === "DELETE_FOR_EVERYONE") return { ...nothing, deleted: true };
    if (kind === "DELETE_FOR_ME") return { ...nothing, hidden: true };
    if (kind === "PIN") return { ...nothing, pinned: command.value ?? false, pinned_stamp: stamp };
    if (kind === "REACT" || kind === "UNREACT") return { ...nothing, reactions: [[me ?? "", emoji, stamp, kind === "UNREACT"]] };
    return nothing;
  };
}
export { pendingValue };

function reactionsOf(reactions, me) {
  const found = new Map();
  for (const [eid, emoji, , removed] of reactions) {
    if (removed) continue;
    if (!found.has(emoji)) found.set(emoji, { emoji, eids: [], mine: false });
    found.get(emoji).eids.push(eid);
    if (eid === me) found.get(emoji).mine = true;
  }
  return [...found.values()];
}

function eventOf({ group_event: group, call_event: call, from }) {
  if (group) return { kind: group.kind, members: group.members ?? [], title: group.title ?? "", role: group.role ?? "", owner: group.owner ?? "", by: from?.eid ?? "" };
  if (call) return { kind: "CALL", call: call.call ?? "", end: call.end ?? "", by: from?.eid ?? "" };
  return null;
}

/** A payload as text; null: it is none. */
export function payloadText(payload) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(fromBase64(payload ?? ""));
  } catch {
    return null;
  }
}

/** A text as a payload. */
export function payloadOf(text) { return toBase64(new TextEncoder().encode(text)); }
