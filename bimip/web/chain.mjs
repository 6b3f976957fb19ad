/**
 * The chain of a log, as PROTOCOL.md has it ("Snapshots"): whether two copies hold the same up to an offset is one comparison. A browser
 * has no BLAKE2b, so it stands here (RFC 7693, without key), on numbers of 32 bits.
 *
 *     digestOf(message)                         8 bytes: what a message was as it was sent
 *     extended(chain, signalOffset, digest)     16 bytes: the chain behind one more entry
 */

import { fromBase64 } from "./bimip.mjs";

export const START = new Uint8Array(16);

const INITIAL = new Uint32Array([
  0xf3bcc908, 0x6a09e667, 0x84caa73b, 0xbb67ae85, 0xfe94f82b, 0x3c6ef372, 0x5f1d36f1, 0xa54ff53a,
  0xade682d1, 0x510e527f, 0x2b3e6c1f, 0x9b05688c, 0xfb41bd6b, 0x1f83d9ab, 0x137e2179, 0x5be0cd19,
]);
const ORDER = [
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
  [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4], [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
  [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13], [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
  [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11], [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
  [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5], [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];
const MIXED = [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15], [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14]];
const BLOCK = 128;
const state = new Uint32Array(32), words = new Uint32Array(32); // halves of 64 bits, the lower first

/** BLAKE2b of some bytes, of `size` bytes. */
export function blake2b(bytes, size) {
  const hash = INITIAL.slice();
  hash[0] ^= 0x01010000 ^ size;
  const block = new Uint8Array(BLOCK), blocks = Math.max(1, Math.ceil(bytes.length / BLOCK));
  const view = new DataView(block.buffer);
  for (let at = 0; at < blocks; at++) {
    const piece = bytes.subarray(at * BLOCK, (at + 1) * BLOCK);
    block.fill(0);
    block.set(piece);
    for (let word = 0; word < 32; word++) words[word] = view.getUint32(4 * word, true);
    compress(hash, at * BLOCK + piece.length, at === blocks - 1);
  }
  return new Uint8Array(hash.buffer).slice(0, size); // of a machine whose lowest byte comes first, as all are that have a browser
}

function compress(hash, length, isLast) {
  state.set(hash);
  state.set(INITIAL, 16);
  state[24] ^= length; // of less than 2^32 bytes
  if (isLast) {
    state[28] = ~state[28];
    state[29] = ~state[29];
  }
  for (let round = 0; round < 12; round++) {
    const order = ORDER[round % 10];
    for (let step = 0; step < 8; step++) mix(MIXED[step], 2 * order[2 * step], 2 * order[2 * step + 1]);
  }
  for (let at = 0; at < 16; at++) hash[at] ^= state[at] ^ state[at + 16];
}

function mix([a, b, c, d], x, y) {
  add(2 * a, state[2 * b], state[2 * b + 1]);
  add(2 * a, words[x], words[x + 1]);
  turn(2 * d, 2 * a, 32);
  add(2 * c, state[2 * d], state[2 * d + 1]);
  turn(2 * b, 2 * c, 24);
  add(2 * a, state[2 * b], state[2 * b + 1]);
  add(2 * a, words[y], words[y + 1]);
  turn(2 * d, 2 * a, 16);
  add(2 * c, state[2 * d], state[2 * d + 1]);
  turn(2 * b, 2 * c, 63);
}

function add(at, low, high) {
  const sum = state[at] + low;
  state[at + 1] += high + (sum > 0xffffffff ? 1 : 0);
  state[at] = sum;
}

/** state[at] = (state[at] ^ state[other]), turned to the right. */
function turn(at, other, by) {
  const low = state[at] ^ state[other], high = state[at + 1] ^ state[other + 1];
  if (by === 32) [state[at], state[at + 1]] = [high, low];
  else if (by === 63) [state[at], state[at + 1]] = [(low << 1) | (high >>> 31), (high << 1) | (low >>> 31)];
  else [state[at], state[at + 1]] = [(low >>> by) | (high << (32 - by)), (high >>> by) | (low << (32 - by))];
}

/** The chain behind one more entry. `signalOffset` is a text of digits or a BigInt. */
export function extended(chain, signalOffset, digest) {
  const bytes = new Uint8Array(32);
  bytes.set(chain);
  new DataView(bytes.buffer).setBigUint64(16, BigInt(signalOffset));
  bytes.set(digest, 24);
  return blake2b(bytes, 16);
}

/** The digest of a message in ProtoJSON: the one that it carries, else made of its content. It may name no devices. */
export function digestOf(message) {
  if (message.digest) return fromBase64(message.digest);
  const payload = fromBase64(message.payload ?? ""), to = (message.to?.eid ?? "").normalize("NFC");
  const texts = [to, message.partition ?? "", message.encryption_type ?? "", message.encrypted ?? ""];
  const written = new TextEncoder().encode(texts.join("")), bytes = new Uint8Array(28 + written.length + payload.length), view = new DataView(bytes.buffer);
  view.setBigInt64(0, BigInt(message.type ?? 0), true);
  texts.forEach((text, at) => view.setUint32(8 + 4 * at, [...text].length, true));
  view.setUint32(24, payload.length, true);
  bytes.set(written, 28);
  bytes.set(payload, 28 + written.length);
  return blake2b(bytes, 8);
}
