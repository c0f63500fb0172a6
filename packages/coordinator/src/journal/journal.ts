/**
 * What a Raft server keeps on its medium: term, vote, log entries, how far they are committed, and one snapshot.
 *
 * Entries, terms and votes are records in one sequence of segment files, only ever appended to. Writes given while one
 * is under way are written together with the next append (group commit). Term, vote and configurations are forced to the
 * medium before their write is done; other entries are done when the operating system has them (`replicated`), and the driver calls
 * `flushDue` once a second, or when they are on the medium too (`disk`; on a slow one at most every 50 ms, sync-pace.ts). A snapshot makes old segments superfluous:
 * whole ones are recycled or removed, oldest first; each begins with term and vote, so none is needed for those.
 *
 * After a failed write or sync nothing more is written: what the medium then holds is unknown until it is read again.
 * So the journal leaves the mark of a suspect server behind and its owner ends the process. A disk without room is not a
 * failure: the write waits and is tried again with each `flushDue`; `isFull` says so (room.ts).
 *
 * Source: Raft figure 2 and section 7; Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020.
 */

import { assert, type Clock, type Disk, type Log, type SkeinError, type Timer } from "@skein/kernel";
import type { HardState, InitialState, Snapshot } from "raft-js";
import { REPLICA_SIZES } from "../replica/replica-sizes.ts";
import { CommitNote } from "./commit-note.ts";
import { removeOrError, stopMarkPath } from "./files.ts";
import { FlushTimes } from "./flush-times.ts";
import {
  changesLog,
  EMPTY_WRITE,
  isUrgent,
  type Job,
  type JournalDone,
  type RestoreJob,
  type WriteJob,
} from "./journal-job.ts";
import { isForced, type JournalWrite } from "./journal-write.ts";
import { type Recovered, recover } from "./recovery.ts";
import type { Remains } from "./remains.ts";
import { Reserve } from "./reserve.ts";
import { isNoRoom, Room } from "./room.ts";
import { SegmentWriter } from "./segment-writer.ts";
import { frameInPieces, frameOf, type SnapshotFrame, SnapshotWriter } from "./snapshot-writer.ts";
import { type Durability, readStopMark, writeStopMark } from "./stop-mark.ts";
import { clearSuspectMark, writeSuspectMark } from "./suspect-mark.ts";
import { SyncPace } from "./sync-pace.ts";

/** Bytes gathered into one append; what is beyond goes into the next one. A single write may be larger. */
const BATCH_BYTES_MAX = 1024 * 1024;

export interface JournalOptions {
  /** Default: `replicated`. */
  readonly durability?: Durability;
  /** Which run of the machine this is; undefined: not known, so that every unclean stop counts as the machine's. */
  readonly bootId?: string | undefined;
  /** Held back for a full disk. Default: nothing. */
  readonly reserveBytes?: number;
  /** Whole segments only. */
  readonly entriesKept?: number;
  readonly segmentBytes?: number;
  /** Tells how long syncs take. Without it they never wait for each other. */
  readonly clock?: Pick<Clock, "monotonicMs" | "after"> | undefined;
  /** `disk`: shortest time between the starts of two syncs, in ms. Default: as the medium is found to be. */
  readonly syncIntervalMs?: number | undefined;
}

export interface OpenedJournal {
  readonly journal: Journal;
  readonly state: InitialState;
  /** Data of the snapshot at `state.snapshot`; undefined if there is none. */
  readonly snapshotData: Uint8Array | undefined;
  /** What these need besides; undefined: the snapshot was saved as a whole. */
  readonly snapshotParts?: readonly Uint8Array[] | undefined;
  /** Suspect, and not just because of a power cut: any entry may be missing, configurations included. */
  readonly isDamaged: boolean;
  /** What is legible behind the damage. */
  readonly remains: Remains;
}

