/**
 * Which of two writes is the later one, where no log has put them in order: a hybrid logical clock.
 *
 * A stamp is a whole number: milliseconds times 1024, and in the low ten bits a count of what happened within one
 * millisecond. Stamps only mean something next to other stamps of the same cluster: how long before "now" a write
 * happened. So a wall clock is believed as little as possible, because a Raspberry Pi without a battery starts in 1970 or
 * ten years off:
 *
 * - The newest stamp in the replicated state, plus the monotonic time since it was seen, is the time of the cluster. It
 *   goes on at the right rate whatever the wall clock says, and never goes back.
 * - Only the leader looks at its wall clock, and only to go forward (after the whole cluster was off, monotonic clocks do
 *   not know for how long). A wall clock in the past changes nothing. One in the future makes the cluster's time jump once;
 *   it then goes on at the right rate, so only what was written before the jump looks older than it is.
 * - Clusters that merge shift the loser's stamps by the difference of their times ({@link shiftOf}), so a clock that is wrong
 *   by the same amount all the time costs nothing, and no stamp is ever ahead of the time of the cluster that holds it.
 *
 * Source: Kulkarni et al., "Logical Physical Clocks" (HLC), OPODIS 2014; reference design, section 4.7.
 */

/** Milliseconds since 1970 times {@link STAMPS_PER_MS}, plus a count below it. */
export type Stamp = number;

export const STAMPS_PER_MS = 1024;
/** In the year 2248. Nothing later is believed. */
export const STAMP_MAX: Stamp = 2 ** 53 - 2 ** 21;
/** Clocks that differ by less are taken as they are: that is the network's delay, or the seconds since the last write. */
const SAME_TIME: Stamp = 300_000 * STAMPS_PER_MS;

export class HybridClock {
  #newest: Stamp = 0;
  /** Monotonic time at which `#newest` was true, in ms. */
  #seenAt = 0;

  /** The state of the cluster holds `stamp`. */
  observe(stamp: Stamp, now: number): void {
    if (stamp > this.estimate(now) && stamp <= STAMP_MAX) this.#set(stamp, now);
  }

  /** What time it is in the cluster; 0: nothing has ever been written that this node knows of. */
  estimate(now: number): Stamp {
    if (this.#newest === 0) return 0;
    const elapsed = Math.max(0, Math.floor(now - this.#seenAt));
    return Math.min(STAMP_MAX, this.#newest + elapsed * STAMPS_PER_MS);
  }

  /** Believes the wall clock if it is ahead. For the leader alone. */
  adoptWall(wallMs: number, now: number): void {
    this.observe(Math.max(0, Math.floor(wallMs)) * STAMPS_PER_MS, now);
  }

  /** A stamp for something that happens now: later than every one before. */
  next(now: number): Stamp {
    const stamp = Math.min(STAMP_MAX, Math.max(this.estimate(now), this.#newest + 1));
    this.#set(stamp, now);
    return stamp;
  }

  #set(stamp: Stamp, now: number): void {
    this.#newest = stamp;
    this.#seenAt = Math.max(this.#seenAt, now);
  }
}

/** The stamp that an event gets in a state whose newest one is `newest`: as proposed, but never at or before that. */
export function stampAfter(newest: Stamp, proposed: Stamp): Stamp {
  return Math.min(STAMP_MAX, Math.max(newest + 1, proposed));
}

/** In ms since 1970, as the cluster's clock had it. */
export function msOfStamp(stamp: Stamp): number {
  return Math.floor(stamp / STAMPS_PER_MS);
}

/** What the stamps of a cluster whose time is `theirs` need to mean the time of one where it is `ours`. */
export function shiftOf(ours: Stamp, theirs: Stamp): Stamp {
  const shift = ours - theirs;
  return Math.abs(shift) <= SAME_TIME ? 0 : shift;
}
