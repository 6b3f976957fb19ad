// The client that the server has for pages and Node, bimip.mjs, as a client under test: node bimip_mjs.mjs. It obeys the kit's lines (../README.md).

import { createInterface } from "node:readline";
import { connect, fileStore, textOf } from "../../web/bimip.mjs";

const { BIMIP_URL, BIMIP_TOKEN, BIMIP_STORE, BIMIP_PARTITIONS, BIMIP_BACKOFF_MS = "15000" } = process.env;
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const random = Math.random, share = Math.min(1, Number(BIMIP_BACKOFF_MS) / 1000);
Math.random = () => random() * share; // it draws its waits so, and the kit would have short ones

// What a program keeps: the messages by their signal ids, and the state, of which read markers are enough here.
let client, epoch = "0", whole = null;
const markers = new Map();

function open() {
  client = connect(BIMIP_URL, {
    token: BIMIP_TOKEN,
    partitions: BIMIP_PARTITIONS.split(","),
    store: fileStore(`${BIMIP_STORE}/client.json`),
    onMessage: (message) => {
      const { partition, user_offset: offset, signal_id, id, from } = message;
      say({ shown: { partition, offset: Number(offset), signal_id, id, from: from.eid, text: textOf(message) } });
    },
    onGap: ({ partition, from, to, reason }) => say({ gap: { partition, from: Number(from), to: Number(to), reason } }),
    onConnected: (hello) => {
      if (epoch !== "0" && epoch !== hello.epoch) say({ reset: { epoch: hello.epoch } });
      epoch = hello.epoch;
    },
    onSent: ({ id, signal_id }) => say({ sent: { id, signal_id } }),
    onRefused: ({ code }, { id }) => say({ refused: { id, code: typeof code === "string" ? code : "INTERNAL" } }),
    onState: takePage,
    onError: (error) => console.error(error),
  });
  client.done.catch(({ code }) => say({ stopped: { code } }));
}

function takePage({ reset, complete, items = [] }) {
  if (reset) whole = new Set();
  for (const { read_marker: marker } of items) if (marker) tell(marker.conversation, Number(marker.conversation_offset ?? 0));
  if (whole === null || !complete) return;
  for (const conversation of markers.keys()) if (!whole.has(conversation)) tell(conversation, 0);
  whole = null;
}

function tell(conversation, upto) {
  whole?.add(conversation);
  if (upto) markers.set(conversation, upto);
  else markers.delete(conversation);
  say({ marker: { conversation, upto } });
}

open();
for await (const line of createInterface({ input: process.stdin })) {
  const { do: what, id, to, text, conversation, upto } = JSON.parse(line);
  if (what === "send") client.send({ id, to, text }).catch(() => {}); // onRefused tells it
  else if (what === "read") client.markRead(conversation, upto);
  else if (what === "connect") open();
  else if (what === "quit") break;
}
process.exit(0);
