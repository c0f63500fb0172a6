/**
 * What a Raft server keeps on its medium: term, vote, log entries and one snapshot.
 *
 * Entries, terms and votes are records in one sequence of segment files, only ever appended to. Writes given while one
 * is under way are written together with the next append (group commit). Term and vote are forced to the medium before
 * their write is done; entries are done when the operating system has them (`replicated`), and the driver calls
 * `flushDue` once a second, or when they are on the medium too (`disk`). A snapshot makes old segments superfluous:
 * they are removed whole, oldest first; every segment begins with term and vote, so none is needed for those.
 *
 * After a failed write or sync nothing more is written: what the medium then holds is unknown until it is read again.
 *
 * Source: Raft figure 2 and section 7; Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020.
 */

import { assert, ByteWriter, type Disk, type DiskFile, type Log, SkeinError } from "@skein/kernel";
import type { Entry, HardState, InitialState, Snapshot } from "raft-js";
import { segmentPath, snapshotPath, suspectPath } from "./files.ts";
import { encodeRecord } from "./record.ts";
import { type Recovered, recover, type Segment } from "./recovery.ts";
import { SnapshotWriter } from "./snapshot-writer.ts";

/** Size at which a segment is closed and the next one begun. */
const SEGMENT_BYTES = 16 * 1024 * 1024;
/** Bytes gathered into one append; what is beyond goes into the next one. A single write may be larger. */
const BATCH_BYTES_MAX = 1024 * 1024;
/** Entries kept behind a snapshot for servers that lag a little. */
const ENTRIES_KEPT = 10_000;

/** What `persist` writes; the part of the `persist` effect that goes to the medium. */
export interface JournalWrite {
  /** Set when term or vote changed. */
  readonly hardState: HardState | undefined;
  /** Replaces entries from `entries[0].index` on. */
  readonly entries: readonly Entry[];
}

/** Undefined: it worked. An error is final: the journal writes nothing more and every later call gets it too. */
export type JournalDone = (error: SkeinError | undefined) => void;

export interface JournalOptions {
  /** When entries count as written: once the operating system has them, or once the medium has them. */
  readonly durability?: "replicated" | "disk";
  /** Entries kept behind a snapshot for servers that lag a little; whole segments only. */
  readonly entriesKept?: number;
  readonly segmentBytes?: number;
}

export interface OpenedJournal {
  readonly journal: Journal;
  readonly state: InitialState;
  /** Data of the snapshot at `state.snapshot`; undefined if there is none. */
  readonly snapshotData: Uint8Array | undefined;
}

type Job =
  | { readonly kind: "write"; readonly write: JournalWrite; readonly done: JournalDone }
  | {
      readonly kind: "restore";
      readonly snapshot: Snapshot;
      readonly hardState: HardState;
      readonly done: JournalDone;
    }
  | { readonly kind: "clearSuspect" | "close"; readonly done: JournalDone };

