/**
 * Whether all nodes belong to one cluster now. While they do not, each cluster serves a retained set of its own, and what holds for
 * one store is not promised (P8: "merges at heal without losing either side silently").
 *
 * A node that is down counts: its cluster is on its disk, and comes back with it.
 */

import type { Observation } from "../observations.ts";

export class ClusterWatch {
  readonly #clusterOf = new Map<string, string>();
  #isSplit = false;

  get isSplit(): boolean {
    return this.#isSplit;
  }

  /** Whether these nodes belong to different clusters. */
  areApart(a: string | undefined, b: string | undefined): boolean {
    const [one, other] = [this.#clusterOf.get(a ?? ""), this.#clusterOf.get(b ?? "")];
    return one !== undefined && other !== undefined && one !== other;
  }

  /** Returns whether {@link isSplit} has changed. */
  observe(observation: Observation): boolean {
    const { kind, node } = observation;
    if (node === undefined) return false;
    if (kind === "belongs") this.#clusterOf.set(node, observation.to);
    else if (kind === "vanished") this.#clusterOf.delete(node);
    else return false;
    const isSplit = new Set(this.#clusterOf.values()).size > 1;
    if (isSplit === this.#isSplit) return false;
    this.#isSplit = isSplit;
    return true;
  }
}
