/**
 * What servers say to each other. Paper figure 2 and section 7; thesis sections 3.10 (leadership transfer), 4.2.1
 * (learners), 6.4 (ReadIndex) and 9.6 (PreVote).
 *
 * Messages may be lost, delayed, duplicated and reordered, over restarts too; `term` is the sender's current term except
 * in PreVote, where it is the term the sender would campaign in. Indexes and terms are whole numbers, times are in ms, sizes
 * in bytes.
 */

import type { Entry, ServerId, SnapshotPoint, StateHash } from "./types.ts";

/** What one server says to another. Drivers carry it, whole or as bytes, and need not look inside. */
export type RaftMessage =
  | {
      readonly kind: "preVote" | "requestVote";
      readonly term: number;
      readonly lastLogIndex: number;
      readonly lastLogTerm: number;
      /** RequestVote after TimeoutNow: the leader gave its lease up and asked for it, so who heard it votes all the same. */
      readonly isTransfer: boolean;
    }
  | {
      readonly kind: "preVoteReply" | "requestVoteReply";
      readonly term: number;
      readonly granted: boolean;
      /** A grant of a voter that may have lost acknowledged entries: it counts only if every voter grants. */
      readonly isSuspect: boolean;
    }
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
      /** min(`matchIndex`, commitIndex): never tells a follower to commit what it may not have. */
      readonly commit: number;
      /**
       * The last entry that the leader counts on the receiver to have, and its term; 0 if it does not know. A disk may have
       * lost what it acknowledged, and have what had been overwritten instead: then the receiver says so, and commits nothing.
       */
      readonly matchIndex: number;
      readonly matchTerm: number;
      /** Where the leader's log ends; its last entry is always of its own term. */
      readonly lastIndex: number;
      /** The `nonce` of the receiver's latest answer, which this heartbeat was therefore sent after; 0 without one. */
      readonly nonce: number;
      /** When the leader sent it, on the leader's clock, in ms; comes back in the reply. */
      readonly sentAt: number;
      /** Counts the leader's rounds of heartbeats in this term; comes back in the reply (ReadIndex). */
      readonly round: number;
    }
  | {
      readonly kind: "heartbeatReply";
      readonly term: number;
      readonly sentAt: number;
      readonly round: number;
      /** A number drawn at the start of a server that may have lost acknowledged entries; 0 from others. */
      readonly nonce: number;
      /** The newest state hash of this server's application. */
      readonly stateHash: StateHash | undefined;
    }
  | {
      /** One piece of a snapshot; the receiver's answer says which piece it wants next. */
      readonly kind: "installSnapshot";
      readonly term: number;
      readonly point: SnapshotPoint;
      /** Length of the whole snapshot, in bytes. */
      readonly totalBytes: number;
      /** Where `data` belongs, in bytes from the start. */
      readonly offset: number;
      readonly data: Uint8Array;
    }
  /** The receiver has the first `offset` bytes of the snapshot at `index` in memory and wants what follows. */
  | {
      readonly kind: "snapshotChunkReply";
      readonly term: number;
      readonly index: number;
      readonly offset: number;
    }
  /** The whole snapshot is safe. */
  | { readonly kind: "installSnapshotReply"; readonly term: number; readonly matchIndex: number }
  | {
      /** Only a snapshot helps the sender. */
      readonly kind: "snapshotRequest";
      readonly term: number;
      /**
       * 0: the leader's log contradicts what the sender knows to be committed, so nothing it said about its log holds.
       * Otherwise its log is good and only its state is not (follower.ts): a snapshot at this index or later.
       */
      readonly minIndex: number;
    }
  /** Campaign at once (thesis 3.10). Sent only after the leader gave up whatever its lease protects. */
  | { readonly kind: "timeoutNow"; readonly term: number }
  | {
      /** A follower asks for the index its application must have applied before a read may be answered (thesis 6.4). */
      readonly kind: "readIndex";
      readonly term: number;
      readonly request: number;
      /** A number drawn at the asker's start: it may use the numbers of requests again after a restart. */
      readonly nonce: number;
    }
  | {
      /** `request` and `nonce` are the question's. */
      readonly kind: "readIndexReply";
      readonly term: number;
      readonly request: number;
      readonly nonce: number;
      readonly index: number;
    }
  /** A quorum agrees on this state hash, and the receiver reported another one for the same index. */
  | { readonly kind: "stateDiverged"; readonly term: number; readonly stateHash: StateHash };

/** A message and where it goes. */
export interface Outgoing {
  readonly to: ServerId;
  readonly message: RaftMessage;
}
