/**
 * Damages bytes the way broken clients, bad cables and attackers do: at random places, and at those that matter to MQTT
 * (first byte, lengths, identifiers).
 */

import type { Draws } from "./draws.ts";

/** Values at the borders of bytes, variable byte integers and two-byte lengths. */
const INTERESTING = [0x00, 0x01, 0x7f, 0x80, 0x81, 0xc0, 0xed, 0xf4, 0xfe, 0xff];

type Mutation = (draws: Draws, bytes: Uint8Array) => Uint8Array;

const MUTATIONS: readonly Mutation[] = [
  // One bit is wrong.
  (draws, bytes) => replaced(bytes, draws.below(bytes.length), (old) => old ^ (1 << draws.below(8))),
  // One byte is wrong.
  (draws, bytes) => replaced(bytes, draws.below(bytes.length), () => draws.of(INTERESTING)),
  (draws, bytes) => replaced(bytes, draws.below(bytes.length), () => draws.below(256)),
  // A length near the front is wrong.
  (draws, bytes) =>
    replaced(bytes, Math.min(draws.below(4), bytes.length - 1), (old) => old + draws.of([-1, 1, 2, 128])),
  // Bytes are missing.
  (draws, bytes) => {
    const at = draws.below(bytes.length);
    return joined(bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + 1 + draws.below(4))));
  },
  (draws, bytes) => bytes.subarray(0, draws.below(bytes.length)),
  // Bytes are too many.
  (draws, bytes) => {
    const at = draws.below(bytes.length + 1);
    return joined(bytes.subarray(0, at), draws.bytes(1 + draws.below(6)), bytes.subarray(at));
  },
  // A part comes twice.
  (draws, bytes) => {
    const at = draws.below(bytes.length);
    const end = at + 1 + draws.below(bytes.length - at);
    return joined(bytes.subarray(0, end), bytes.subarray(at));
  },
];

/** `bytes` with one to three mutations. */
export function mutated(draws: Draws, bytes: Uint8Array): Uint8Array {
  let result = bytes;
  for (let left = draws.mostly([1, 2, 3]); left > 0 && result.length > 0; left--) {
    result = draws.of(MUTATIONS)(draws, result);
  }
  return result;
}

/** `bytes` cut into chunks, as networks do. */
export function cut(draws: Draws, bytes: Uint8Array): Uint8Array[] {
  if (draws.oneIn(2)) return [bytes];
  if (bytes.length < 60 && draws.oneIn(4)) return Array.from(bytes, (byte) => Uint8Array.of(byte));
  const at = draws.below(bytes.length + 1);
  return [bytes.subarray(0, at), bytes.subarray(at)];
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function replaced(bytes: Uint8Array, at: number, by: (old: number) => number): Uint8Array {
  const result = bytes.slice();
  result[at] = by(bytes[at] ?? 0);
  return result;
}
