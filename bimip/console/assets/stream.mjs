// The tree as it changes: one request that goes on, a JSON line for each difference. It is asked anew when the page
// looks at something else, and with back-off when it breaks; the first line of each has all that is looked at.

import { watch } from "./session.mjs";

const SILENCE_MS = 25_000; // the server says something every ten seconds
const AGAIN_MS = [500, 1000, 2000, 5000, 10_000];

export class Stream {
  #abort = null;
  #failures = 0;
  #timer = 0;
  #query = "";

  /** `onLine(line, isFirst)`; `onState("live" | "lost", why)`; `onRefused(error)` where the page may not look any more. */
  constructor({ onLine, onState, onRefused }) {
    Object.assign(this, { onLine, onState, onRefused });
  }

  look(query) {
    this.stop();
    this.#query = query;
    this.#run(query);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#abort?.abort();
    this.#abort = null;
  }

  async #run(query) {
    const abort = (this.#abort = new AbortController());
    let why;
    try {
      const response = await watch(query, abort.signal);
      await this.#read(response.body.getReader(), abort);
    } catch (error) {
      if (this.#abort !== abort) return;
      if (error.status === 401) return this.onRefused(error);
      if (error.status) why = error.message;
    }
    if (this.#abort !== abort) return;
    this.onState("lost", why);
    this.#timer = setTimeout(() => this.look(this.#query), AGAIN_MS[Math.min(this.#failures++, AGAIN_MS.length - 1)]);
  }

  async #read(reader, abort) {
    const decoder = new TextDecoder();
    let text = "", isFirst = true, watchdog = 0;
    try {
      for (;;) {
        clearTimeout(watchdog);
        watchdog = setTimeout(() => reader.cancel(), SILENCE_MS);
        const { value, done } = await reader.read();
        if (done || this.#abort !== abort) return;
        const lines = (text += decoder.decode(value, { stream: true })).split("\n");
        text = lines.pop();
        for (const line of lines) {
          this.onLine(JSON.parse(line), isFirst);
          isFirst = false;
          this.#failures = 0;
          this.onState("live");
        }
      }
    } finally {
      clearTimeout(watchdog);
    }
  }
}
