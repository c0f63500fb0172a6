/** What this node has said to other clusters and heard from them, and when. Bounded: beyond 64 all is forgotten and heard anew. */

import type { ClusterId } from "@skein/kernel";
import type { Summary } from "./merge-messages.ts";

/** What was heard before that says nothing any more. */
const FRESH_MS = 5000;
export const OTHERS_MAX = 64;

interface OtherCluster {
  summary: Summary | undefined;
  heardAt: number;
  saidAt: number;
}

export class OtherClusters {
  readonly #others = new Map<ClusterId, OtherCluster>();

  of(cluster: ClusterId): OtherCluster {
    let other = this.#others.get(cluster);
    if (other === undefined) {
      if (this.#others.size >= OTHERS_MAX) this.#others.clear();
      other = { summary: undefined, heardAt: Number.NEGATIVE_INFINITY, saidAt: Number.NEGATIVE_INFINITY };
      this.#others.set(cluster, other);
    }
    return other;
  }

  /** Whether anything came from `cluster` lately. */
  isHeard(cluster: ClusterId, now: number): boolean {
    return now - (this.#others.get(cluster)?.heardAt ?? Number.NEGATIVE_INFINITY) < FRESH_MS;
  }

  /** What `cluster` has said of itself, if it was heard lately. */
  freshSummary(cluster: ClusterId, now: number): Summary | undefined {
    return this.isHeard(cluster, now) ? this.#others.get(cluster)?.summary : undefined;
  }
}
