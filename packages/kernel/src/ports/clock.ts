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
