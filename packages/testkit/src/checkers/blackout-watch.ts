/**
 * Notices when every machine has lost its power at once.
 *
 * The `replicated` profile does not promise that what was committed in the last second survives that: the log goes on
 * from what the disks had, so checkers of committed state begin anew. With `durability: disk` they do not. A node that
 * starts again shows what it knows to be committed, and that may be more than the voters have: of the terms before the
 * blackout (`termBefore`) nothing is for all, until a leader of a later one goes on from it.
 *
 * Who loses its power alone, be it the last one that ran, takes nothing that the others' disks do not have.
 *
 * Source: architecture.md section 2, P5.
 */

import type { Observation } from "../observations.ts";

export type Durability = "replicated" | "disk";

export class BlackoutWatch {
  readonly #durability: Durability;
  #term = 0;
  #termBefore = 0;

  constructor(durability: Durability) {
    this.#durability = durability;
  }

  /** Highest term of an entry that was applied before the last blackout; 0: there was none. */
  get termBefore(): number {
    return this.#termBefore;
  }

  /** Whether all lost their power with this observation, and committed state with it. */
  observe(observation: Observation): boolean {
    if (observation.kind === "applied") this.#term = Math.max(this.#term, observation.term);
    const isBlackout = observation.kind === "blackout" && this.#durability === "replicated";
    if (isBlackout) this.#termBefore = this.#term;
    return isBlackout;
  }
}
