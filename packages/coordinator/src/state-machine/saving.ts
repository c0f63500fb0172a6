/**
 * The state as it is written down: whole, for followers and for a small state, or for the disk of this node with all messages apart that
 * sessions are owed.
 *
 * A snapshot of a large state is nearly all messages, and messages never change: written anew each time, a million of them are on the
 * disk twice while one snapshot takes the place of another, and a card is written four times what comes in. So the slabs that they are
 * packed in (owed-messages.ts) are parts of their own. A closed slab is the same array in every snapshot that has it; whoever has
 * written that array before need not write it again (journal/part-files.ts).
 */

import type { ByteWriter } from "@skein/kernel";
import { SLAB_BYTES } from "./sessions/owed-record.ts";
import { frozenInParts, frozenSessions, type SessionsWriter } from "./sessions/sessions-snapshot.ts";
import { encodeInPieces } from "./snapshot.ts";
import type { StateMachine } from "./state-machine.ts";

/** What a message takes in a snapshot, about, besides itself: lengths, its place, and the entry of a queue. */
const FRAMING_BYTES = 24;

/** A state that is being written down. */
export interface SnapshotInParts {
  /** Never changed; those that were in the snapshot before are the same arrays. */
  readonly parts: readonly Uint8Array[];
  /** All else, in steps of some milliseconds. */
  readonly data: Generator<undefined, Uint8Array>;
}

/** Everything, as it is now; between the steps it may change. */
export function wholeInPieces(machine: StateMachine): Generator<undefined, Uint8Array> {
  const { bytes, entries } = machine.sessions.owed;
  return encode(
    machine,
    frozenSessions(machine.sessions, machine.remembersRepeated),
    bytes + entries * FRAMING_BYTES,
    false,
  );
}

/** The same, with closed slabs apart. */
export function inParts(machine: StateMachine): SnapshotInParts {
  const { handlesEnd, entries } = machine.sessions.owed;
  const { parts, write } = frozenInParts(machine.sessions, machine.remembersRepeated);
  const expectedBytes = SLAB_BYTES + handlesEnd * 4 + entries * FRAMING_BYTES;
  return { parts, data: encode(machine, write, expectedBytes, true) };
}

function encode(
  machine: StateMachine,
  sessions: SessionsWriter,
  sessionsBytes: number,
  isParted: boolean,
): Generator<undefined, Uint8Array> {
  const { version, sequencer, retained, tombstones, conflicts, clusters, newest, limits, recent, staged } =
    machine;
  const state = {
    version,
    proposers: sequencer.rows(),
    retained: retained.sortedItems(),
    tombstones: tombstones.all(),
    forgotten: tombstones.forgotten,
    conflicts: conflicts.all(),
    lastConflict: conflicts.lastId,
    droppedConflicts: conflicts.dropped,
    clusters: clusters.state(),
    newest,
    limits: limits.rows(),
    recent: recent.all(),
  };
  const expectedBytes = 4096 + retained.bytes + retained.count * FRAMING_BYTES + sessionsBytes;
  const writeStaged = (out: ByteWriter): void => staged.write(out);
  return encodeInPieces(state, sessions, writeStaged, expectedBytes, isParted);
}
