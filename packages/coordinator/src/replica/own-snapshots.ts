/**
 * Saves the state machine when the log since the last snapshot is long, or when a follower needs a newer one, and keeps
 * what is saved for followers that are far behind (snapshot-pieces.ts). A state that owes much is saved in parts (state-machine/saving.ts);
 * a follower gets it whole all the same, from a copy that is made when it asks.
 *
 * One at a time, beside the writes of the log, and written down in pieces between which the node does other work. A leader's snapshot that replaces the state meanwhile makes the one under way
 * void, and while a wrong state waits for its replacement none is taken.
 */

import type { Clock, SkeinError } from "@skein/kernel";
import type { RaftEffect, RaftMessage, Snapshot, SnapshotPoint } from "raft-js";
import type { Journal } from "../journal/journal.ts";
import { frameInPieces, type SnapshotFrame } from "../journal/snapshot-writer.ts";
import type { SnapshotInParts } from "../state-machine/saving.ts";
import type { StateMachine } from "../state-machine/state-machine.ts";
import { SnapshotPieces } from "./snapshot-pieces.ts";

type SendSnapshot = Extract<RaftEffect, { readonly kind: "sendSnapshot" }>;

/** How long a log may get before a snapshot is due, however small the state is ({@link LOG_SHARE}). */
export interface SnapshotLimits {
  /** Applied entries. */
  readonly entries: number;
  /** Bytes of applied commands. */
  readonly bytes: number;
  /** Of messages that are owed; with so many the state is saved in parts. */
  readonly partedBytes: number;
}

/** The log may get as long as this share of the last snapshot: then snapshots write four times what comes in, however large the state is. */
const LOG_SHARE = 1 / 4;
/** The same of the data of one that has parts, which alone are written anew: half of what comes in, and once what is owed. */
const LOG_SHARE_PARTED = 2;
/** An entry counts for so many bytes at least there: about what a small one takes in memory. */
const ENTRY_BYTES_MIN = 512;

/** A state as it is on the disk. */
export interface SavedState {
  /** Its data are all of it, unless there are parts. */
  readonly snapshot: Snapshot;
  readonly parts: readonly Uint8Array[] | undefined;
}

/** A state, ready to be saved. */
interface Framed extends SavedState {
  /** The same for followers; its point alone: nobody waits for it. */
  readonly whole: Snapshot | SnapshotPoint;
  readonly frame: SnapshotFrame;
}

export interface OwnSnapshotsPorts {
  readonly clock: Clock;
  /** A snapshot at this point is on the medium: entries before it may go. */
  readonly saved: (point: SnapshotPoint) => void;
  readonly failed: (error: SkeinError) => void;
}

export class OwnSnapshots {
  readonly #journal: Journal;
  readonly #machine: StateMachine;
  readonly #limits: SnapshotLimits;
  readonly #ports: OwnSnapshotsPorts;
  readonly #pieces = new SnapshotPieces();
  #entriesSince = 0;
  #bytesSince = 0;
  /** How long the log behind the last snapshot may get, however small the limits are. */
  #logBytes = 0;
  #isWanted = false;
  #isSaving = false;
  #isHeld = false;
  #isStopped = false;
  /** How often the state was replaced by another snapshot. */
  #replacements = 0;

  constructor(
    journal: Journal,
    machine: StateMachine,
    saved: SavedState | undefined,
    limits: SnapshotLimits,
    ports: OwnSnapshotsPorts,
  ) {
    this.#journal = journal;
    this.#machine = machine;
    this.#limits = limits;
    this.#ports = ports;
    if (saved === undefined) return;
    const { snapshot, parts } = saved;
    this.#pieces.reset(parts === undefined ? snapshot : pointOf(snapshot));
    this.#logBytes = logBytesBehind(saved);
  }

  get newest(): Snapshot | undefined {
    return this.#pieces.newest;
  }

