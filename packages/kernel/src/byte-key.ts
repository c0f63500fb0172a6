/**
 * Bytes as keys of a direct-mapped table: where they belong in it, and whether they are those that lie there.
 *
 * Every message looks its topic up by its bytes, so a step takes four of them: a multiplication has to wait for the one before it.
 * Nobody needs to be safe from bytes that collide on purpose: they cost a decode, which they would cost without a table, too.
 *
 * Source: the mixing step of MurmurHash (Austin Appleby), with one multiplication.
 */

const MULTIPLIER = 0x9e3779b1;

/** A whole number in [-2^31, 2^31) of which every bit depends on all of `bytes[from, to)`. */
export function hashOfBytes(bytes: Uint8Array, from: number, to: number): number {
  let hash = to - from;
  let at = from;
  for (; at + 4 <= to; at += 4) {
    const word =
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24);
    hash = mixed(hash ^ word);
  }
  for (; at < to; at++) hash = mixed(hash ^ (bytes[at] as number));
  // What came last has gone up only so far.
  return mixed(hash);
}

/** Whether `known` is what stands in `bytes[from, to)`. */
export function isSameBytes(known: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean {
  if (known.length !== to - from) return false;
  for (let i = 0; i < known.length; i++) if (known[i] !== bytes[from + i]) return false;
  return true;
}

/** The product moves bits up only; those that decide about the place in a table are the low ones. */
function mixed(value: number): number {
  const product = Math.imul(value, MULTIPLIER);
  return product ^ (product >>> 15);
}
