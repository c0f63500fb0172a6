/**
 * A checker of one log for worlds with several: one instance for each cluster, which sees what happens in that cluster and what
 * concerns all.
 *
 * Nodes start before they are known to belong anywhere, so starts and stops concern all.
 */

import type { Checker, Observation } from "../observations.ts";

const COMMON: ReadonlySet<Observation["kind"]> = new Set(["started", "stopped", "blackout", "healed"]);

export class PerCluster implements Checker {
  readonly name: string;
  readonly #make: () => Checker;
  readonly #checkers = new Map<string, Checker>();
  /** What concerns all, for those that come later. */
  readonly #common: Observation[] = [];

  constructor(make: () => Checker) {
    this.#make = make;
    this.name = make().name;
  }

  observe(observation: Observation): void {
    const { kind, cluster } = observation;
    const concernsAll = cluster === undefined || kind === "started" || kind === "stopped";
    if (!concernsAll) {
      this.#of(cluster).observe(observation);
      return;
    }
    if (COMMON.has(kind)) this.#common.push(observation);
    for (const checker of this.#checkers.values()) checker.observe(observation);
  }

  finish(): void {
    for (const checker of this.#checkers.values()) checker.finish?.();
  }

  #of(cluster: string): Checker {
    let checker = this.#checkers.get(cluster);
    if (checker === undefined) {
      checker = this.#make();
      for (const observation of this.#common) checker.observe(observation);
      this.#checkers.set(cluster, checker);
    }
    return checker;
  }
}