export class Journal {
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #log: Log;
  readonly #mustSyncEntries: boolean;
  readonly #entriesKept: number;
  readonly #segmentBytes: number;
  readonly #snapshots: SnapshotWriter;
  /** Ascending, without gaps; the last one is written to. */
  readonly #segments: Segment[];
  readonly #out = new ByteWriter(4096);
  readonly #jobs: Job[] = [];
  #isBusy = false;
  #file: DiskFile | undefined;
  /** As of the newest write that was handed to the disk. */
  #hardState: HardState;
  /** Bytes that the operating system has and the medium may not have. */
  #isDirty = false;
  #isFlushing = false;
  #isClosed = false;
  #failure: SkeinError | undefined;

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
    const recovered = recover(disk, folder, log, wallMs);
    const { replay, snapshot } = recovered;
    const journal = new Journal(disk, folder, log, recovered, options);
    const point = snapshot?.index ?? 0;
    const superfluous = point - (options.entriesKept ?? ENTRIES_KEPT) - (replay.base ?? point);
    const state: InitialState = {
      hardState: replay.hardState,
      snapshot: {
        index: point,
        term: snapshot?.term ?? 0,
        configuration: snapshot?.configuration ?? { voters: [], votersOutgoing: [], learners: [] },
      },
      entries: replay.entries.slice(Math.max(0, superfluous)),
      isSuspect: recovered.isSuspect,
    };
    return { journal, state, snapshotData: snapshot?.data };
  }

  private constructor(disk: Disk, folder: string, log: Log, recovered: Recovered, options: JournalOptions) {
    this.#disk = disk;
    this.#folder = folder;
    this.#log = log;
    this.#mustSyncEntries = options.durability === "disk";
    this.#entriesKept = options.entriesKept ?? ENTRIES_KEPT;
    this.#segmentBytes = options.segmentBytes ?? SEGMENT_BYTES;
    this.#segments = recovered.segments;
    this.#hardState = recovered.replay.hardState;
    this.#snapshots = new SnapshotWriter(disk, snapshotPath(folder), recovered.snapshot?.index ?? 0);
  }

  /** Whether {@link flushDue} has something to do. */
  get isDirty(): boolean {
    return this.#isDirty;
  }

  /** Appends term, vote and entries. `done` is called in the order of the calls, never before this returns. */
  persist(write: JournalWrite, done: JournalDone): void {
    this.#enqueue({ kind: "write", write, done });
  }

  /**
   * Saves the application's own snapshot durably and removes the segments it makes superfluous. Does not wait for
   * writes and does not delay them. An older snapshot than the saved one is done at once and changes nothing.
   */
  saveSnapshot(snapshot: Snapshot, done: JournalDone): void {
    assert(!this.#isClosed, "journal used after close");
    this.#snapshots.save(snapshot, (error) => {
      if (error === undefined) this.#dropCovered(snapshot.index - this.#entriesKept);
      else this.#failure ??= error;
      done(error);
    });
  }

  /** Replaces snapshot and log by a leader's snapshot, durably, after all writes given before. The log is then empty. */
  restore(snapshot: Snapshot, hardState: HardState, done: JournalDone): void {
    this.#enqueue({ kind: "restore", snapshot, hardState, done });
  }

  /**
   * Forces what was appended to the medium. The driver calls this at most once a second while {@link isDirty}; writes
   * go on meanwhile. `done` is called with the result, at once if there is nothing to do or a flush is under way.
   */
  flushDue(done?: JournalDone): void {
    const file = this.#file;
    if (file === undefined || !this.#isDirty || this.#isFlushing || this.#failure !== undefined) {
      done?.(this.#failure);
      return;
    }
    this.#isFlushing = true;
    this.#isDirty = false;
    file.sync((error) => {
      this.#isFlushing = false;
      if (error !== undefined) this.#failure ??= error;
      done?.(error);
    });
  }

  /** Takes the mark of damage away, after everything given before is on the medium: this server has caught up. */
  clearSuspect(done: JournalDone): void {
    this.#enqueue({ kind: "clearSuspect", done });
  }

  /** Completes what was given before, forces it to the medium and closes. Nothing may be called afterwards. */
  close(done: JournalDone = () => {}): void {
    this.#enqueue({ kind: "close", done });
    this.#isClosed = true;
  }

  #enqueue(job: Job): void {
    assert(!this.#isClosed, "journal used after close");
    this.#jobs.push(job);
    if (!this.#isBusy) this.#next();
  }

  /** Starts the next job, or all writes that wait at the front of the queue together. */
  #next(): void {
    const job = this.#jobs[0];
    if (job === undefined) return;
    this.#isBusy = true;
    if (this.#failure !== undefined && job.kind !== "close") {
      this.#finish(this.#jobs.splice(0, 1), this.#failure);
    } else if (job.kind === "write") {
      this.#appendBatch(this.#takeBatch());
    } else {
      this.#jobs.shift();
      if (job.kind === "restore") this.#restore(job.snapshot, job.hardState, (e) => this.#finish([job], e));
      else if (job.kind === "close") this.#close((e) => this.#finish([job], e));
      else this.#clearSuspect((e) => this.#finish([job], e));
    }
  }

  #finish(jobs: readonly Job[], error: SkeinError | undefined): void {
    if (error !== undefined) this.#failure ??= error;
    for (const job of jobs) job.done(error);
    this.#isBusy = false;
    this.#next();
  }

  #takeBatch(): readonly Job[] {
    let bytes = 0;
    let count = 0;
    for (const job of this.#jobs) {
      if (job.kind !== "write" || bytes >= BATCH_BYTES_MAX) break;
      for (const entry of job.write.entries) bytes += entry.data.length;
      count++;
    }
    return this.#jobs.splice(0, count);
  }

  #appendBatch(batch: readonly Job[]): void {
    this.#withSegment((file, error) => {
      if (file === undefined) return this.#finish(batch, error);
      const segment = this.#current();
      let mustSync = this.#mustSyncEntries;
      this.#out.reset();
      if (segment.bytes === 0) this.#encodeHeader(segment.number);
      for (const job of batch) {
        assert(job.kind === "write", "a batch consists of writes");
        const { hardState, entries } = job.write;
        if (hardState !== undefined) {
          this.#hardState = hardState;
          encodeRecord({ kind: "hardState", hardState }, this.#out);
          mustSync = true;
        }
        for (const entry of entries) {
          encodeRecord({ kind: "entry", entry }, this.#out);
          segment.maxIndex = Math.max(segment.maxIndex, entry.index);
        }
      }
      this.#append(file, mustSync, (failed) => this.#finish(batch, failed));
    });
  }

  /** Appends what stands in `#out` to the current segment. */
  #append(file: DiskFile, mustSync: boolean, done: JournalDone): void {
    const bytes = this.#out.finish();
    this.#current().bytes += bytes.length;
    file.append(bytes, (error) => {
      if (error !== undefined) return done(error);
      if (!mustSync) {
        this.#isDirty = true;
        return done(undefined);
      }
      this.#isDirty = false;
      file.sync(done);
    });
  }

  /** Gives the open file of the segment to write to; begins the next segment where the last one is full. */
  #withSegment(use: (file: DiskFile | undefined, error: SkeinError | undefined) => void): void {
    const segment = this.#segments.at(-1);
    if (segment === undefined || segment.bytes >= this.#segmentBytes) {
      this.#roll(use);
      return;
    }
    if (this.#file !== undefined) {
      use(this.#file, undefined);
      return;
    }
    this.#openSegment(segment.number, use);
  }

  /** Closes the current segment, complete on the medium so that only a last segment can have a torn end, and begins another. */
  #roll(use: (file: DiskFile | undefined, error: SkeinError | undefined) => void): void {
    const begin = (error: SkeinError | undefined): void => {
      if (error !== undefined) {
        use(undefined, error);
        return;
      }
      this.#file?.close();
      this.#file = undefined;
      const number = (this.#segments.at(-1)?.number ?? 0) + 1;
      this.#segments.push({ number, bytes: 0, maxIndex: 0 });
      this.#openSegment(number, use);
    };
    if (this.#file === undefined) {
      begin(undefined);
      return;
    }
    this.#isDirty = false;
    this.#file.sync(begin);
  }

  #openSegment(
    number: number,
    use: (file: DiskFile | undefined, error: SkeinError | undefined) => void,
  ): void {
    try {
      this.#file = this.#disk.open(segmentPath(this.#folder, number));
    } catch (error) {
      if (error instanceof SkeinError) {
        use(undefined, error);
        return;
      }
      throw error;
    }
    use(this.#file, undefined);
  }

  #encodeHeader(number: number): void {
    encodeRecord({ kind: "segment", number, hardState: this.#hardState }, this.#out);
  }

  #restore(snapshot: Snapshot, hardState: HardState, done: JournalDone): void {
    this.#hardState = hardState;
    // The snapshot first: a crash in between leaves a log that does not join it, which the next start takes for empty.
    this.#snapshots.replace(snapshot, (error) => {
      if (error !== undefined) return done(error);
      this.#roll((file, openError) => {
        if (file === undefined) return done(openError);
        this.#out.reset();
        this.#encodeHeader(this.#current().number);
        encodeRecord({ kind: "reset", index: snapshot.index, term: snapshot.term }, this.#out);
        this.#append(file, true, (failed) => {
          if (failed === undefined) this.#dropCovered(Number.POSITIVE_INFINITY);
          done(failed);
        });
      });
    });
  }

  #clearSuspect(done: JournalDone): void {
    this.#sync((error) => {
      if (error !== undefined) return done(error);
      try {
        this.#disk.remove(suspectPath(this.#folder));
      } catch (failed) {
        if (failed instanceof SkeinError) return done(failed);
        throw failed;
      }
      done(undefined);
    });
  }

  #close(done: JournalDone): void {
    this.#sync((error) => {
      this.#file?.close();
      this.#file = undefined;
      this.#snapshots.whenIdle(() => done(error ?? this.#failure));
    });
  }

  #sync(done: JournalDone): void {
    if (this.#file === undefined || this.#failure !== undefined) {
      done(this.#failure);
      return;
    }
    this.#isDirty = false;
    this.#file.sync(done);
  }

  /** Removes the oldest segments, as long as all their entries are at `index` or before; never the one in use. */
  #dropCovered(index: number): void {
    while (this.#segments.length > 1) {
      const oldest = this.#segments[0];
      if (oldest === undefined || oldest.maxIndex > index) return;
      try {
        this.#disk.remove(segmentPath(this.#folder, oldest.number));
      } catch (error) {
        if (!(error instanceof SkeinError)) throw error;
        // Tried again after the next snapshot; until then it only takes space.
        this.#log.warn(
          { segment: oldest.number, error: error.message },
          "cannot remove an old journal segment",
        );
        return;
      }
      this.#segments.shift();
    }
  }

  #current(): Segment {
    const segment = this.#segments.at(-1);
    assert(segment !== undefined, "the journal has a segment to write to");
    return segment;
  }
}
