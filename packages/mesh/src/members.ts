/**
 * Who is in the mesh, as this node sees it.
 *
 * Vocabulary: SWIM (Das, Gupta, Motivala 2002): alive, suspect, dead, left, incarnation.
 */

import type { ClusterId, Incarnation, MonotonicMs, NodeId } from "@skein/kernel";

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
  /** 16 hexadecimal digits that nodes on one machine share; empty: unknown. */
  readonly machine: string;
  /** Its network is a cable, not Wi-Fi; undefined: unknown. */
  readonly isWired: boolean | undefined;
  /** Of its disk flushes 99 % take no longer than this; 0: unknown. */
  readonly flushP99Ms: number;
  /** Where its clients and its admin API are reached from other machines; 0: they are not. */
  readonly mqttPort: number;
  readonly httpPort: number;
}

/** What is known of a node that has said nothing but its name. */
export function factsOfNewcomer(name: string): NodeFacts {
  return {
    name,
    cluster: undefined,
    role: "learner",
    clients: 0,
    holdsAddress: false,
    machine: "",
    isWired: undefined,
    flushP99Ms: 0,
    mqttPort: 0,
    httpPort: 0,
  };
}

/** A row of the member list. The node itself is always in the list, alive. */
export interface Member extends NodeFacts {
  readonly id: NodeId;
  readonly incarnation: Incarnation;
  readonly state: MemberState;
  /** `host:port` of its link listener; empty for this node itself. */
  readonly address: string;
  /** A link to it is up right now, directly or through a third node. */
  readonly isLinked: boolean;
  /** When that link came up, be it in place of another one; undefined: there is none. */
  readonly linkedAt: MonotonicMs | undefined;
  /** That link goes through a third node. */
  readonly isRelayed: boolean;
  readonly relay: NodeId | undefined;
  /** Time to it and back, measured on the link; undefined while there is none, and for this node itself. */
  readonly rttMs: number | undefined;
  /** How long its process had been running when this list was made; 0: unknown. */
  readonly uptimeMs: number;
  /** The newest version of the protocol it speaks. */
  readonly protocolVersion: number;
}
