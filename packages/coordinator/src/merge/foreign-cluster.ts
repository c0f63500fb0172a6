/** Other clusters of this mesh in sight: found in the member list. */

import type { ClusterId } from "@skein/kernel";
import type { PeerView } from "../options.ts";

/** A formed cluster other than `cluster` among living members; undefined while this node is fresh. */
export function foreignClusterIn(
  peers: readonly PeerView[],
  cluster: ClusterId | undefined,
): ClusterId | undefined {
  if (cluster === undefined) return undefined;
  return peers.find(
    (peer) => peer.state === "alive" && peer.cluster !== undefined && peer.cluster !== cluster,
  )?.cluster;
}

/** All such clusters of which a living member is linked, sorted. */
export function foreignClustersIn(
  peers: readonly PeerView[],
  cluster: ClusterId | undefined,
): readonly ClusterId[] {
  const found = new Set<ClusterId>();
  for (const { state, isLinked, cluster: theirs } of peers)
    if (state === "alive" && isLinked && theirs !== undefined && theirs !== cluster) found.add(theirs);
  return [...found].sort();
}
