/** Timing and limits of one server, and the state it starts from. */

import { assert } from "./assert.ts";
import { EMPTY_CONFIGURATION, encodeConfiguration } from "./configuration.ts";
import type { Role } from "./events.ts";
import type { Configuration, Entry, HardState, ServerId, SnapshotPoint } from "./types.ts";

/**
 * Returns a whole number in [0, `bound`); `bound` is 1 to 2^31. Seeded by the caller: the core has no randomness of its own.
 * Seed it differently at each start of a server, or what was said to its earlier life may be taken for news.
 */
export type RandomBelow = (bound: number) => number;

/** Options that may be infinite, but not 0. */
const LIMITS = [
  "appendBytesMax",
  "inflightMax",
  "inflightBytesMax",
  "uncommittedBytesMax",
  "snapshotChunkBytes",
  "snapshotBytesMax",
] as const;

/** Timing and limits of one server. Times are in ms and may be fractions; limits may be infinite where no unit says else. */
export interface RaftOptions {
  /** This server. */
  readonly id: ServerId;
  readonly randomBelow: RandomBelow;
  /** How often a leader shows that it is alive, in ms, at whole multiples of it; to eight followers and more half as often while a quorum answers. Twice that is what a first campaign may take. */
  readonly heartbeatMs: number;
  /** Shortest silence after which a follower campaigns, in ms; also the time for which votes are withheld after a leader was heard (thesis 4.2.3). */
  readonly electionMinMs: number;
  /** Longest such silence, in ms. > `electionMinMs`. */
  readonly electionMaxMs: number;
  /** Most bytes of entries in one AppendEntries. At least one entry is always sent. */
  readonly appendBytesMax: number;
  /** Most AppendEntries under way to one follower. */
  readonly inflightMax: number;
  /**
   * A leader refuses commands that would make more bytes than this uncommitted (32 bytes are added per entry). A
   * batch that is larger by itself is taken when nothing else waits.
   */
  readonly uncommittedBytesMax: number;
  /** Entries kept behind a snapshot for followers that lag a little. Who gets a snapshot is waited for besides, with 32 MiB of entries at most. */
  readonly entriesKept: number;
  /** Most bytes of entries under way to one follower (32 are added per entry); 4 MiB. One message may go beyond it. */
  readonly inflightBytesMax?: number;
  /** What a lease is shortened by besides 1 % for drifting clocks, in ms; 50. Covers delays inside the process. */
  readonly leaseGuardMs?: number;
  /** Size of the pieces in which a snapshot is sent, in bytes; 256 KiB. */
  readonly snapshotChunkBytes?: number;
  /** Largest snapshot taken from a leader, in bytes; 512 MiB. It is gathered in memory. */
  readonly snapshotBytesMax?: number;
}

/** @throws {RaftAssertionError} if no server can work with `options`; the message names the one that is wrong. */
export function checkOptions(options: RaftOptions): void {
  const { heartbeatMs, electionMinMs, electionMaxMs, entriesKept, leaseGuardMs = 0 } = options;
  assert(options.id !== "", "id must not be empty");
  assert(heartbeatMs > 0 && heartbeatMs < electionMinMs, "heartbeatMs must be in (0, electionMinMs)");
  assert(electionMinMs < electionMaxMs, "electionMaxMs must exceed electionMinMs");
  assert(Number.isFinite(electionMaxMs), "electionMaxMs must be finite");
  assert(leaseGuardMs >= 0, "leaseGuardMs must not be negative");
  assert(Number.isInteger(entriesKept) && entriesKept >= 0, "entriesKept must be a count");
  for (const limit of LIMITS) assert((options[limit] ?? 1) > 0, limit, "must be positive");
  assert(Number.isInteger(options.snapshotChunkBytes ?? 1), "snapshotChunkBytes must be a whole number");
}

