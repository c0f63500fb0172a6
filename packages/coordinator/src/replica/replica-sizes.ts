/**
 * How much of a replica is done at a time, in one place.
 *
 * The defaults are for small computers with SD cards. Tests choose small sizes: then what is rare in a house (a snapshot, a
 * full window, a new segment, a batch in pieces) happens all the time.
 *
 * Source: reference design, section 1.9.
 */

export interface ReplicaSizes {
  /** Most bytes of entries in one AppendEntries; one entry at least is always sent. */
  readonly appendBytesMax: number;
  /** Most AppendEntries under way to one follower. */
  readonly inflightMax: number;
  /** Entries applied since the last snapshot after which the next one is taken. */
  readonly snapshotEntries: number;
  /** Entries kept behind a snapshot, in memory and in the journal, for followers that lag a little. */
  readonly entriesKept: number;
  /** Bytes of a snapshot in one message: few enough that heartbeats behind it are not late on a slow Wi-Fi. */
  readonly snapshotChunkBytes: number;
  /** Bytes of a leader's snapshot that are decoded in one turn of the event loop: a millisecond on a desktop. */
  readonly decodeBytes: number;
  /** How long other work has the event loop between two of these turns, ms; 0: for as long as it has work. */
  readonly decodePauseMs: number;
  /** Bytes at which a segment of the journal is closed and the next one begun. */
  readonly segmentBytes: number;
  /** Bytes of messages that are owed; a state with so many is saved in parts (state-machine/saving.ts). */
  readonly partedBytes: number;
  /** Bytes of messages that are packed together, and a part once they are full; 128 KiB at most. */
  readonly slabBytes: number;
  /** Bytes of a dissolved cluster's state in one entry of the winner's log. */
  readonly mergeChunkBytes: number;
  /** Minutes of its life for which a cluster merges with others unasked. */
  readonly newbornMinutes: number;
  /** Minutes for which every node must have known a newer version of the log before it is used (membership/upgrade.ts). */
  readonly settleMinutes: number;
}

export const REPLICA_SIZES: ReplicaSizes = {
  appendBytesMax: 256 * 1024,
  inflightMax: 16,
  snapshotEntries: 10_000,
  entriesKept: 10_000,
  snapshotChunkBytes: 256 * 1024,
  decodeBytes: 256 * 1024,
  decodePauseMs: 0,
  segmentBytes: 16 * 1024 * 1024,
  partedBytes: 16 * 1024 * 1024,
  slabBytes: 128 * 1024,
  mergeChunkBytes: 256 * 1024,
  newbornMinutes: 10,
  settleMinutes: 60,
};
