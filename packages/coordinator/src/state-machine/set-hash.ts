/**
 * A hash of a set that follows every change of it in constant time: the sum of its items' hashes, modulo 2^48.
 *
 * Equal sets have equal sums, in whatever order they were made. It finds accidents, not attackers: those hold the mesh key.
 * 2^48, because sums of two stay exact in a double.
 *
 * Source: Clarke et al., "Incremental Multiset Hash Functions" (AdHash), ASIACRYPT 2003; FNV-1a; MurmurHash3 `fmix32`.
 */

const MODULUS = 2 ** 48;

/** The hash of one item, a whole number in [0, 2^48). */
export function itemHash(bytes: Uint8Array): number {
  let a = 0x811c9dc5 | 0;
  let b = 0x9e3779b9 | 0;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    a = Math.imul(a ^ byte, 0x01000193);
    b = Math.imul(b ^ byte, 0x85ebca6b) ^ (a >>> 15);
  }
  return mix(a) * 0x10000 + (mix(b ^ bytes.length) >>> 16);
}

export class SetHash {
  #sum = 0;

  get value(): number {
    return this.#sum;
  }

  add(item: number): void {
    this.#sum = (this.#sum + item) % MODULUS;
  }

  remove(item: number): void {
    this.#sum = (this.#sum + MODULUS - item) % MODULUS;
  }
}

function mix(value: number): number {
  let mixed = value ^ (value >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
