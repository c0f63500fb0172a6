/**
 * What servers say to each other. Paper figure 2 and section 7, thesis sections 4.2.1 and 9.6 (PreVote).
 *
 * Messages may be lost, delayed, duplicated and reordered; `term` is the sender's current term except in PreVote,
 * where it is the term the sender would campaign in.
 */

import type { Entry, ServerId, Snapshot } from "./types.ts";

export type RaftMessage =
  | {
      readonly kind: "preVote" | "requestVote";
      readonly term: number;
      readonly lastLogIndex: number;
      readonly lastLogTerm: number;
    }
  | { readonly kind: "preVoteReply" | "requestVoteReply"; readonly term: number; readonly granted: boolean }
  | {
      readonly kind: "appendEntries";
      readonly term: number;
      readonly prevLogIndex: number;
      readonly prevLogTerm: number;
      readonly entries: readonly Entry[];
      readonly leaderCommit: number;
    }
  | {
      readonly kind: "appendEntriesReply";
      readonly term: number;
      /** True: everything up to `matchIndex` is on this server's disk (as its durability profile defines it). */
      readonly success: boolean;
      /** On success the last index known to match; on refusal the `prevLogIndex` that was refused. */
      readonly matchIndex: number;
      /** On refusal: the highest index at which the logs may still agree, and this server's term there. */
      readonly hintIndex: number;
      readonly hintTerm: number;
    }
  | {
      /** Never waits for a disk, neither does its reply: proves liveness and quorum contact only. */
      readonly kind: "heartbeat";
      readonly term: number;
      /** min(matchIndex of the receiver, commitIndex): never tells a follower to commit what it may not have. */
      readonly commit: number;
      /** When the leader sent it, on the leader's clock, in ms; comes back in the reply. */
      readonly sentAt: number;
    }
  | { readonly kind: "heartbeatReply"; readonly term: number; readonly sentAt: number }
  | { readonly kind: "installSnapshot"; readonly term: number; readonly snapshot: Snapshot }
  | { readonly kind: "installSnapshotReply"; readonly term: number; readonly matchIndex: number };

/** A message and where it goes. */
export interface Outgoing {
  readonly to: ServerId;
  readonly message: RaftMessage;
}
