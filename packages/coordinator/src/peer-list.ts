/** Questions to the member list. */

import type { ClusterId, NodeId } from "@skein/kernel";
import type { PeerView } from "./options.ts";

export function isLinkedIn(peers: readonly PeerView[], node: string | undefined): boolean {
  return peers.some((peer) => peer.id === node && peer.isLinked);
}

/** The linked members of `cluster`. */
export function linkedIn(peers: readonly PeerView[], cluster: ClusterId | undefined): readonly NodeId[] {
  return peers.filter((peer) => peer.isLinked && peer.cluster === cluster).map(({ id }) => id);
}

/** Those that are linked and alive. */
export function liveIn(peers: readonly PeerView[]): ReadonlySet<NodeId> {
  return new Set(peers.filter((peer) => peer.state === "alive" && peer.isLinked).map(({ id }) => id));
}
