/**
 * The copies of the user's state: what became of messages, who received and read them, how conversations are kept, groups, contacts,
 * settings, devices. `State` merges pages as they come (PROTOCOL.md, StateDelta); what a kind is and how two of its values merge stands
 * in `KINDS`. Values are merged in any order, and as often as one likes, with the same outcome.
 *
 *     const state = new State(ledger, rows);                  // rows: the table `state` of the database
 *     const changed = state.page(page);                       // [{kind, key, value, before}], put into the ledger
 *     state.get("message", ["c1", 7]);  state.all("group");   // from memory
 *
 * Pages join by versions, of which bimip.mjs takes care. A *whole* state (reset … complete) comes page by page too: each value takes the
 * place of what was known of its key, and what was in none of its pages goes at its end. Which these are is told by a generation,
 * which is stored with each value, so that one that is cut begins anew, here as there.
 */

const RECEIPT_KINDS = { 2: "DELIVERED", 3: "READ", 5: "PLAYED" };

/** Compares numbers of 64 bits, which are texts of digits; what is absent is 0. */
export function compareNumbers(one, other) {
  const [left, right] = [String(one ?? 0), String(other ?? 0)];
  return left.length - right.length || (left < right ? -1 : left > right ? 1 : 0);
}

const greater = (one, other) => (compareNumbers(one, other) >= 0 ? one : other);
const stable = (value) => JSON.stringify(value, (_, one) => (one && typeof one === "object" && !Array.isArray(one) ? Object.fromEntries(Object.entries(one).sort()) : one));

/** The value with the greater number under `field`; of equal ones the one whose text is greater, so that order does not matter. */
function newest(field) {
  return (known, arrived) => {
    const order = compareNumbers(known[field], arrived[field]);
    return order > 0 || (order === 0 && stable(known) >= stable(arrived)) ? known : arrived;
  };
}

const versioned = (key) => ({ key, value: (item) => item, merge: newest("version") });

const receipts = {
  key: (item) => {
    const kind = RECEIPT_KINDS[item.kind] ?? item.kind;
    return Object.values(RECEIPT_KINDS).includes(kind) ? [item.conversation, Number(item.block ?? 0), item.member ?? "", kind] : null;
  },
  value: (item) => joined((item.runs ?? []).map((run) => [Number(run.from), Number(run.to), Number(run.time ?? 0)])),
  merge: (known, arrived) => joined([...known, ...arrived]),
};

/** Runs apart from each other: where two claim an offset the earliest time wins. A block has 256 offsets. */
function joined(runs) {
  const times = new Map();
  for (const [first, last, time] of runs) {
    if (!(first >= 1) || last - first >= 256) continue; // it reaches beyond a block, so it is none
    for (let at = first; at <= last; at++) times.set(at, Math.min(times.get(at) ?? Infinity, time));
  }
  const found = [];
  for (const [at, time] of [...times].sort((one, other) => one[0] - other[0])) {
    const before = found.at(-1);
    if (before && before[1] === at - 1 && before[2] === time) before[1] = at;
    else found.push([at, at, time]);
  }
  return found;
}

const NOTHING_BECAME = { signal_offset: "0", edited: "0", payload: null, deleted: false, hidden: false, pinned: false, pinned_stamp: "0", forwards: 0, reactions: [] };

const messages = {
  key: (item) => [item.conversation, Number(item.conversation_offset ?? 0)],
  value: (item) => ({
    signal_offset: String(item.signal_offset ?? 0),
    edited: item.deleted ? "0" : String(item.stamp ?? 0),
    payload: item.deleted ? null : (item.payload ?? null),
    deleted: item.deleted ?? false,
    hidden: item.hidden ?? false,
    pinned: item.pinned ?? false,
    pinned_stamp: String(item.pinned_stamp ?? 0),
    forwards: Number(item.forwards ?? 0),
    reactions: item.deleted ? [] : sorted((item.reactions ?? []).map((one) => [one.eid ?? "", one.emoji ?? "", String(one.stamp ?? 0), one.removed ?? false])),
  }),
  merge(known, arrived) {
    const edit = compareNumbers(known.edited, arrived.edited) || ((known.payload ?? "") >= (arrived.payload ?? "") ? 1 : -1);
    const pin = compareNumbers(known.pinned_stamp, arrived.pinned_stamp) || Number(known.pinned) - Number(arrived.pinned);
    const deleted = known.deleted || arrived.deleted, edited = edit >= 0 ? known : arrived, pinned = pin >= 0 ? known : arrived;
    return {
      signal_offset: greater(known.signal_offset, arrived.signal_offset),
      edited: deleted ? "0" : edited.edited,
      payload: deleted ? null : edited.payload,
      deleted,
      hidden: known.hidden || arrived.hidden,
      pinned: pinned.pinned,
      pinned_stamp: pinned.pinned_stamp,
      forwards: Math.max(known.forwards, arrived.forwards),
      reactions: deleted ? [] : sorted([...known.reactions, ...arrived.reactions]),
    };
  },
};

/** Reactions, of each user and emoji the one with the greatest stamp: of equal ones that which takes it back. */
function sorted(reactions) {
  const found = new Map();
  for (const one of reactions) {
    const id = JSON.stringify(one.slice(0, 2)), before = found.get(id);
    const order = before ? compareNumbers(before[2], one[2]) || Number(before[3]) - Number(one[3]) : -1;
    if (order < 0) found.set(id, one);
  }
  return [...found.entries()].sort((one, other) => (one[0] < other[0] ? -1 : 1)).map(([, one]) => one);
}

