export type { RaftEffect, RaftEvent, Role } from "./events.ts";
export type { Outgoing, RaftMessage } from "./messages.ts";
export type { InitialState, RaftOptions, RaftStatus, RandomBelow } from "./options.ts";
export type {
  Configuration,
  Entry,
  EntryKind,
  HardState,
  ServerId,
  Snapshot,
  SnapshotPoint,
} from "./types.ts";
