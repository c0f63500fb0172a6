/**
 * The whole contract between the core and its driver: what goes into `step` and what comes out.
 *
 * The driver carries out effects in order. `persist` and `restore` are asynchronous: the driver starts them, goes on
 * with the next effect, and when the write is safe first sends `sendAfter`, then steps `persisted` or `restored`.
 * Writes complete in the order they were started. Everything else (heartbeats and their replies) is sent at once and
 * never waits for a disk (the shape of etcd's AsyncStorageWrites).
 */

import type { Outgoing, RaftMessage } from "./messages.ts";
import type {
  Configuration,
  Entry,
  HardState,
  ServerId,
  Snapshot,
  SnapshotPoint,
  StateHash,
} from "./types.ts";

/** Why a proposal, a change or a transfer could not be taken now. None of it was done; try again later, perhaps elsewhere. */
export type RefusalReason =
  /** Another server leads, or none. */
  | "notLeader"
  /** A change is not completed yet, or this leader has not committed an entry of its term yet. */
  | "changePending"
  /** `uncommittedBytesMax` would be exceeded. */
  | "tooMuchUncommitted"
  /** Leadership is being handed over. */
  | "transferring"
  /** No voter was heard lately that could lead, or the one that was named is not one. */
  | "noTarget";

/** What a server does (paper figure 4); `preCandidate`: it asks whether it could win before it campaigns (thesis 9.6). */
export type Role = "follower" | "preCandidate" | "candidate" | "leader";

/** What goes into {@link RaftNode.step}. Indexes and terms are whole numbers, times are in ms, sizes in bytes. */
export type RaftEvent =
  /** `wakeAt` has come. */
  | { readonly kind: "wake" }
  | { readonly kind: "receive"; readonly from: ServerId; readonly message: RaftMessage }
  /** Appends `commands` in one batch if this server leads; otherwise `refused` comes back. */
  | { readonly kind: "propose"; readonly commands: readonly Uint8Array[] }
  /**
   * Moves to this target: joint consensus where the voters change, entered and left automatically (paper section 6). Where
   * another server becomes the only voter, the change takes until this leader's lease is over. A target without voters,
   * with a server twice, or with ids that are empty or not well-formed text is a bug of the caller.
   */
  | {
      readonly kind: "changeConfiguration";
      readonly voters: readonly ServerId[];
      readonly learners: readonly ServerId[];
    }
  /** The write that ended at entry (`index`, `term`) is safe, and every write before it. */
  | { readonly kind: "persisted"; readonly index: number; readonly term: number }
  /** The snapshot of a `restore` effect is safe and the state machine has taken it over. */
  | { readonly kind: "restored"; readonly index: number; readonly term: number }
  /**
   * The answer to `checkSnapshot`, with its number: whether the application can take that snapshot over. Late is harmless: what has come of the
   * log meanwhile counts, and a check that is over is ignored.
   */
  | { readonly kind: "snapshotChecked"; readonly check: number; readonly isUsable: boolean }
  /**
   * The application has saved a snapshot of its own: entries up to `index - entriesKept` may go, and a leader's only if no follower will need
   * them when it has the older snapshot that it is getting.
   */
  | { readonly kind: "compacted"; readonly point: SnapshotPoint }
  /** The driver has handed a piece of a snapshot for `to` to the network, or could not (then it is asked for again). */
  | { readonly kind: "snapshotSent"; readonly to: ServerId; readonly ok: boolean }
  /**
   * Hands leadership to `to`, or without it to the voter that has most of the log. First comes `leaseGivenUp`; the
   * target is told to campaign only after `leaseReleased`. Proposals are refused meanwhile. What is not done within
   * `electionMinMs` ends: before the target was told as if nothing had been, after that by stepping down.
   */
  | { readonly kind: "transferLeadership"; readonly to?: ServerId }
  /**
   * The answer to `leaseGivenUp`, with its number: nothing that the lease protected is held any more. Without a number it is
   * taken for the transfer under way, also if an earlier one's release was only late.
   */
  | { readonly kind: "leaseReleased"; readonly transfer?: number }
  /**
   * A linearizable read, by a number of the application's choice (whole, at most 2^48; it may begin again after a restart).
   * Any number of them share one round of heartbeats. `readable` or `readRefused` names it later, now and then twice; a
   * question or answer lost on the way does neither: ask again.
   */
  | { readonly kind: "readIndex"; readonly request: number }
  /** There is a way to `server` again: if this one leads, that one hears of it at once, and not with a later round of heartbeats. */
  | { readonly kind: "reachable"; readonly server: ServerId }
  /** The application's state hash as of an index; all servers take it at the same indexes, such as every 100th. */
  | { readonly kind: "stateHash"; readonly stateHash: StateHash }
  /**
   * An incomplete server's log goes on with these entries: they once stood there, or in the log of a server that has the
   * entry before them (Log Matching, Raft §5.3). `isComplete`: there is nothing more to be had. Ignored once it is over.
   */
  | { readonly kind: "recovered"; readonly entries: readonly Entry[]; readonly isComplete: boolean }
  /**
   * This server has diverged, and its application wants another state: the leader is asked for a snapshot of what is
   * committed here by now, or later. The log stays, with all that was acknowledged. Ignored unless diverged.
   */
  | { readonly kind: "replaceState" };

