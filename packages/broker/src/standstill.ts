/**
 * Notices that this process has stood still: it was stopped or frozen, or its machine gave it no time.
 *
 * What lies unread then is as old as the standstill. Nobody's silence says anything before that has been read; and a CONNECT that has lain
 * there may be one that its client has given up, to be elsewhere since. It says nothing of when it was sent. Taken now it would count as the newest, end
 * the connection that the client has, and have its will published.
 */

import type { MonotonicMs } from "@skein/kernel";

/** A gap between ticks from which on this process must have stood still. */
const GAP_MS = 2_000;
/** What came meanwhile has been read by then: no more connections wait to be accepted than the system keeps for a listener. */
const READ_AFTER_MS = 500;

export class Standstill {
  #lastTick: number;
  /** Who is never ticked cannot tell. */
  #isTicked = false;
  #endedAt = Number.NEGATIVE_INFINITY;

  constructor(now: MonotonicMs) {
    this.#lastTick = now;
  }

  /** Call it about every 250 ms. Whether the process has stood still since the last call. */
  tick(now: MonotonicMs): boolean {
    const hasStoodStill = now - this.#lastTick > GAP_MS;
    this.#lastTick = now;
    this.#isTicked = true;
    if (hasStoodStill) this.#endedAt = now;
    return hasStoodStill;
  }

  /** What is read now may have lain here while the process stood still; also where the tick that says so has still to come. */
  mayBeOld(now: MonotonicMs): boolean {
    if (!this.#isTicked) return false;
    return now - this.#lastTick > GAP_MS || now - this.#endedAt < READ_AFTER_MS;
  }
}
