/**
 * The vocabulary of raft-js: log entries, configurations, snapshots, and what is kept on disk.
 *
 * Names are the Raft paper's (Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm", extended
 * version, 2014) and the thesis' (Ongaro, 2014).
 */

/** A server. Any non-empty, well-formed text that never changes and is never reused, not even after its disk was wiped. */
export type ServerId = string;

/** What an entry is for. `empty` is the no-op a leader appends when it is elected (thesis 6.4). */
export type EntryKind = "command" | "configuration" | "empty";

/** One entry of the log. Never changed once it is made. */
export interface Entry {
  /** 1, 2, 3, ... without gaps. */
  readonly index: number;
  /** Term of the leader that appended it. */
  readonly term: number;
  readonly kind: EntryKind;
  /** `command`: the application's bytes. `configuration`: see configuration.ts. `empty`: no bytes. */
  readonly data: Uint8Array;
}

/**
 * Who takes part: at most 1024 servers in each list, each once. Joint while `votersOutgoing` is not empty (paper section 6):
 * both sets must then agree.
 */
export interface Configuration {
  readonly voters: readonly ServerId[];
  /** The voters before the present change. */
  readonly votersOutgoing: readonly ServerId[];
  /** Get the log, never vote (thesis 4.2.1). */
  readonly learners: readonly ServerId[];
}

/** What must be on disk before it is acted on (paper figure 2, "persistent state"). */
export interface HardState {
  /** Newest term known; 0 before the first. */
  readonly term: number;
  /** Candidate that got this server's vote in `term`. */
  readonly votedFor: ServerId | undefined;
}

/** Where a snapshot stands in the log; index 0 and term 0 where there is none. */
export interface SnapshotPoint {
  /** Last entry that the snapshot replaces. */
  readonly index: number;
  readonly term: number;
  /** The configuration as of `index`. */
  readonly configuration: Configuration;
}

/** The application's state as of the log index `index`, in short: equal states must give equal texts. */
export interface StateHash {
  readonly index: number;
  /** At most 64 characters. */
  readonly hash: string;
}

/** A snapshot: what replaces the log up to its point. */
export interface Snapshot extends SnapshotPoint {
  /** The state machine as of `index`, in the application's own form. */
  readonly data: Uint8Array;
}
