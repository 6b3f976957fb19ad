/**
 * What one device keeps: in IndexedDB (`browserDatabase`), or in memory with the same interface (`memoryDatabase`: Node, tests, a page
 * that is to leave nothing behind). `Ledger` gathers changes and writes what belongs together in one transaction.
 *
 *     const database = await browserDatabase("alice-laptop");
 *     await database.commit([{ table: "entries", value: entry }, { table: "outbox", key: 7 }]);  // all or nothing; without a value it goes
 *     await database.get("entries", key); await database.all("state");
 *     await database.find("entries", "place", ["c1", 10], ["c1", 20], { limit: 50, backwards: true });
 *     await database.count("entries", "place", ["c1", 10], ["c1", 20]);                           // bounds are inclusive
 *     database.close(); await database.erase();
 *
 * Tables. What a key or an index is made of stands in `TABLES`, for both.
 *
 *     entries        messages as they were delivered or are to be sent, with where they stand: one for each, for as long as it is kept
 *     outbox         messages that are not answered, by `seq`: bimip.mjs' outbox
 *     commands       commands that are not answered, by `seq`
 *     state          the copies of the state's values: `{id, kind, key, value, generation}`
 *     conversations  of each conversation what a list shows, with its newest message
 *     links          of entries of the log that are no message here what its chain needs
 *     meta           positions, epoch and version of the state ("client"); the newest stamp ("device")
 */

const VERSION = 1;
const TABLES = {
  entries: {
    key: "key",
    indexes: {
      place: ["conversation", "order"], // a conversation in its order
      theirs: ["theirs", "order"], // what others wrote: `theirs` is the conversation
      signal: ["signal_id"],
      log: ["partition", "offset"], // the log in its order
      thread: ["reply_to", "order"],
      expires: ["expires"],
    },
  },
  outbox: { key: "seq", indexes: {} },
  commands: { key: "seq", indexes: {} },
  state: { key: "id", indexes: {} },
  conversations: { key: "id", indexes: {} },
  links: { key: "id", indexes: { log: ["partition", "offset"] } },
  meta: { key: "id", indexes: {} },
};

/** Opens the database of one device in the browser, and makes it where there is none. */
export async function browserDatabase(name) {
  const opening = indexedDB.open(`bimip:${name}`, VERSION);
  opening.onupgradeneeded = () => {
    for (const [table, { key, indexes }] of Object.entries(TABLES)) {
      const made = opening.result.createObjectStore(table, { keyPath: key });
      for (const [index, fields] of Object.entries(indexes)) made.createIndex(index, fields);
    }
  };
  const opened = await answer(opening);
  opened.onversionchange = () => opened.close(); // another page erases it
  const read = (table, index) => {
    const store = opened.transaction(table, "readonly").objectStore(table);
    return index ? store.index(index) : store;
  };
  return {
    get: (table, key) => answer(read(table).get(key)),
    all: (table) => answer(read(table).getAll()),
    count: (table, index, from, to) => answer(read(table, index).count(IDBKeyRange.bound(from, to))),
    async find(table, index, from, to, { limit = Infinity, backwards = false } = {}) {
      const source = read(table, index), range = IDBKeyRange.bound(from, to);
      if (!backwards) return answer(source.getAll(range, limit === Infinity ? undefined : limit));
      const found = [];
      return new Promise((resolve, reject) => {
        const walking = source.openCursor(range, "prev");
        walking.onerror = () => reject(walking.error);
        walking.onsuccess = () => {
          const cursor = walking.result;
          if (!cursor) return resolve(found);
          found.push(cursor.value);
          if (found.length >= limit) return resolve(found);
          cursor.continue();
        };
      });
    },
    commit(changes) {
      if (!changes.length) return Promise.resolve();
      const tables = [...new Set(changes.map((one) => one.table))];
      const transaction = opened.transaction(tables, "readwrite", { durability: "strict" }); // an ack tells the server that it is on disk
      return new Promise((resolve, reject) => {
        transaction.oncomplete = () => resolve();
        transaction.onabort = () => reject(transaction.error ?? new Error("the transaction was aborted"));
        for (const { table, key, value } of changes) {
          const store = transaction.objectStore(table);
          if (value === undefined) store.delete(key);
          else store.put(value);
        }
      });
    },
    close: () => opened.close(),
    erase() {
      opened.close();
      return answer(indexedDB.deleteDatabase(`bimip:${name}`));
    },
  };
}

