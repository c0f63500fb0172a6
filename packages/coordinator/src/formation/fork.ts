/**
 * Founding a mesh anew from one replica, when the voters that could decide anything are gone for good: a new cluster whose log is the
 * old one's, and then two entries that only the new one has: the configuration {this node}, and FORK with the parent's id
 * and the index behind which the two clusters differ (cluster-commands.ts). When an old voter comes back after all there are two
 * clusters, and they merge.
 *
 * Journal and identity cannot change at the same moment, so the decision is a file of its own: once `fork.json` is on the medium
 * each start completes it, until the identity names the new cluster. It stays as the record of where this cluster came
 * from, for members of the parent that are still to come.
 *
 * Source: reference design, section 1.5.
 */

import {
  ByteWriter,
  type ClusterId,
  type Disk,
  type DiskDone,
  decodeUtf8,
  encodeUtf8Into,
  type NodeId,
  utf8Length,
} from "@skein/kernel";
import { type Entry, encodeConfiguration } from "raft-js";
import type { OpenedJournal } from "../journal/journal.ts";
import type { Position } from "../replica/mending.ts";

const FILE = "fork.json";
const CLUSTER_ID = /^[0-9a-f-]{36}$/;

export interface Fork {
  readonly cluster: ClusterId;
  readonly parent: ClusterId;
  /** The last entry that both have. */
  readonly at: Position;
}

/** Durable when `done` is called without an error: from then on this node belongs to `fork.cluster`. */
export function decideFork(disk: Disk, fork: Fork, done: DiskDone): void {
  const text = `${JSON.stringify(fork)}\n`;
  const bytes = new Uint8Array(utf8Length(text));
  encodeUtf8Into(text, bytes, 0);
  disk.replace(FILE, bytes, done);
}

/** The last fork that this node has made. A file that cannot be understood decides nothing (P12). */
export function readFork(disk: Disk): Fork | undefined {
  const bytes = disk.read(FILE);
  if (bytes === undefined) return undefined;
  try {
    const { cluster, parent, at } = JSON.parse(decodeUtf8(bytes, 0, bytes.length)) as Record<string, unknown>;
    const { index, term } = at as Record<string, unknown>;
    const isRight = [cluster, parent].every((id) => typeof id === "string" && CLUSTER_ID.test(id));
    if (!isRight || !Number.isSafeInteger(index) || !Number.isSafeInteger(term)) return undefined;
    return { cluster: cluster as ClusterId, parent: parent as ClusterId, at: { index, term } as Position };
  } catch {
    return undefined;
  }
}

/** Carries out the decision in the journal (again, after a crash); `done` gets it as it is then. */
export function carryOutFork(
  opened: OpenedJournal,
  self: NodeId,
  fork: Fork,
  done: (opened: OpenedJournal, error: Parameters<DiskDone>[0]) => void,
): void {
  const { journal, state } = opened;
  const { index, term } = lastOf(opened);
  // Nobody can have voted in it: the parent's voters are another cluster's now.
  const forkTerm = Math.max(term, state.hardState.term) + 1;
  const configuration = encodeConfiguration({ voters: [self], votersOutgoing: [], learners: [] });
  const entries: readonly Entry[] =
    index > fork.at.index
      ? []
      : [
          { index: index + 1, term: forkTerm, kind: "configuration", data: configuration },
          { index: index + 2, term: forkTerm, kind: "command", data: forkCommand(fork) },
        ];
  const hardState = entries.length > 0 ? { term: forkTerm, votedFor: self } : state.hardState;
  // What was damaged was looked for in the parent; this log is what the new cluster agrees on.
  const forked = {
    ...state,
    hardState,
    entries: [...state.entries, ...entries],
    isSuspect: false,
    isIncomplete: false,
  };
  journal.persist({ hardState, entries }, (error) => done({ ...opened, state: forked }, error));
}

/** The last entry of a log. */
function lastOf({ state }: OpenedJournal): Position {
  const { index, term } = state.entries.at(-1) ?? state.snapshot;
  return index >= state.snapshot.index ? { index, term } : state.snapshot;
}

/** Format 3 kind 7 of cluster-commands.ts. */
function forkCommand({ parent, at }: Fork): Uint8Array {
  return new ByteWriter(64).u8(3).u8(7).text(parent).varint(at.index).finish();
}
