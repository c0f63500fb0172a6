/**
 * Notices when every node has lost its power at once.
 *
 * The `replicated` profile does not promise that what was committed in the last second survives that: the log goes on
 * from what the disks had, so checkers of committed state begin anew. With `durability: disk` they do not. A node that
 * starts again shows what it knows to be committed, and that may be more than the voters have: of the terms before the
 * blackout (`termBefore`) nothing is for all, until a leader of a later one goes on from it.
 *
 * Source: architecture.md section 2, P5.
 */

import type { Observation } from "../observations.ts";

export type Durability = "replicated" | "disk";

export class BlackoutWatch {
  readonly #durability: Durability;
  readonly #running = new Set<string>();
  #term = 0;
  #termBefore = 0;

  constructor(durability: Durability) {
    this.#durability = durability;
  }

  /** Highest term of an entry that was applied before the last blackout; 0: there was none. */
  get termBefore(): number {
    return this.#termBefore;
  }

  /** Whether the last running node lost its power with this observation, and committed state with it. */
  observe(observation: Observation): boolean {
    const { node } = observation;
    if (node === undefined) return false;
    if (observation.kind === "started") this.#running.add(node);
    if (observation.kind === "applied") this.#term = Math.max(this.#term, observation.term);
    if (observation.kind !== "stopped") return false;
    const { how } = observation;
    if (how === "pause" || how === "resume" || !this.#running.delete(node)) return false;
    const isBlackout = how === "power" && this.#running.size === 0 && this.#durability === "replicated";
    if (isBlackout) this.#termBefore = this.#term;
    return isBlackout;
  }
}
