/**
 * Who is in the mesh, as this node sees it.
 *
 * Vocabulary: SWIM (Das, Gupta, Motivala 2002): alive, suspect, dead, left, incarnation.
 */

import type { ClusterId, Incarnation, NodeId } from "@skein/kernel";

export type MemberState = "alive" | "suspect" | "dead" | "left";

/** What each node tells all others about itself. Only the node itself writes these; they spread by gossip. */
export interface NodeFacts {
  /** Human name, unique only by convention. */
  readonly name: string;
  /** The cluster (Raft group) it belongs to; undefined while it is fresh and belongs to none. */
  readonly cluster: ClusterId | undefined;
  /** Its part in the cluster. A fresh node is a learner. */
  readonly role: "leader" | "voter" | "learner";
  /** MQTT clients connected to it. */
  readonly clients: number;
  /** It holds the floating address right now. */
  readonly holdsAddress: boolean;
}

/** A row of the member list. The node itself is always in the list, alive. */
export interface Member extends NodeFacts {
  readonly id: NodeId;
  readonly incarnation: Incarnation;
  readonly state: MemberState;
  /** `host:port` of its link listener; empty for this node itself. */
  readonly address: string;
  /** A link to it is up right now. */
  readonly isLinked: boolean;
}
