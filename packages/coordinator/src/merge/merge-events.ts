/** What goes into the planner of a merge and what comes out of it (merge-planner.ts). */

import type { ClusterId, Incarnation, NodeId } from "@skein/kernel";
import type { Stamp } from "../hybrid-clock.ts";
import type { ClusterCommand } from "../state-machine/cluster-commands.ts";
import type { Clusters } from "../state-machine/clusters.ts";
import type { Chunk } from "../state-machine/merge-export.ts";
import type { MergeMessage, Summary } from "./merge-messages.ts";

/** What this node knows of its own cluster now. */
export interface OwnCluster {
  readonly cluster: ClusterId;
  /** It leads, and an entry of its term is committed. */
  readonly isLeader: boolean;
  readonly hasLeader: boolean;
  readonly clusters: Pick<Clusters, "dissolution" | "merging" | "ageMinutes" | "isApproved" | "row">;
  readonly summary: Omit<Summary, "isApproved" | "offers" | "dissolution" | "ageMinutes">;
  /** What time it is (hybrid-clock.ts). */
  readonly time: Stamp;
  /** The wall clock has just moved the cluster's time far ahead: all should know. */
  readonly hasTimeJumped: boolean;
  /** A piece of the state at the cut. */
  readonly chunk: (number: number) => Chunk | undefined;
}

export interface MergeOptions {
  readonly mergeChunkBytes: number;
  readonly newbornMinutes: number;
}

export type MergeEvent = { readonly own: OwnCluster } & (
  | /** Clusters of which a living member is linked. */ {
      readonly kind: "tick";
      readonly inSight: readonly ClusterId[];
    }
  | { readonly kind: "received"; readonly from: ClusterId; readonly message: MergeMessage }
  /** A command about clusters went through this node's state machine. */
  | { readonly kind: "applied"; readonly command: ClusterCommand }
);

export type MergeEffect =
  /** To one linked member of `to`, which passes it to its leader. */
  | { readonly kind: "send"; readonly to: ClusterId; readonly message: MergeMessage }
  /** To every linked member of `to`: all should know. */
  | { readonly kind: "sendAll"; readonly to: ClusterId; readonly message: MergeMessage }
  | { readonly kind: "propose"; readonly command: ClusterCommand }
  /** What this node has is in `winner`: it may forget who it was. */
  | { readonly kind: "startAgain"; readonly winner: ClusterId };

/** A merge that this node has seen to its end: another cluster is in this one now. */
export interface MergeNews {
  readonly loser: ClusterId;
  /** Tells this merge from any other with the same cluster. */
  readonly cut: number;
  /** Topics of which both had a value. */
  readonly conflicts: readonly string[];
  /** Messages owed to sessions for which there was no room. */
  readonly refused: number;
}

/** What a node had acknowledged without a quorum has come through the log, and of one topic there were two values. */
export interface OutdatedNews {
  readonly node: NodeId;
  readonly incarnation: Incarnation;
  readonly topic: string;
}

/** How the two clusters stand to each other, for people. */
export type MergeStatus =
  | { readonly kind: "comparing" | "awaitingApproval" | "tooMuch" | "tooNew"; readonly other: ClusterId }
  /** This cluster gives itself up. */
  | { readonly kind: "joining"; readonly other: ClusterId }
  /** This cluster takes the other one in. */
  | { readonly kind: "taking"; readonly other: ClusterId; readonly topics: number };
