/**
 * Commands on their way out: what is to be done to messages and conversations, kept and sent as messages are, over connections and
 * reloads. A command may be about a message that waits itself, so it is sent when all messages that were written before it have their answers.
 *
 *     const commands = new Commands({ ledger, rows, store, client: () => client, onDone, onRefused });
 *     commands.add({ kind: "REACT", target, emoji: "👍" }, about);   // put into the ledger; `about`: whatever tells what it is about
 *     commands.pump();                                              // sends what may go now
 *     commands.waiting                                              // [{seq, command, about, behind}], in their order
 *
 * Each is stamped behind all that this device has seen (`saw`), by a hybrid logical clock as PROTOCOL.md has it, so that what is done
 * offline takes its place among what others did meanwhile. Each may be sent again under its id, so it stays until there is an answer.
 */

import { newId } from "./bimip.mjs";
import { compareNumbers } from "./state.mjs";

const IN_FLIGHT = 16;
const AGAIN_MS = 1000;
const UNCERTAIN_TRIES = 3; // of a command of which the server cannot say whether it has it
const AGAIN = new Set(["RATE_LIMITED", "STORAGE_FULL", "UNAVAILABLE", "UNKNOWN_OUTCOME"]);
const LAST_COUNTS = new Set(["DRAFT", "MARK_READ"]); // of a conversation: an earlier one that was not sent yet says nothing any more

export class Commands {
  #ledger; #store; #client; #now; #onDone; #onRefused;
  #inFlight = new Set(); #tries = new Map(); #lastSeq = 0; #newest; #timer = null; #pausedUntil = 0;

  constructor({ ledger, rows, newest, store, client, now = Date.now, onDone, onRefused }) {
    Object.assign(this, { waiting: rows.sort((one, other) => one.seq - other.seq) });
    this.#ledger = ledger;
    this.#store = store;
    this.#client = client;
    this.#now = now;
    this.#onDone = onDone;
    this.#onRefused = onRefused;
    this.#lastSeq = Math.max(0, ...rows.map((row) => row.seq));
    this.#newest = newest ?? "0";
  }

  /** Notes a stamp that somebody gave: those of this device come behind it. */
  saw(stamp) { if (stamp && compareNumbers(stamp, this.#newest) > 0) this.#newest = String(stamp); }

  /** The next stamp: 42 bits of milliseconds, 12 of a counter and 10 that are 0. */
  stamp() {
    const now = BigInt(this.#now()) << 22n, seen = BigInt(this.#newest);
    const next = now > seen ? now : ((seen >> 10n) + 1n) << 10n;
    this.#newest = String(next);
    this.#ledger.put("meta", { id: "device", stamp: this.#newest });
    return this.#newest;
  }

  add(command, about) {
    const { kind, conversation } = command;
    if (LAST_COUNTS.has(kind)) {
      for (const row of [...this.waiting]) {
        if (row.command.kind === kind && row.command.conversation === conversation && !this.#inFlight.has(row)) this.#settle(row);
      }
    }
    const row = { seq: ++this.#lastSeq, command: { id: newId(), stamp: this.stamp(), ...command }, about, behind: this.#store.last() };
    this.waiting.push(row);
    this.#ledger.put("commands", row);
    return row;
  }

  /** Sends what may go, where there is a connection. */
  pump() {
    const client = this.#client(), oldest = this.#store.oldest();
    if (!client.isConnected) return;
    const waitMs = this.#pausedUntil - performance.now();
    clearTimeout(this.#timer);
    if (waitMs > 0) {
      this.#timer = setTimeout(() => this.pump(), Math.ceil(waitMs));
      return;
    }
    for (const row of this.waiting) {
      if (this.#inFlight.size >= IN_FLIGHT || row.behind >= oldest) return; // they go in their order
      if (this.#inFlight.has(row)) continue;
      this.#inFlight.add(row);
      client.request("command", row.command).then(
        (answer) => { this.#inFlight.delete(row); this.#answered(row, answer); },
        (error) => { this.#inFlight.delete(row); this.#refused(row, error, client); },
      );
    }
  }

  #answered(row, answer) {
    this.saw(answer.stamp);
    this.#settle(row);
    this.#onDone(row, answer);
    this.pump();
  }

  #refused(row, error, client) {
    if (!client.isConnected) return; // it goes over the next connection
    const tries = (this.#tries.get(row) ?? 0) + 1;
    if (AGAIN.has(error.code) && !(error.code === "UNKNOWN_OUTCOME" && tries >= UNCERTAIN_TRIES)) {
      if (error.code === "UNKNOWN_OUTCOME") this.#tries.set(row, tries);
      this.#pausedUntil = Math.max(this.#pausedUntil, performance.now() + (Number(error.retry_after_ms ?? 0) || AGAIN_MS));
    } else {
      this.#settle(row);
      this.#onRefused(row, error);
    }
    this.pump();
  }

  #settle(row) {
    this.waiting.splice(this.waiting.indexOf(row), 1);
    this.#tries.delete(row);
    this.#ledger.drop("commands", row.seq);
  }

  close() { clearTimeout(this.#timer); }
}
