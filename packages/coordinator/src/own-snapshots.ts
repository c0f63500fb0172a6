/**
 * Saves the state machine when the log since the last snapshot is long, or when a follower needs a newer one, and keeps
 * what is saved for followers that are far behind (snapshot-pieces.ts).
 *
 * One at a time, beside the writes of the log, and written down in pieces between which the node does other work. A leader's snapshot that replaces the state meanwhile makes the one under way
 * void, and while a wrong state waits for its replacement none is taken.
 */

import type { Clock, SkeinError } from "@skein/kernel";
import type { RaftEffect, RaftMessage, Snapshot, SnapshotPoint } from "raft-js";
import type { Journal } from "./journal/journal.ts";
import { snapshotFrame } from "./journal/record.ts";
import { SnapshotPieces } from "./snapshot-pieces.ts";
import type { StateMachine } from "./state-machine/state-machine.ts";

type SendSnapshot = Extract<RaftEffect, { readonly kind: "sendSnapshot" }>;

/** How long a log may get before a snapshot is due, however small the state is ({@link LOG_SHARE}). */
export interface SnapshotLimits {
  /** Applied entries. */
  readonly entries: number;
  /** Bytes of applied commands. */
  readonly bytes: number;
}

/** The log may get as long as this share of the last snapshot: then snapshots write four times what comes in, however large the state is. */
const LOG_SHARE = 1 / 4;
/** An entry counts for so many bytes at least there: about what a small one takes in memory. */
const ENTRY_BYTES_MIN = 512;

/** A snapshot, and the content of its file. */
interface FramedSnapshot {
  readonly snapshot: Snapshot;
  readonly frame: readonly Uint8Array[];
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
  /** Of the last snapshot. */
  #snapshotBytes = 0;
  #isWanted = false;
  #isSaving = false;
  #isHeld = false;
  #isStopped = false;
  /** How often the state was replaced by another snapshot. */
  #replacements = 0;

  constructor(
    journal: Journal,
    machine: StateMachine,
    saved: Snapshot | undefined,
    limits: SnapshotLimits,
    ports: OwnSnapshotsPorts,
  ) {
    this.#journal = journal;
    this.#machine = machine;
    this.#limits = limits;
    this.#ports = ports;
    if (saved !== undefined) this.#pieces.reset(saved);
    this.#snapshotBytes = saved?.data.length ?? 0;
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
    this.#snapshotBytes = snapshot.data.length;
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
    const pieces = framedInPieces(point, this.#machine.snapshotInPieces());
    this.#write(pieces, isWanted, this.#replacements);
  }

  /** What is being written down is given up. */
  stop(): void {
    this.#isStopped = true;
  }

  get #isDue(): boolean {
    const { entries, bytes } = this.#limits;
    const share = this.#snapshotBytes * LOG_SHARE;
    return (
      this.#entriesSince >= Math.max(entries, share / ENTRY_BYTES_MIN) ||
      this.#bytesSince >= Math.max(bytes, share)
    );
  }

  #write(pieces: Generator<undefined, FramedSnapshot>, isWanted: boolean, replacements: number): void {
    if (this.#isStopped) return;
    if (replacements !== this.#replacements) {
      this.#isSaving = false;
      return;
    }
    const { done, value } = pieces.next();
    if (done === true) this.#save(value, isWanted, replacements);
    else this.#ports.clock.after(0, () => this.#write(pieces, isWanted, replacements));
  }

  #save(framed: FramedSnapshot, isWanted: boolean, replacements: number): void {
    const { snapshot, frame } = framed;
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
      this.#pieces.add(snapshot, this.#ports.clock.monotonicMs(), isWanted || this.#isWanted);
      this.#snapshotBytes = snapshot.data.length;
      const { index, term, configuration } = snapshot;
      this.#ports.saved({ index, term, configuration });
    };
    this.#journal.saveSnapshot(snapshot, saved, frame);
  }
}

function* framedInPieces(
  point: SnapshotPoint,
  pieces: Generator<undefined, Uint8Array>,
): Generator<undefined, FramedSnapshot> {
  const snapshot = { ...point, data: yield* pieces };
  return { snapshot, frame: yield* snapshotFrame(snapshot) };
}