function answer(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Makes the same in memory. It lives as long as the program: opened by a second device object it has what the first one wrote. */
export function memoryDatabase() {
  const tables = Object.fromEntries(Object.keys(TABLES).map((name) => [name, new Map()]));
  const between = (table, index, from, to) => {
    const fields = TABLES[table].indexes[index];
    return [...tables[table].values()]
      .map((value) => ({ value, at: fields.map((field) => value[field]) }))
      .filter(({ at }) => at.every((one) => one !== undefined && one !== null)) // as IndexedDB: what has no key is not in the index
      .filter(({ at }) => compare(from, at) <= 0 && compare(at, to) <= 0)
      .sort((one, other) => compare(one.at, other.at))
      .map(({ value }) => structuredClone(value));
  };
  return {
    get: async (table, key) => structuredClone(tables[table].get(key)),
    all: async (table) => [...tables[table].values()].map((one) => structuredClone(one)),
    count: async (table, index, from, to) => between(table, index, from, to).length,
    async find(table, index, from, to, { limit = Infinity, backwards = false } = {}) {
      const found = between(table, index, from, to);
      return (backwards ? found.reverse() : found).slice(0, limit);
    },
    async commit(changes) {
      for (const { table, key, value } of structuredClone(changes)) {
        if (value === undefined) tables[table].delete(key);
        else tables[table].set(value[TABLES[table].key], value);
      }
    },
    close() {},
    async erase() { for (const table of Object.values(tables)) table.clear(); },
  };
}

/** Compares keys as IndexedDB does: numbers before texts, and a shorter list before the longer one that it begins. */
function compare(one, other) {
  for (let at = 0; at < Math.min(one.length, other.length); at++) {
    const [left, right] = [one[at], other[at]];
    if (typeof left !== typeof right) return typeof left === "number" ? -1 : 1;
    if (left < right) return -1;
    if (left > right) return 1;
  }
  return one.length - other.length;
}

/**
 * Gathers changes until `flush` writes them, all of them in one transaction. What is gathered is read by `get` as if it were
 * written. A transaction that fails loses nothing: its changes are written by the next one, under those that came since.
 */
export class Ledger {
  #database; #changes = new Map(); #writing = null; #inWriting = new Map();

  constructor(database) { this.#database = database; }

  put(table, value) { this.#changes.set(`${table}\n${value[TABLES[table].key]}`, { table, value }); }
  drop(table, key) { this.#changes.set(`${table}\n${key}`, { table, key }); }

  async get(table, key) {
    const id = `${table}\n${key}`;
    const change = this.#changes.get(id) ?? this.#inWriting.get(id);
    return change ? change.value : this.#database.get(table, key);
  }

  /** What is gathered of a table and not written yet. */
  gathered(table) {
    return [...new Map([...this.#inWriting, ...this.#changes]).values()].filter((one) => one.table === table && one.value).map((one) => one.value);
  }

  /** Resolves when all that is gathered now is durable. */
  async flush() {
    while (this.#writing) await this.#writing.catch(() => {});
    if (!this.#changes.size) return;
    this.#inWriting = this.#changes;
    this.#changes = new Map();
    this.#writing = this.#database.commit([...this.#inWriting.values()]);
    try {
      await this.#writing;
    } catch (error) {
      this.#changes = new Map([...this.#inWriting, ...this.#changes]);
      throw error;
    } finally {
      this.#writing = null;
      this.#inWriting = new Map();
    }
  }
}

/**
 * Makes of a ledger what bimip.mjs wants as its `store`: places and outbox are written with whatever was gathered beside them, by
 * `commit`. Messages that wait have numbers, in the order in which they were written.
 */
export function clientStore(ledger, database, commit = () => ledger.flush()) {
  const numbers = new Map(); // by id of what waits, ascending
  let last = 0;
  const number = (id) => {
    if (!numbers.has(id)) numbers.set(id, ++last);
    return numbers.get(id);
  };
  return {
    number,
    last: () => last,
    /** Puts a message that waits into the outbox, with what is gathered beside it: it is on the disk with both, or not at all. */
    wait(message) {
      if (written.has(message)) return;
      written.add(message);
      ledger.put("outbox", { seq: number(message.id), message });
    },
    /** The number of the oldest message that waits; Infinity where none does. */
    oldest: () => numbers.values().next().value ?? Infinity,
    async load() {
      await ledger.flush();
      const rows = (await database.all("outbox")).sort((one, other) => one.seq - other.seq);
      numbers.clear();
      for (const { seq, message } of rows) numbers.set(message.id, seq);
      last = Math.max(last, ...numbers.values());
      const kept = await database.get("meta", "client");
      return kept || rows.length ? { ...kept, outbox: rows.map((row) => row.message), recent: [] } : null;
    },
    save({ outbox, recent: _, ...rest }) { // what was shown is known by the entries
      ledger.put("meta", { id: "client", ...structuredClone(rest) });
      const waiting = new Set(outbox.map((message) => message.id));
      for (const [id, seq] of numbers) {
        if (waiting.has(id)) continue;
        ledger.drop("outbox", seq);
        numbers.delete(id);
      }
      for (const message of outbox) this.wait(message);
      return commit();
    },
  };
}

const written = new WeakSet(); // messages that are in a ledger: they do not change