export class Journal {
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #log: Log;
  readonly #room: Room;
  readonly #mustSyncEntries: boolean;
  readonly #clock: JournalOptions["clock"];
  readonly #pace: SyncPace;
  readonly #entriesKept: number;
  readonly flushTimes: FlushTimes;
  readonly #segments: SegmentWriter;
  readonly #snapshots: SnapshotWriter;
  /** See {@link Recovered}. */
  #asideSince: number;
  readonly #jobs: Job[] = [];
  readonly #note: CommitNote;
  #isBusy = false;
  /** Runs while the next write waits for its time. */
  #pause: Timer | undefined;
  #isFlushing = false;
  #isClosed = false;
  #failure: SkeinError | undefined;
  /** The mark of a suspect server is being written, and what waits for it. */
  #isMarking = false;
  #marked: (() => void) | undefined;

  /**
   * Opens the journal in `folder`, in whatever condition it is, and repairs it: a torn end is cut, damage is set aside
   * as `<file>.bad-<wallMs>` and makes the state suspect, also over restarts, until {@link clearSuspect}.
   *
   * @throws {SkeinError} ERR_SKEIN_DISK where the folder cannot be read or repaired at all; never for damaged content
   */
  static open(
    disk: Disk,
    folder: string,
    log: Log,
    wallMs: number,
    options: JournalOptions = {},
  ): OpenedJournal {
    const durability = options.durability ?? "replicated";
    const recovered = recover(disk, folder, log, wallMs, readStopMark(disk, folder, options.bootId));
    const { replay } = recovered;
    const { snapshot, parts: snapshotParts } = recovered.saved;
    // Only now: a crash before this is judged by the old mark once more.
    writeStopMark(disk, folder, durability, options.bootId);
    const journal = new Journal(disk, folder, log, recovered, options);
    const point = snapshot?.index ?? 0;
    const lastIndex = Math.max(point, replay.entries.at(-1)?.index ?? 0);
    const superfluous = point - (options.entriesKept ?? REPLICA_SIZES.entriesKept) - (replay.base ?? point);
    const state: InitialState = {
      hardState: replay.hardState,
      snapshot: {
        index: point,
        term: snapshot?.term ?? 0,
        configuration: snapshot?.configuration ?? { voters: [], votersOutgoing: [], learners: [] },
      },
      entries: replay.entries.slice(Math.max(0, superfluous)),
      commitIndex: recovered.commitIndex,
      isSuspect: recovered.isSuspect,
      isIncomplete: recovered.remains.lastIndex > lastIndex,
    };
    const { isDamaged, remains } = recovered;
    return { journal, state, snapshotData: snapshot?.data, snapshotParts, isDamaged, remains };
  }

  private constructor(disk: Disk, folder: string, log: Log, recovered: Recovered, options: JournalOptions) {
    this.#disk = disk;
    this.#folder = folder;
    this.#log = log;
    const reserve = new Reserve(disk, folder, options.reserveBytes ?? 0);
    reserve.hold();
    this.#room = new Room(reserve, log);
    this.#note = new CommitNote(recovered.commitIndex);
    this.#mustSyncEntries = options.durability === "disk";
    this.#clock = options.clock;
    this.#pace = new SyncPace(options.syncIntervalMs);
    this.#entriesKept = options.entriesKept ?? REPLICA_SIZES.entriesKept;
    this.#asideSince = recovered.asideSince;
    this.flushTimes = new FlushTimes(options.clock);
    const segmentBytes = options.segmentBytes ?? REPLICA_SIZES.segmentBytes;
    this.#segments = new SegmentWriter(disk, folder, log, recovered, segmentBytes, this.flushTimes);
    const { snapshot, found } = recovered.saved;
    this.#snapshots = new SnapshotWriter(disk, folder, snapshot?.index ?? 0, found);
  }

  /** Whether {@link flushDue} has something to do. */
  get isDirty(): boolean {
    return this.#segments.isDirty || this.isFull;
  }

  /** The disk has no room (or not the reserve back yet): take nothing new that is meant to last. */
  get isFull(): boolean {
    return this.#room.isFull;
  }

  /** Appends term, vote and entries. The `done` of several calls are called in the order of the calls. */
  persist(write: JournalWrite, done: JournalDone): void {
    this.#enqueue({ kind: "write", write, done });
  }

