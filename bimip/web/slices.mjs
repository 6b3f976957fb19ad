/**
 * Slices of a log, as devices of one user give them to each other: a `Body` as bytes of protobuf, whose messages are in ProtoJSON here as
 * everywhere. It knows the fields that a slice can have; all others are passed over, as those of a later version.
 *
 *     encodeSlice({ partition, after, upto, messages, passed: [{ offset, signal_offset, digest }] }) -> bytes
 *     decodeSlice(bytes) -> the same. Throws a RangeError for what is no protobuf
 */

import { fromBase64, toBase64 } from "./bimip.mjs";

const IDENTITY = { 1: ["eid", "text"], 2: ["connection_resource_id", "text"], 3: ["node", "text"] };
const MESSAGE = {
  1: ["id", "text"], 2: ["signal_id", "text"], 3: ["from", IDENTITY], 4: ["to", IDENTITY], 5: ["type", "small"], 6: ["timestamp", "number"], 7: ["payload", "bytes"],
  8: ["encryption_type", "text"], 9: ["encrypted", "text"], 10: ["signature", "text"], 11: ["status", "number"], 12: ["signal_offset", "fixed"],
  13: ["user_offset", "fixed"], 14: ["signal_type", "small"], 15: ["partition", "text"], 16: ["devices", "bytes", "many"], 17: ["conversation", "text"],
  18: ["conversation_offset", "number"], 19: ["server_time", "fixed"], 20: ["reply_to", "text"], 21: ["scope", "text"], 22: ["seq", "text"], 24: ["stamp", "fixed"],
  25: ["expires_at", "fixed"], 26: ["mentions", "text", "many"], 27: ["erased", "flag"], 28: ["ttl_ms", "number"], 30: ["edited", "fixed"], 31: ["digest", "bytes"],
};
const PASSED = { 1: ["offset", "number"], 2: ["signal_offset", "fixed"], 3: ["digest", "bytes"] };
const BODY = { 1: ["partition", "text"], 2: ["after", "number"], 3: ["upto", "number"], 5: ["messages", MESSAGE, "many"], 20: ["passed", PASSED, "many"] };
const VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5;

export const encodeSlice = (slice) => Uint8Array.from(encode(slice, BODY));
export const decodeSlice = (bytes) => ({ messages: [], passed: [], ...decode(bytes, BODY) });

function encode(value, fields) {
  const found = [];
  for (const [number, [name, type, isMany]] of Object.entries(fields)) {
    for (const one of isMany ? (value[name] ?? []) : [value[name]]) {
      if (one === undefined || one === null) continue;
      if (type === "text" || type === "bytes" || typeof type === "object") {
        const bytes = type === "text" ? new TextEncoder().encode(one) : type === "bytes" ? fromBase64(one) : encode(one, type);
        if (!bytes.length && !isMany && typeof type !== "object") continue;
        varint(found, BigInt(Number(number) * 8 + LENGTH));
        varint(found, BigInt(bytes.length));
        for (const byte of bytes) found.push(byte);
      } else if (type === "fixed") {
        varint(found, BigInt(Number(number) * 8 + FIXED64));
        let left = BigInt(one);
        for (let at = 0; at < 8; at++, left >>= 8n) found.push(Number(left & 255n));
      } else {
        varint(found, BigInt(Number(number) * 8 + VARINT));
        varint(found, BigInt.asUintN(64, BigInt(one)));
      }
    }
  }
  return found;
}

function varint(found, number) {
  let left = number;
  for (; left > 127n; left >>= 7n) found.push(Number(left & 127n) | 128);
  found.push(Number(left));
}

function decode(bytes, fields) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), found = {};
  let at = 0;
  const number = () => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = view.getUint8(at++);
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return BigInt.asUintN(64, value);
    }
    throw new RangeError("a number without an end");
  };
  while (at < bytes.length) {
    const tag = Number(number()), wire = tag % 8, [name, type, isMany] = fields[Math.floor(tag / 8)] ?? [];
    let value;
    if (wire === VARINT) {
      const read = number();
      value = type === "flag" ? read !== 0n : type === "small" ? Number(BigInt.asIntN(32, read)) : String(read);
    } else if (wire === FIXED64) {
      value = String(view.getBigUint64(at, true));
      at += 8;
    } else if (wire === FIXED32) at += 4;
    else if (wire === LENGTH) {
      const length = Number(number());
      if (at + length > bytes.length) throw new RangeError("a field reaches beyond the end");
      const piece = bytes.subarray(at, at + length);
      at += length;
      if (name) value = type === "text" ? new TextDecoder().decode(piece) : type === "bytes" ? toBase64(piece) : typeof type === "object" ? decode(piece, type) : undefined;
    } else throw new RangeError(`there is no field of the kind ${wire}`);
    if (!name || value === undefined) continue;
    if (isMany) (found[name] ??= []).push(value);
    else found[name] = value;
  }
  return found;
}
