/** Choices of one episode, all from one seeded sequence. */

import { type Prng, seededPrng } from "@skein/kernel";

export class Draws {
  readonly #prng: Prng;

  /** Episode `episode` of run `seed` always draws the same. */
  constructor(seed: number, episode: number) {
    this.#prng = seededPrng(Math.imul(seed, 0x9e3779b1) ^ Math.imul(episode + 1, 0x85ebca6b));
  }

  below(bound: number): number {
    return this.#prng.below(bound);
  }

  /** True once in `n`. */
  oneIn(n: number): boolean {
    return this.#prng.below(n) === 0;
  }

  of<T>(items: readonly T[]): T {
    return items[this.#prng.below(items.length)] as T;
  }

  /** One of the first few items for most draws: `items` in the order of how often they are wanted. */
  mostly<T>(items: readonly T[]): T {
    return items[Math.min(this.#prng.below(items.length), this.#prng.below(items.length))] as T;
  }

  bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.#prng.below(256));
  }
}
