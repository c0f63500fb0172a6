/** Time and the turns of the event loop, as the drivers (never the pure cores) see them. */

import type { MonotonicMs } from "../ids.ts";

/** A pending call that can be taken back. */
export interface Timer {
  /** Cancels the call. Harmless when it has already happened. */
  cancel(): void;
}

export interface Clock {
  /** Time since an arbitrary start; never steps. */
  monotonicMs(): MonotonicMs;
  /** Milliseconds since 1970 as this machine believes; may be years off and may jump. For display and expiry only. */
  wallMs(): number;
  /** Calls `callback` once, not before `delayMs` have passed. */
  after(delayMs: number, callback: () => void): Timer;
  /** Calls `callback` once after the input that is waiting now has been read: the place to write gathered output. */
  atTurnEnd(callback: () => void): void;
}

/**
 * Delay until the next multiple of `periodMs` on this clock, in ms. What a node does from time to time it does at such moments,
 * all of it in one wake-up: on a small machine with nothing to do, waking up is most of what it costs.
 */
export function untilNext(clock: Pick<Clock, "monotonicMs">, periodMs: number): number {
  return periodMs - (clock.monotonicMs() % periodMs);
}