  /** All entries given before, up to `index`, are committed (commit-note.ts). Call it about once a second. */
  noteCommitted(index: number): void {
    if (this.#note.set(index) && !this.isFull && this.#failure === undefined) this.#enqueue(EMPTY_WRITE);
  }

  /**
   * Saves the application's own snapshot durably and removes the segments it makes superfluous. Does not wait for
   * writes and does not delay them. `frame`: what is to be written, if that is made already. An older snapshot than the saved one is done at once and changes nothing.
   */
  saveSnapshot(snapshot: Snapshot, done: JournalDone, frame = frameOf(snapshot)): void {
    assert(!this.#isClosed, "journal used after close");
    if (this.#failure !== undefined) {
      done(this.#failure);
      return;
    }
    this.#snapshots.save(snapshot.index, frame, (error) => {
      if (error !== undefined) {
        if (isNoRoom(error)) this.#room.noteFull(error);
        else this.#fail(error);
        done(error);
        return;
      }
      this.#segments.removeCovered(snapshot.index - this.#entriesKept, (failed) => {
        if (failed !== undefined) this.#fail(failed);
        done(failed);
      });
    });
  }

  /**
   * Replaces the snapshot by a leader's, durably, after all writes given before, and the log by nothing; or the log, which has
   * the entry of the snapshot, stays (`keepsLog`). Writes given afterwards wait for it. A large one is framed in pieces, between which
   * the node does other work.
   */
  restore(snapshot: Snapshot, keepsLog: boolean, hardState: HardState, done: JournalDone): void {
    this.#enqueue({ kind: "restore", snapshot, keepsLog, hardState, done });
  }

  /**
   * Forces what was appended to the medium, and tries again what found no room; writes go on meanwhile. `done` is called with the
   * result, at once if there is nothing to do or a flush is under way.
   */
  flushDue(done: JournalDone = () => {}): void {
    if (this.isFull && this.#failure === undefined) this.#room.tryAgain();
    if (!this.#segments.isDirty || this.#isFlushing || this.#failure !== undefined) {
      done(this.#failure);
      return;
    }
    this.#isFlushing = true;
    this.#segments.sync((error) => {
      this.#isFlushing = false;
      if (error !== undefined) this.#fail(error);
      done(error);
    });
  }

  /** Takes the mark of damage away, after everything given before is on the medium: this server has caught up. */
  clearSuspect(done: JournalDone): void {
    this.#enqueue({ kind: "clearSuspect", done });
  }

  /** Completes what was given before, forces it to the medium and closes. Nothing may be called afterwards. */
  close(done: JournalDone = () => {}): void {
    if (this.#note.isDue) this.#enqueue(EMPTY_WRITE);
    this.#enqueue({ kind: "close", done });
    this.#isClosed = true;
    this.#room.close();
  }

  #enqueue(job: Job): void {
    assert(!this.#isClosed, "journal used after close");
    this.#jobs.push(job);
    if (this.#isBusy || (this.#pause !== undefined && !isUrgent(job))) return;
    this.#pause?.cancel();
    this.#pause = undefined;
    this.#next();
  }

  /** Starts the next job, or all writes that wait at the front of the queue together. */
  #next(): void {
    const job = this.#jobs[0];
    if (job === undefined || this.#isTooEarly()) return;
    this.#isBusy = true;
    if (job.kind === "write") {
      this.#write(this.#takeBatch());
      return;
    }
    this.#jobs.shift();
    const done: JournalDone = (error) => this.#finish([job], error);
    if (job.kind === "close") this.#close(done);
    else if (this.#failure !== undefined) done(this.#failure);
    else if (job.kind === "restore") this.#frame(job, frameInPieces(job.snapshot, undefined), done);
    else this.#clearSuspect(done);
  }

  /** Whether all that waits can wait for the medium's next turn, and that has not come; then it goes on by itself. */
  #isTooEarly(): boolean {
    if (this.#clock === undefined || !this.#mustSyncEntries || this.#failure !== undefined) return false;
    if (this.#jobs.some(isUrgent)) return false;
    const waitMs = this.#pace.waitMs(this.#clock.monotonicMs());
    if (waitMs <= 0) return false;
    this.#pause = this.#clock.after(waitMs, () => {
      this.#pause = undefined;
      this.#next();
    });
    return true;
  }

  #finish(jobs: readonly Job[], error: SkeinError | undefined): void {
    if (error !== undefined) this.#fail(error);
    for (const job of jobs) job.done(error);
    this.#isBusy = false;
    this.#next();
  }

  #takeBatch(): readonly WriteJob[] {
    const batch: WriteJob[] = [];
    let bytes = 0;
    for (const job of this.#jobs) {
      if (job.kind !== "write" || bytes >= BATCH_BYTES_MAX) break;
      for (const entry of job.write.entries) bytes += entry.data.length;
      batch.push(job);
    }
    this.#jobs.splice(0, batch.length);
    return batch;
  }

  #write(batch: readonly WriteJob[]): void {
    if (this.#failure !== undefined) {
      this.#finish(batch, this.#failure);
      return;
    }
    const parts = batch.map((job) => job.write);
    // It is about all that was given before it: before what still waits it would name entries that this replaces.
    const committed = this.#jobs.some(changesLog) ? undefined : this.#note.take();
    if (committed !== undefined) parts.push({ hardState: undefined, entries: [], committed });
    const mustSync = this.#mustSyncEntries || parts.some(isForced);
    const now = (): number => this.#clock?.monotonicMs() ?? 0;
    this.#pace.begun(now());
    this.#room.carryOut(
      (done) => this.#segments.append(parts, mustSync, done),
      (error) => {
        if (mustSync && error === undefined) this.#pace.ended(now());
        this.#finish(batch, error);
      },
    );
  }

  /** After this nothing is written but, if the disk still can, the mark that makes the next start suspect. */
  #fail(error: SkeinError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    if (isNoRoom(error)) return;
    const mark = { hardState: this.#segments.hardState, asideSince: this.#asideSince };
    this.#isMarking = true;
    writeSuspectMark(this.#disk, this.#folder, mark, (failed) => {
      if (failed !== undefined) this.#log.error({ error: failed.message }, "cannot mark the journal suspect");
      this.#isMarking = false;
      this.#marked?.();
    });
  }

  #frame(job: RestoreJob, pieces: Generator<undefined, SnapshotFrame>, done: JournalDone): void {
    let piece = pieces.next();
    while (this.#clock === undefined && piece.done !== true) piece = pieces.next();
    if (this.#failure !== undefined) done(this.#failure);
    else if (piece.done === true) this.#restore(job, piece.value, done);
    else this.#clock?.after(0, () => this.#frame(job, pieces, done));
  }

  #restore({ snapshot, keepsLog, hardState }: RestoreJob, frame: SnapshotFrame, done: JournalDone): void {
    // The snapshot first: a crash in between leaves a log that does not join it, which the next start takes for empty.
    this.#room.carryOut(
      (saved) => this.#snapshots.replace(snapshot.index, frame, saved),
      (error) => {
        if (error !== undefined) {
          done(error);
          return;
        }
        const { index, term } = snapshot;
        this.#room.carryOut((written) => {
          if (keepsLog) this.#segments.append([{ hardState, entries: [] }], true, written);
          else this.#segments.reset(index, term, hardState, written);
        }, done);
      },
    );
  }

  #clearSuspect(done: JournalDone): void {
    this.#segments.sync((error) => {
      this.#asideSince = 0;
      if (error !== undefined) done(error);
      else clearSuspectMark(this.#disk, this.#folder, done);
    });
  }

  #close(done: JournalDone): void {
    const close: JournalDone = (error) => {
      this.#segments.close();
      // Everything is on the medium: the next start has nothing to doubt.
      this.#snapshots.whenIdle(() => done(error ?? removeOrError(this.#disk, stopMarkPath(this.#folder))));
    };
    const failure = this.#failure;
    if (failure === undefined) this.#segments.sync(close);
    else if (this.#isMarking) this.#marked = () => close(failure);
    else close(failure);
  }
}