/** What comes out of {@link RaftNode.step}; to be carried out in order. */
export type RaftEffect =
  | {
      readonly kind: "persist";
      /** Set when term or vote changed. Must then be forced to the medium whatever the profile says. */
      readonly hardState: HardState | undefined;
      /** May overwrite: entries on disk from `entries[0].index` on are replaced. */
      readonly entries: readonly Entry[];
      /** Last entry of the log after this write; what `persisted` reports. */
      readonly index: number;
      readonly term: number;
      readonly sendAfter: readonly Outgoing[];
    }
  | { readonly kind: "send"; readonly to: ServerId; readonly message: RaftMessage }
  /** Committed entries, in order, each once between starts and `restore` effects; all kinds, so that indexes are visible. */
  | { readonly kind: "apply"; readonly entries: readonly Entry[] }
  /**
   * A leader's snapshot is here: find out whether the application can take it over, in any number of turns, then step `snapshotChecked`. Until
   * then nothing is given up for it and nothing about it is answered; everything else goes on. Only the newest check is waited for.
   */
  | { readonly kind: "checkSnapshot"; readonly check: number; readonly snapshot: Snapshot }
  /**
   * Replace snapshot and state machine by this one; the state machine not before the write is safe, because `apply` effects
   * go on with what follows. `keepsLog`: the log on disk stays, and entries behind the snapshot are applied again.
   * Otherwise the disk log is replaced, too.
   */
  | {
      readonly kind: "restore";
      readonly snapshot: Snapshot;
      readonly keepsLog: boolean;
      readonly hardState: HardState;
      readonly sendAfter: readonly Outgoing[];
    }
  /**
   * A follower needs a snapshot: send it `installSnapshot` with this `term` and the piece at `offset` (bytes, at most
   * `bytesMax`) of the snapshot at `index`; if that is not there any more, or `index` is undefined, the first piece of
   * the newest saved one. One before `minIndex` does not help: then save a newer one, and say that none was sent.
   */
  | {
      readonly kind: "sendSnapshot";
      readonly to: ServerId;
      readonly term: number;
      readonly index: number | undefined;
      readonly offset: number;
      readonly bytesMax: number;
      readonly minIndex: number;
    }
  | {
      readonly kind: "roleChanged";
      readonly role: Role;
      readonly term: number;
      readonly leader: ServerId | undefined;
    }
  | { readonly kind: "configurationChanged"; readonly configuration: Configuration }
  /** A proposal, change or transfer could not be taken now. */
  | {
      readonly kind: "refused";
      readonly what: "commands" | "configuration" | "transfer";
      readonly reason: RefusalReason;
    }
  /** Leadership is being handed over, for the `transfer`th time: release what the lease protects, then step `leaseReleased`. */
  | { readonly kind: "leaseGivenUp"; readonly transfer: number }
  /** Comes after the `apply` effects it waits for: these reads see every write completed before they were asked. */
  | { readonly kind: "readable"; readonly requests: readonly number[]; readonly index: number }
  /**
   * A quorum has answered these reads, and this server lacks entries up to `index`: `readable` follows when they are applied. There is no need
   * to ask again.
   */
  | { readonly kind: "readPending"; readonly requests: readonly number[]; readonly index: number }
  /** No leader is known, leadership was lost, or too many reads wait. Ask again later. */
  | { readonly kind: "readRefused"; readonly requests: readonly number[] }
  /**
   * The state of `server` at `index` is not the one a quorum agrees on. If it is this server, it neither votes nor leads
   * any more until a leader's snapshot replaces its state (`status().isDiverged`), which `replaceState` asks for. An
   * operator must know.
   */
  | { readonly kind: "diverged"; readonly server: ServerId; readonly index: number }
  /**
   * The leader's log contradicts entries this server has applied: the cluster has lost what it had committed (a sole
   * voter whose disk was damaged). The leader's snapshot will replace this server's state.
   */
  | { readonly kind: "contradicted"; readonly leader: ServerId; readonly index: number };
