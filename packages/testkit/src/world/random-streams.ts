/**
 * Randomness of a simulation, split by purpose: each fault and each link draws from a sequence of its own, so that taking one
 * fault out of a schedule does not shift what all others draw. That is what makes shrinking work (reference design, 5.2).
 */

import { type Prng, seededPrng } from "@skein/kernel";

/** The sequence of `purpose` in the world of `seed`. */
export function randomStream(seed: number, purpose: string): Prng {
  return seededPrng(mixText(mix(0x811c9dc5, seed | 0), purpose));
}

/** Adds the 32 bits of `value` to a rolling hash. */
export function mix(hash: number, value: number): number {
  let mixed = Math.imul(hash ^ value, 0x9e3779b1);
  mixed ^= mixed >>> 15;
  mixed = Math.imul(mixed, 0x85ebca77);
  return (mixed ^ (mixed >>> 13)) >>> 0;
}

export function mixText(hash: number, text: string): number {
  let mixed = hash;
  for (let at = 0; at < text.length; at++) mixed = Math.imul(mixed ^ text.charCodeAt(at), 0x01000193);
  return mix(mixed, text.length);
}

export function mixBytes(hash: number, bytes: Uint8Array): number {
  let mixed = hash;
  for (let at = 0; at < bytes.length; at++) mixed = Math.imul(mixed ^ (bytes[at] as number), 0x01000193);
  return mix(mixed, bytes.length);
}

/** True in `perMille` of 1,000 cases. Draws in any case. */
export function chance(prng: Prng, perMille: number): boolean {
  return prng.below(1000) < perMille;
}

/** A whole number from `min` to `max`. */
export function between(prng: Prng, min: number, max: number): number {
  return min + prng.below(max - min + 1);
}

export function pick<Item>(prng: Prng, items: readonly Item[]): Item {
  return items[prng.below(items.length)] as Item;
}
