export { RaftAssertionError } from "./assert.ts";
export { RaftFormatError } from "./bytes.ts";
export { decodeEntry, decodeRaftMessage, encodeEntry, encodeRaftMessage } from "./codec.ts";
export { decodeConfiguration, encodeConfiguration } from "./configuration.ts";
export type { RaftEffect, RaftEvent, RefusalReason, Role } from "./events.ts";
export type { Outgoing, RaftMessage } from "./messages.ts";
export type { InitialState, RaftOptions, RaftStatus, RandomBelow } from "./options.ts";
export { EMPTY_STATE, foundingState } from "./options.ts";
export { RaftNode } from "./raft-node.ts";
export type {
  Configuration,
  Entry,
  EntryKind,
  HardState,
  ServerId,
  Snapshot,
  SnapshotPoint,
  StateHash,
} from "./types.ts";
