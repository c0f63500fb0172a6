/**
 * Notices when every node has lost its power at once.
 *
 * The `replicated` profile does not promise that what was committed in the last second survives that: the log goes on
 * from what the disks had, so checkers of committed state begin anew. With `durability: disk` they do not.
 *
 * Source: architecture.md section 2, P5.
 */

import type { Observation } from "../observations.ts";

export type Durability = "replicated" | "disk";

export class BlackoutWatch {
  readonly #durability: Durability;
  readonly #running = new Set<string>();

  constructor(durability: Durability) {
    this.#durability = durability;
  }

  /** Whether the last running node lost its power with this observation, and committed state with it. */
  observe(observation: Observation): boolean {
    const { node } = observation;
    if (node === undefined) return false;
    if (observation.kind === "started") this.#running.add(node);
    if (observation.kind !== "stopped") return false;
    const { how } = observation;
    if (how === "pause" || how === "resume" || !this.#running.delete(node)) return false;
    return how === "power" && this.#running.size === 0 && this.#durability === "replicated";
  }
}
