/**
 * A small seeded generator for choices that must be reproducible: jitter, rotation, backoff.
 *
 * Never used for keys or ids that must be unguessable; those come from the platform's random port.
 * Source: sfc32 (Chris Doty-Humphrey, PractRand), integer arithmetic only.
 */

/** Returns whole numbers in [0, bound). */
export interface Prng {
  /** A whole number in [0, bound). `bound` is 1 to 2^32. */
  below(bound: number): number;
}

/** Makes the generator of `seed` (any number; its low 32 bits count). */
export function seededPrng(seed: number): Prng {
  let a = 0x9e3779b9 | 0;
  let b = seed | 0;
  let c = 0x243f6a88 | 0;
  let counter = 1;
  const next = (): number => {
    const out = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + out;
    return out >>> 0;
  };
  for (let i = 0; i < 12; i++) next();
  return { below: (bound) => Math.floor((next() / 0x1_0000_0000) * bound) };
}
