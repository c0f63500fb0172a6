/**
 * What time it is for sessions and retained messages on this node: what the log says (session-time.ts), and the monotonic clock of this node for
 * what has passed since. No wall clock moves it, and without a quorum it goes on all the same.
 *
 * A replica that catches up comes to entries that are old already. So an entry counts from when it was written, not from when it came here:
 * by a clock of its own that knows the stamps of the log alone (hybrid-clock.ts), and that no entry sets back.
 */

import type { Clock } from "@skein/kernel";
import { HybridClock, msOfStamp } from "../hybrid-clock.ts";
import type { StateMachine } from "../state-machine/state-machine.ts";

export class SessionClock {
  readonly #clock: Clock;
  readonly #machine: StateMachine;
  /** What time it is in the log. */
  #log = new HybridClock();
  /** Stamp of the newest entry. */
  #newest = 0;

  constructor(clock: Clock, machine: StateMachine) {
    this.#clock = clock;
    this.#machine = machine;
  }

  /** SessionTime, ms. */
  get now(): number {
    this.observe();
    const { newest, sessions } = this.#machine;
    const estimate = this.#log.estimate(this.#clock.monotonicMs());
    return sessions.time.elapsed + msOfStamp(estimate) - msOfStamp(newest);
  }

  /** The log may have come further. */
  observe(): void {
    const { newest } = this.#machine;
    if (newest === this.#newest) return;
    // The state is that of another cluster now, with a time of its own.
    if (newest < this.#newest) this.#log = new HybridClock();
    this.#newest = newest;
    this.#log.observe(newest, this.#clock.monotonicMs());
  }
}
