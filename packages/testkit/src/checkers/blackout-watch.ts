/**
 * Notices when every node has lost its power at once.
 *
 * The `replicated` profile does not promise that what was committed in the last second survives that: the log goes on
 * from what the disks had, so checkers of committed state begin anew. With `durability: disk` they would not.
 *
 * Source: architecture.md section 2, P5.
 */

import type { Observation } from "../observations.ts";

export class BlackoutWatch {
  readonly #running = new Set<string>();

  /** Whether the last running node lost its power with this observation. */
  observe(observation: Observation): boolean {
    const { node } = observation;
    if (node === undefined) return false;
    if (observation.kind === "started") this.#running.add(node);
    if (observation.kind !== "stopped") return false;
    const { how } = observation;
    if (how === "pause" || how === "resume" || !this.#running.delete(node)) return false;
    return how === "power" && this.#running.size === 0;
  }
}
