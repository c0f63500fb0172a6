/** Replicas that do not hold what they should, in words for the operator. */

import type { Log, NodeId } from "@skein/kernel";
import type { ReplicaFault } from "./driver.ts";

export function logReplicaFault(log: Log, self: NodeId, fault: ReplicaFault): void {
  const { index } = fault;
  if (fault.kind === "contradicted") {
    const { leader } = fault;
    log.error(
      { leader, index },
      "the cluster has lost committed writes that this node has; it takes over the rest",
    );
  } else if (fault.server === self) {
    log.error(
      { index },
      "this replica differs from what the others agree on and neither votes nor leads; remove its journal and restart",
    );
  } else {
    log.error({ node: fault.server, index }, "a replica differs from what the others agree on");
  }
}
