/**
 * The one case in which a cluster of a healed mesh may stand still: all nodes lost power at once in the `replicated` profile, so
 * every voter may have lost what it acknowledged, and before they had a leader again the disk of one was wiped for good. Suspect
 * voters elect only when every voter has answered (reference design, section 1.6), and that one never will. What they have cannot
 * go over to another cluster either, because that takes a leader; a person has to say `skein forget`.
 *
 * A blackout after which the cluster elected a leader excuses nothing, nor does the `disk` profile.
 */

import type { Observation } from "../observations.ts";
import type { Schedule } from "./schedule.ts";

export class Standstill {
  readonly name = "standstill";
  readonly #isReplicated: boolean;
  /** By node; a node that is down counts. */
  readonly #clusterOf = new Map<string, string>();
  /** Clusters that have had no leader since a blackout. */
  #leaderless: ReadonlySet<string> = new Set();

  constructor(schedule: Schedule) {
    this.#isReplicated = schedule.world.durability !== "disk";
  }

  observe(observation: Observation): void {
    const { kind, node = "" } = observation;
    if (kind === "belongs") this.#clusterOf.set(node, observation.to);
    if (kind === "vanished") this.#clusterOf.delete(node);
    if (kind === "leader") this.#leads(this.#clusterOf.get(node));
    if (kind === "blackout") this.#leaderless = new Set(this.#clusterOf.values());
  }

  /** @param voters of the cluster's newest configuration @param present ids of the nodes that the machines bear now */
  isAllowed(cluster: string, voters: readonly string[], present: ReadonlySet<string>): boolean {
    const mayWait = this.#isReplicated && this.#leaderless.has(cluster);
    return mayWait && voters.some((voter) => !present.has(voter));
  }

  #leads(cluster: string | undefined): void {
    this.#leaderless = new Set([...this.#leaderless].filter((other) => other !== cluster));
  }
}
