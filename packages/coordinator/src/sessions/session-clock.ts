/**
 * What time it is for sessions and retained messages between two entries of the log: what the log says (session-time.ts), and since its newest
 * entry came here the monotonic clock of this node. No wall clock moves it, and without a quorum it goes on all the same.
 */

import type { Clock } from "@skein/kernel";
import type { StateMachine } from "../state-machine/state-machine.ts";

export class SessionClock {
  readonly #clock: Clock;
  readonly #machine: StateMachine;
  /** Stamp of the newest entry, and when it came here (monotonic, ms). */
  #newest = 0;
  #since = 0;

  constructor(clock: Clock, machine: StateMachine) {
    this.#clock = clock;
    this.#machine = machine;
  }

  /** SessionTime, ms. */
  get now(): number {
    this.observe();
    const sinceMs = Math.floor(this.#clock.monotonicMs() - this.#since);
    return this.#machine.sessions.time.elapsed + Math.max(0, sinceMs);
  }

  /** The log may have come further. */
  observe(): void {
    if (this.#machine.newest === this.#newest) return;
    this.#newest = this.#machine.newest;
    this.#since = this.#clock.monotonicMs();
  }
}