  /**
   * The newest snapshot, for a peer that repairs its journal; if it was too large to be kept, the state as of `point`, the last applied
   * entry: whoever hears of nothing believes that there is nothing.
   */
  forRepair(point: SnapshotPoint): Snapshot | undefined {
    const { newest, newestIndex } = this.#pieces;
    if (newest !== undefined || newestIndex === undefined || this.#isHeld) return newest;
    return { ...point, data: this.#machine.snapshot() };
  }

  /** An entry was applied. */
  noteApplied(bytes: number): void {
    this.#entriesSince++;
    this.#bytesSince += bytes;
  }

  /** The state is wrong, and will be replaced: it must not be saved. */
  hold(): void {
    this.#isHeld = true;
  }

  /** The state is being replaced by `snapshot`: what was saved before is void. */
  replacedBy(snapshot: Snapshot): void {
    this.#replacements++;
    this.#isHeld = true;
    this.#pieces.reset(snapshot);
    this.#logBytes = logBytesBehind({ snapshot, parts: undefined });
    this.#entriesSince = 0;
    this.#bytesSince = 0;
  }

  /** It has been replaced. */
  release(): void {
    this.#isHeld = false;
  }

  /** The piece that this effect asks for; undefined: there is none yet, and a snapshot will be saved. */
  piece({ term, index, offset, bytesMax, minIndex }: SendSnapshot): RaftMessage | undefined {
    const now = this.#ports.clock.monotonicMs();
    const message = this.#pieces.message(term, index, offset, bytesMax, now);
    const isUseful = message?.kind === "installSnapshot" && message.point.index >= minIndex;
    if (!isUseful) this.#isWanted = true;
    return isUseful ? message : undefined;
  }

  /** Saves the state as of `point`, the last applied entry, if it is time to. */
  saveWhenDue(point: SnapshotPoint): void {
    this.#pieces.letGo(this.#ports.clock.monotonicMs());
    if (this.#isSaving || this.#isHeld || !(this.#isWanted || this.#isDue)) return;
    this.#isSaving = true;
    const isWanted = this.#isWanted;
    this.#isWanted = false;
    this.#entriesSince = 0;
    this.#bytesSince = 0;
    const machine = this.#machine;
    const isParted = machine.sessions.owed.bytes >= this.#limits.partedBytes;
    const whole = isParted && !isWanted ? undefined : machine.snapshotInPieces();
    const pieces =
      isParted || whole === undefined
        ? partedInPieces(point, machine.snapshotInParts(), whole)
        : wholeInPieces(point, whole);
    this.#write(pieces, isWanted, this.#replacements);
  }

  /** What is being written down is given up. */
  stop(): void {
    this.#isStopped = true;
  }

  get #isDue(): boolean {
    const { entries, bytes } = this.#limits;
    return (
      this.#entriesSince >= Math.max(entries, this.#logBytes / ENTRY_BYTES_MIN) ||
      this.#bytesSince >= Math.max(bytes, this.#logBytes)
    );
  }

  #write(pieces: Generator<undefined, Framed>, isWanted: boolean, replacements: number): void {
    if (this.#isStopped) return;
    if (replacements !== this.#replacements) {
      this.#isSaving = false;
      return;
    }
    const { done, value } = pieces.next();
    if (done === true) this.#save(value, isWanted, replacements);
    else this.#ports.clock.after(0, () => this.#write(pieces, isWanted, replacements));
  }

  #save(framed: Framed, isWanted: boolean, replacements: number): void {
    const { snapshot, whole, frame } = framed;
    const saved = (error: SkeinError | undefined): void => {
      this.#isSaving = false;
      // Not saved for want of room; the next one is tried when it is due.
      if (error?.code === "ERR_SKEIN_DISK_FULL") return;
      if (error !== undefined) {
        this.#ports.failed(error);
        return;
      }
      // A snapshot from a leader may have come in meanwhile; the newer one counts.
      if ((this.#pieces.newestIndex ?? -1) >= snapshot.index || replacements !== this.#replacements) return;
      this.#pieces.add(whole, this.#ports.clock.monotonicMs(), isWanted || this.#isWanted);
      this.#logBytes = logBytesBehind(framed);
      this.#ports.saved(pointOf(snapshot));
    };
    this.#journal.saveSnapshot(snapshot, saved, frame);
  }
}

function* wholeInPieces(
  point: SnapshotPoint,
  pieces: Generator<undefined, Uint8Array>,
): Generator<undefined, Framed> {
  const snapshot = { ...point, data: yield* pieces };
  const frame = yield* frameInPieces(snapshot, undefined);
  return { snapshot, parts: undefined, whole: snapshot, frame };
}

function* partedInPieces(
  point: SnapshotPoint,
  { parts, data }: SnapshotInParts,
  wanted: Generator<undefined, Uint8Array> | undefined,
): Generator<undefined, Framed> {
  const snapshot = { ...point, data: yield* data };
  const frame = yield* frameInPieces(snapshot, parts);
  const whole = wanted === undefined ? point : { ...point, data: yield* wanted };
  return { snapshot, parts, whole, frame };
}

function logBytesBehind({ snapshot, parts }: SavedState): number {
  return snapshot.data.length * (parts === undefined ? LOG_SHARE : LOG_SHARE_PARTED);
}

function pointOf({ index, term, configuration }: SnapshotPoint): SnapshotPoint {
  return { index, term, configuration };
}
