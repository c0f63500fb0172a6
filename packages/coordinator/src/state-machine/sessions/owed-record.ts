/**
 * One message in a slab, `handle u32 | length varint | at, message | perhaps a byte to the next even place`, and the place that says where:
 * number of the slab, and where in it by twos.
 */

import { ByteReader, readU32, SkeinError, writeU32 } from "@skein/kernel";
import type { MessageHandle } from "./owed-messages.ts";

/** Bytes of a slab of the usual kind, and of the largest whose places have 16 bits. */
export const SLAB_BYTES = 128 * 1024;
/** Places by twos in a slab: 16 bits, which leaves 16 for its number, enough for two gigabytes in slabs of the smallest kind. */
export const PLACES = SLAB_BYTES / 2;

export function headerBytes(length: number): number {
  if (length < 0x80) return 5;
  if (length < 0x4000) return 6;
  return length < 0x20_0000 ? 7 : 8;
}

export function recordBytes(length: number): number {
  return (headerBytes(length) + length + 1) & ~1;
}

/** Returns where `length` bytes follow. */
export function writeHeader(bytes: Uint8Array, at: number, handle: MessageHandle, length: number): number {
  writeU32(bytes, at, handle);
  let end = at + 4;
  for (let rest = length; ; rest >>>= 7) {
    bytes[end++] = rest < 0x80 ? rest : (rest & 0x7f) | 0x80;
    if (rest < 0x80) return end;
  }
}

export function lengthAt(bytes: Uint8Array, at: number): number {
  let length = 0;
  for (let next = at + 4, shift = 0; ; shift += 7) {
    const byte = bytes[next++] as number;
    length |= (byte & 0x7f) << shift;
    if (byte < 0x80) return length;
  }
}

/**
 * The length of the message at `at`, which comes from outside.
 * @throws {SkeinError} ERR_SKEIN_MALFORMED: none of `handle` stands there as a whole
 */
export function lengthWithin(bytes: Uint8Array | undefined, at: number, handle: MessageHandle): number {
  if (bytes !== undefined && at + 5 <= bytes.length && readU32(bytes, at) === handle) {
    const input = new ByteReader(bytes, at + 4);
    const length = input.varint();
    if (length > 0 && length <= input.remaining) return length;
  }
  throw new SkeinError("ERR_SKEIN_MALFORMED", "Cannot decode sessions: message");
}

export function packedAt(bytes: Uint8Array, at: number): Uint8Array {
  const length = lengthAt(bytes, at);
  const start = at + headerBytes(length);
  return bytes.subarray(start, start + length);
}

export function numberOf(place: number): number {
  return Math.floor(place / PLACES);
}

export function offsetOf(place: number): number {
  return (place % PLACES) * 2;
}
