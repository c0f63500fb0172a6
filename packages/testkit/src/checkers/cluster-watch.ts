/**
 * Whether the nodes that run belong to one cluster now. While they do not, each cluster serves a retained set of its own, and
 * what holds for one store is not promised (P8: "merges at heal without losing either side silently").
 */

import type { Observation } from "../observations.ts";

export class ClusterWatch {
  readonly #clusterOf = new Map<string, string>();
  #isSplit = false;

  get isSplit(): boolean {
    return this.#isSplit;
  }

  /** Returns whether {@link isSplit} has changed. */
  observe({ kind, node, ...rest }: Observation): boolean {
    if (node === undefined) return false;
    if (kind === "belongs" && "to" in rest) this.#clusterOf.set(node, rest.to);
    else if (kind === "stopped" && "how" in rest && rest.how !== "pause" && rest.how !== "resume")
      this.#clusterOf.delete(node);
    else return false;
    const isSplit = new Set(this.#clusterOf.values()).size > 1;
    if (isSplit === this.#isSplit) return false;
    this.#isSplit = isSplit;
    return true;
  }
}
