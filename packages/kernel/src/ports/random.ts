/** Unguessable randomness, for ids and keys. Choices that need only be fair use the seeded Prng (random.ts). */

export interface RandomSource {
  /** `count` bytes from the operating system's generator. */
  bytes(count: number): Uint8Array;
}
