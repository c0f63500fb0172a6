/**
 * The one case in which a healed mesh may stand still: all nodes lost power at once in the `replicated` profile, so every
 * voter may have lost what it acknowledged, and before they had a leader again the disk of one was wiped for good. Suspect voters
 * elect only when every voter has answered (reference design, section 1.6), and that one never will.
 *
 * A blackout after which a leader was elected excuses nothing, nor does the `disk` profile.
 */

import type { Observation } from "../observations.ts";
import type { Schedule } from "./schedule.ts";

export class Standstill {
  readonly name = "standstill";
  readonly #isReplicated: boolean;
  readonly #running = new Set<string>();
  #isWithoutLeader = false;

  constructor(schedule: Schedule) {
    this.#isReplicated = schedule.world.durability !== "disk";
  }

  observe(observation: Observation): void {
    const { kind, node = "" } = observation;
    if (kind === "started") this.#running.add(node);
    if (kind === "leader") this.#isWithoutLeader = false;
    if (kind !== "stopped" || observation.how === "pause" || observation.how === "resume") return;
    this.#running.delete(node);
    if (observation.how === "power" && this.#running.size === 0) this.#isWithoutLeader = true;
  }

  /** @param voters of the newest configuration @param present ids of the nodes that the machines bear now */
  isAllowed(voters: readonly string[], present: ReadonlySet<string>): boolean {
    return this.#isReplicated && this.#isWithoutLeader && voters.some((voter) => !present.has(voter));
  }
}
