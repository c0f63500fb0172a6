/**
 * How long this disk takes to force data to the medium, as it really happens: a small histogram with a memory that fades.
 *
 * Buckets double, from below 1 ms to above 16 s, so the answer is right within a factor of two, which is all that a choice
 * between disks needs. When {@link COUNT_MAX} flushes are in, all counts are halved: a card that recovers is trusted again
 * after some minutes.
 */

import type { Clock } from "@skein/kernel";

const BUCKETS = 16;
const COUNT_MAX = 512;
/** Fewer say nothing about the slowest hundredth. */
const COUNT_MIN = 20;

export class FlushTimes {
  readonly #clock: Pick<Clock, "monotonicMs"> | undefined;
  /** Bucket b counts what took less than 2^b ms, and not less than half of that. */
  readonly #counts = new Uint16Array(BUCKETS);
  #count = 0;

  constructor(clock: Pick<Clock, "monotonicMs"> | undefined) {
    this.#clock = clock;
  }

  /** When a flush starts; give it to {@link ended}. */
  begun(): number {
    return this.#clock?.monotonicMs() ?? 0;
  }

  ended(begunAt: number): void {
    if (this.#clock === undefined) return;
    this.add(this.#clock.monotonicMs() - begunAt);
  }

  add(tookMs: number): void {
    const bucket = tookMs < 1 ? 0 : Math.min(BUCKETS - 1, Math.floor(Math.log2(tookMs)) + 1);
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
    if (++this.#count < COUNT_MAX) return;
    this.#count = 0;
    for (let at = 0; at < BUCKETS; at++) {
      const half = (this.#counts[at] as number) >> 1;
      this.#counts[at] = half;
      this.#count += half;
    }
  }

  /** Of the flushes 99 % took less than this; 0: there were too few to say. */
  get p99Ms(): number {
    if (this.#count < COUNT_MIN) return 0;
    let above = this.#count * 0.01;
    for (let at = BUCKETS - 1; at > 0; at--) {
      above -= this.#counts[at] as number;
      if (above < 0) return 2 ** at;
    }
    return 1;
  }
}