/** What was read from disk; `EMPTY_STATE` for a fresh server. */
export interface InitialState {
  /** As the last `persist` or `restore` effect that carried one left it. */
  readonly hardState: HardState;
  /** Where the saved snapshot stands; index 0, term 0 and an empty configuration if there is none. */
  readonly snapshot: SnapshotPoint;
  /** Entries after the snapshot (or a little before it), without gaps. */
  readonly entries: readonly Entry[];
  /**
   * Up to here the entries are known to be committed; those that are there are applied at once. It may lag, or be left
   * out: then the server applies what follows the snapshot only when it hears of a leader.
   */
  readonly commitIndex?: number;
  /**
   * True: acknowledged entries may be missing from this disk (damage, power cut). Until the server has caught up with
   * a leader its vote, and its own candidacy, count only if every voter grants: then whoever has most of the log wins.
   * Ignored for a sole voter, whom nobody else can lead: what it has is the log. But not if that is incomplete.
   */
  readonly isSuspect: boolean;
  /**
   * True: entries behind the end of this log are known to have been here, and the driver is looking for what is between
   * (`recovered`). Until that is over, or a leader is followed, the server neither votes nor campaigns. Default: false.
   */
  readonly isIncomplete?: boolean;
}

/** Nothing on disk: a server that waits until a leader adds it. */
export const EMPTY_STATE: InitialState = {
  hardState: { term: 0, votedFor: undefined },
  snapshot: { index: 0, term: 0, configuration: EMPTY_CONFIGURATION },
  entries: [],
  isSuspect: false,
};

/**
 * The state of a server that founds a cluster with itself as the only voter: as if it had led term 1 and appended
 * the first configuration as entry 1 (thesis 4.4: the first log starts with a configuration entry), so that every
 * server that joins later learns it from the log. The driver writes `hardState` and `entries` to disk before it
 * constructs the {@link RaftNode}. Never for a server that has been part of a cluster.
 */
export function foundingState(id: ServerId): InitialState {
  const configuration = { voters: [id], votersOutgoing: [], learners: [] };
  return {
    ...EMPTY_STATE,
    hardState: { term: 1, votedFor: id },
    entries: [{ index: 1, term: 1, kind: "configuration", data: encodeConfiguration(configuration) }],
  };
}

/** A read-only view for status pages and drivers. */
export interface RaftStatus {
  readonly role: Role;
  readonly term: number;
  /** Who leads `term`, as far as this server knows. */
  readonly leader: ServerId | undefined;
  /** Last entry known to be committed; after a start that of the snapshot, until a leader is heard. */
  readonly commitIndex: number;
  /** Last entry given out with an `apply` effect or taken over with a snapshot. */
  readonly lastApplied: number;
  /** Last entry of the log in memory, whether its disk has it or not. */
  readonly lastIndex: number;
  /** The newest in the log, committed or not (see configuration.ts); joint while a change is under way. */
  readonly configuration: Configuration;
  /** True until a server that started as suspect has caught up with a leader, or leads by the votes of all. */
  readonly isSuspect: boolean;
  /** True until entries that were here once are found again, cannot be had, or come from a leader. */
  readonly isIncomplete: boolean;
  /** True once a quorum agreed on another state than this server's: it neither votes nor leads (effect `diverged`). */
  readonly isDiverged: boolean;
  /**
   * Not empty: there is no leader, suspect servers took part in this server's last election, and these voters did not grant.
   * Each of them is needed, because it may hold what the suspect ones have lost.
   */
  readonly awaited: readonly ServerId[];
  /** Messages of peers dropped because no server that keeps the rules sends them, since the start. */
  readonly rejectedMessages: number;
  /** Leader only: whom leadership is being handed to. */
  readonly transferringTo: ServerId | undefined;
  /**
   * Leader only: send time (its own clock, ms) of the newest heartbeat that a quorum has answered; undefined before
   * the first, when not leader, while leadership is handed over, or when the newest configuration leaves another server as
   * the only voter. Taken at sending, never at receipt. A sole voter reports `now` of the last step.
   */
  readonly quorumContactAt: number | undefined;
  /**
   * Leader only: until then, on this server's clock in ms, nobody is elected in a later term (thesis 6.4.1):
   * `quorumContactAt` + 99 % of `electionMinMs` - `leaseGuardMs`. Undefined where `quorumContactAt` is.
   */
  readonly leaseUntil: number | undefined;
  /** Leader only: per follower the last index known to match and when it was last heard, in ms. As of when it is first read. */
  readonly followers: ReadonlyMap<
    ServerId,
    { readonly matchIndex: number; readonly lastHeardAt: number | undefined }
  >;
}
