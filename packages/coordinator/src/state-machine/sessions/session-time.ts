/**
 * How much time has passed for sessions, wills and messages, in ms: as the log tells it, and deaf to clocks that jump.
 *
 * The stamps of the log go forward with the cluster's hybrid clock, which jumps when a leader's wall clock does (a board without a
 * battery that learns what year it is), and when all nodes were off. Neither is time that a client had to come back, or a message to grow old,
 * so a step of more than {@link JUMP_MS} counts as none. A leader that waits for something to become due writes a TICK more often
 * than that.
 */

import { STAMPS_PER_MS, type Stamp } from "../../hybrid-clock.ts";

const JUMP_MS = 300_000;
/** Not 0: what came from an older cluster in a merge may lie before the beginning of this one. */
export const SESSION_START_MS = 2 ** 42;

export class SessionTime {
  #elapsed = SESSION_START_MS;

  /** Of the replicated state, ms. */
  get elapsed(): number {
    return this.#elapsed;
  }

  /** The newest stamp of the state goes from `before` to `after`. */
  advance(before: Stamp, after: Stamp): void {
    this.#elapsed += passedMs(before, after);
  }

  /** The time now, where the state's newest stamp is `newest` and the cluster's clock says `now`. */
  estimate(newest: Stamp, now: Stamp): number {
    return this.#elapsed + passedMs(newest, now);
  }

  restore(elapsed: number): void {
    this.#elapsed = elapsed;
  }
}

/** The first stamp of a state says nothing of how long it took to get there. */
function passedMs(before: Stamp, after: Stamp): number {
  if (before === 0 || after <= before) return 0;
  const ms = Math.floor(after / STAMPS_PER_MS) - Math.floor(before / STAMPS_PER_MS);
  return ms <= JUMP_MS ? ms : 0;
}
