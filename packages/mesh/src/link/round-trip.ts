/**
 * How long the way to a peer and back takes, measured on its link.
 *
 * One heartbeat in five asks for an echo, of many links one in ten (limits.ts). The median of the last samples is what counts: a peer that was busy once, or a
 * packet that was lost once, does not move it. The time a peer needs to come round to answering is part of it, which
 * is what a voter's answers will take too.
 */

import type { MonotonicMs } from "@skein/kernel";

const SAMPLES_KEPT = 5;

export class RoundTrip {
  readonly #samples: number[] = [];
  #askedMs: MonotonicMs | undefined;
  #isAnswered = true;

  /** The median of the last samples; undefined before the first. */
  get medianMs(): number | undefined {
    const sorted = [...this.#samples].sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)];
  }

  /** Whether an echo was asked for `everyMs` ago or earlier. */
  isDue(now: MonotonicMs, everyMs: number): boolean {
    return this.#askedMs === undefined || now - this.#askedMs >= everyMs;
  }

  asked(now: MonotonicMs): void {
    this.#askedMs = now;
    this.#isAnswered = false;
  }

  /** Returns whether this was an answer that was waited for. */
  answered(now: MonotonicMs): boolean {
    if (this.#isAnswered || this.#askedMs === undefined) return false;
    this.#isAnswered = true;
    this.#samples.push(now - this.#askedMs);
    if (this.#samples.length > SAMPLES_KEPT) this.#samples.shift();
    return true;
  }
}