const devices = {
  key: (item) => [item.name],
  value: (item) => ({ created: Number(item.created ?? 0), stamp: String(item.stamp ?? 0), label: item.label ?? "" }),
  merge(known, arrived) {
    const order = known.created - arrived.created || compareNumbers(known.stamp, arrived.stamp) || (known.label >= arrived.label ? 1 : -1);
    return order >= 0 ? known : arrived;
  },
};

/** By the name of its field in StateItem: `key` of a value that came (null: of a later version), `value` as it is kept, and `merge`. */
export const KINDS = {
  receipts,
  private_receipts: receipts,
  message: messages,
  read_marker: { key: (item) => [item.conversation], value: (item) => Number(item.conversation_offset ?? 0), merge: Math.max },
  conversation: versioned((item) => [item.id]),
  group: { key: (item) => [item.id], value: (item) => item, merge: newest("conversation_offset") },
  contact: versioned((item) => [item.eid]),
  settings: versioned(() => []),
  privacy_exception: versioned((item) => [item.eid]),
  intent: versioned(() => []),
  location_share: versioned((item) => [item.to?.eid ?? "", item.conversation ?? ""]),
  device: devices,
};

export class State {
  #ledger; #kinds = new Map(Object.keys(KINDS).map((kind) => [kind, new Map()]));
  #generation = 0; #isWhole = false;

  constructor(ledger, rows = []) {
    this.#ledger = ledger;
    for (const row of rows) {
      this.#kinds.get(row.kind)?.set(id(row.key), row);
      this.#generation = Math.max(this.#generation, row.generation);
    }
  }

  get(kind, key) { return this.#kinds.get(kind).get(id(key))?.value; }
  /** All of a kind, as {key, value}. */
  all(kind) { return [...this.#kinds.get(kind).values()]; }

  /** A new connection: a whole state that the last one began is not continued on it. */
  connected() { this.#isWhole = false; }

  /** Merges a page, and returns what changed. */
  page(page) {
    const isPage = page.reset || page.upto !== undefined;
    if (page.reset) {
      this.#isWhole = true;
      this.#generation++;
    }
    const changed = this.items(page.items ?? [], isPage && this.#isWhole);
    if (isPage && this.#isWhole && page.complete) {
      this.#isWhole = false;
      for (const [kind, rows] of this.#kinds) {
        for (const row of [...rows.values()]) if (row.generation < this.#generation) changed.push(this.#drop(kind, row.key));
      }
    }
    return changed;
  }

  /** Merges items of any version, such as those beside messages that were fetched. `isWhole`: each is all that there is of its key. */
  items(items, isWhole = false) {
    const changed = [];
    for (const item of items) {
      const kind = Object.keys(KINDS).find((one) => item[one] !== undefined);
      const key = kind && KINDS[kind].key(item[kind]);
      if (!key) continue; // a later version's
      if (item.removed) changed.push(this.#drop(kind, key));
      else changed.push(this.put(kind, key, KINDS[kind].value(item[kind]), isWhole));
    }
    return changed.filter(Boolean);
  }

  /** Merges a value as it is kept. Returns what changed, or null. */
  put(kind, key, arrived, isWhole = false) {
    const before = this.get(kind, key);
    const value = before === undefined || isWhole ? arrived : KINDS[kind].merge(before, arrived);
    const row = { id: `${kind}\n${id(key)}`, kind, key, value, generation: this.#generation };
    this.#kinds.get(kind).set(id(key), row);
    this.#ledger.put("state", row);
    return stable(before) === stable(value) ? null : { kind, key, value, before };
  }

  #drop(kind, key) {
    const rows = this.#kinds.get(kind), row = rows.get(id(key));
    if (!row) return null;
    rows.delete(id(key));
    this.#ledger.drop("state", row.id);
    return { kind, key, value: undefined, before: row.value };
  }

  // What is asked of it.

  /** What became of a message; `more`: values that are not known to the server yet, merged on top. */
  message(conversation, place, more = []) {
    return more.reduce(messages.merge, (place && this.get("message", [conversation, place])) || NOTHING_BECAME);
  }

  /** Who received and read a message: {delivered: [eid], read: [eid]}. READ implies DELIVERED, PLAYED implies READ. */
  receiptsOf(conversation, place) {
    const found = { delivered: new Set(), read: new Set() };
    if (place) {
      const block = Math.floor((place - 1) / 256);
      for (const member of this.#membersWithReceipts(conversation, block)) {
        for (const kind of ["DELIVERED", "READ", "PLAYED"]) {
          const runs = this.get("receipts", [conversation, block, member, kind]) ?? [];
          if (!runs.some(([first, last]) => first <= place && place <= last)) continue;
          found.delivered.add(member);
          if (kind !== "DELIVERED") found.read.add(member);
        }
      }
    }
    return { delivered: [...found.delivered].sort(), read: [...found.read].sort() };
  }

  #membersWithReceipts(conversation, block) { // few: a table of their own is not worth it but for large histories
    const rows = this.#kinds.get("receipts");
    if (this.#receiptCount !== rows.size) {
      this.#receiptCount = rows.size;
      this.#receiptMembers.clear();
      for (const { key: [of, at, member] } of rows.values()) {
        const place = `${of}\n${at}`;
        if (!this.#receiptMembers.has(place)) this.#receiptMembers.set(place, new Set());
        this.#receiptMembers.get(place).add(member);
      }
    }
    return this.#receiptMembers.get(`${conversation}\n${block}`) ?? [];
  }
  #receiptCount = 0; #receiptMembers = new Map();
}

const id = (key) => JSON.stringify(key);
