/** How two clusters of this mesh stand to each other, as a sentence for the operator with what to do next. */

import type { CoordinatorStatus } from "@skein/coordinator";

/** Undefined: no other cluster is in sight. */
export function explainMerge({ merge, foreignCluster }: CoordinatorStatus): string | undefined {
  const other = merge?.other ?? foreignCluster;
  if (other === undefined) return undefined;
  const inSight = `Another cluster (${other}) uses the same mesh name and key`;
  switch (merge?.kind) {
    case "awaitingApproval":
      return `${inSight}. Both have been running for a while, so they do not merge by themselves: if both are yours, run skein merge --approve on a node of either.`;
    case "joining":
      return `This cluster is being merged into another one (${other}): retained messages are held until that is done, and nothing is lost.`;
    case "taking":
      return `Another cluster (${other}) is being merged into this one: ${merge.topics} topics so far.`;
    case "tooMuch":
      return `${inSight}, but what both have retained does not fit into one store: delete retained messages on either side, then they merge.`;
    case "tooNew":
      return `${inSight}, but its nodes run a newer version than these: update the nodes of this side, then they merge.`;
    default:
      return `${inSight}. The two are about to merge.`;
  }
}
