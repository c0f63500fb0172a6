/**
 * Opens a journal's folder in whatever condition it is, repairs it and says what can be trusted.
 *
 * A node always starts (promise P12). A torn end is cut off. Around rot, the good records before it are kept, the
 * damaged file and everything after it are set aside under another name, and term and vote are honoured wherever they
 * are found. The result is marked suspect wherever acknowledged entries may be missing, so that this server does not vote
 * until it has caught up: after rot; after an unclean stop of the machine in `replicated`; and with a torn end, unless
 * the profile was `disk` and the stop unclean (then what was cut short had not been acknowledged). The mark is a file, written before anything is moved, so it outlives a crash at any step; each step
 * leaves a folder that the next start reads with the same result.
 *
 * What is legible behind damage is not lost: it may be the last copy of something that was acknowledged. It is read from the
 * files that were set aside, also by later starts, for as long as the server is suspect (remains.ts).
 *
 * Source: Alagappan et al., FAST 2018 (reference design 1.10).
 */

import { type Disk, joined, type Log } from "@skein/kernel";
import type { HardState, Snapshot } from "raft-js";
import { BatchEncoder, END_MARK } from "./batch.ts";
import {
  keepCopy,
  listSegments,
  pruneSetAside,
  readOrDamaged,
  segmentPath,
  setAside,
  snapshotPath,
} from "./files.ts";
import type { JournalRecord } from "./record.ts";
import type { Remains } from "./remains.ts";
import { Replay, stronger } from "./replay.ts";
import { NO_SNAPSHOT, readSavedSnapshot, removeUnnamed, type SavedSnapshot } from "./saved-snapshot.ts";
import { type SegmentScan, scanSegment } from "./segment-scan.ts";
import { SetAside } from "./set-aside.ts";
import type { LastStop } from "./stop-mark.ts";
import { readSuspectMark, type SuspectMark, writeSuspectMarkNow } from "./suspect-mark.ts";

const NOTHING = new Uint8Array(0);

/** A segment that is in use. */
export interface Segment {
  readonly number: number;
  /** Where the next batch goes. */
  bytes: number;
  /** Highest index of any entry written to it, superseded ones included; 0 if none. */
  maxIndex: number;
}

/** What was found, after repair. */
export interface Recovered {
  readonly replay: Replay;
  readonly saved: SavedSnapshot;
  /** Up to here everything is known to be committed. */
  readonly commitIndex: number;
  readonly isSuspect: boolean;
  /**
   * More may be missing than what a power cut takes in `replicated`: anything, configurations included (those are
   * forced to the medium).
   */
  readonly isDamaged: boolean;
  /** Entries behind damage; nothing unless suspect. */
  readonly remains: Remains;
  /** Since when files were set aside that may be needed; 0: none. */
  readonly asideSince: number;
  /** Ascending numbers without gaps. The last one is written on. */
  readonly segments: Segment[];
  /** Hash of the last batch, which the next one names. */
  readonly hash: number;
}

/** @throws {SkeinError} ERR_SKEIN_DISK where the folder cannot be repaired (full, read-only); never for its content */
export function recover(disk: Disk, folder: string, log: Log, wallMs: number, stop: LastStop): Recovered {
  return new Recovery(disk, folder, log, wallMs, stop).run();
}

class Recovery {
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #log: Log;
  readonly #aside: SetAside;
  readonly #stop: LastStop;
  readonly #replay = new Replay();
  readonly #segments: Segment[] = [];
  #isSuspect = false;
  #isDamaged = false;
  /** Hash of the last batch that is kept. */
  #hash = 0;
  /** Term and vote are known that the segments in use do not hold: a new one must begin with them. */
  #mustBegin = false;

  constructor(disk: Disk, folder: string, log: Log, wallMs: number, stop: LastStop) {
    this.#stop = stop;
    this.#disk = disk;
    this.#folder = folder;
    this.#log = log;
    this.#aside = new SetAside(disk, folder, wallMs);
  }

  run(): Recovered {
    const mark = this.#readMark();
    const { saved, isDamaged } = this.#readSnapshot();
    const { snapshot } = saved;
    this.#readSegments(snapshot);
    const written = this.#replay.hardState;
    if (mark?.hardState !== undefined) this.#replay.hardState = stronger(written, mark.hardState);
    this.#raiseTerm(snapshot);
    this.#judgeStop(snapshot);
    this.#join(snapshot, isDamaged, written);
    const asideSince = this.#aside.since;
    const neededSince = asideSince > 0 ? asideSince : Number.POSITIVE_INFINITY;
    pruneSetAside(this.#disk, this.#folder, this.#log, neededSince);
    return {
      replay: this.#replay,
      saved,
      commitIndex: Math.max(
        snapshot?.index ?? 0,
        Math.min(this.#replay.committed, this.#replay.lastIndex ?? 0),
      ),
      isSuspect: this.#isSuspect,
      isDamaged: this.#isDamaged,
      remains: this.#aside.remains(),
      asideSince,
      segments: this.#segments,
      hash: this.#hash,
    };
  }

  /**
   * After a failed sync the operating system may hold what it takes for written and the medium does not have: written
   * again, it is known to be there (Rebello et al., ATC 2020). Only the last segment can have such bytes. A process that
   * died may have died of that, before it could leave a mark; in `disk` what is read back counts as safe.
   */
  #rewriteLast(number: number, bytes: Uint8Array, goodBytes: number): void {
    this.#keepGood(number, bytes.subarray(0, goodBytes), undefined);
  }

  #mayHaveFailedSync(): boolean {
    return this.#stop.kind === "process" && this.#stop.durability === "disk";
  }

  /** Reads the mark an earlier start left. */
  #readMark(): SuspectMark | undefined {
    const mark = readSuspectMark(this.#disk, this.#folder);
    if (mark === undefined) return undefined;
    this.#isSuspect = true;
    // Whatever made it so at that time.
    this.#isDamaged = true;
    this.#aside.since = mark.asideSince;
    return mark;
  }

  #readSnapshot(): { readonly saved: SavedSnapshot; readonly isDamaged: boolean } {
    const saved = readSavedSnapshot(this.#disk, this.#folder);
    if (saved !== undefined) {
      removeUnnamed(this.#disk, this.#folder, saved);
      return { saved, isDamaged: false };
    }
    // Its parts stay until the next snapshot is saved.
    const path = snapshotPath(this.#folder);
    const movedTo = setAside(this.#disk, path, this.#aside.time);
    this.#log.warn({ file: path, movedTo }, "snapshot damaged, set aside");
    return { saved: NO_SNAPSHOT, isDamaged: true };
  }

  #readSegments(snapshot: Snapshot | undefined): void {
    const numbers = listSegments(this.#disk, this.#folder);
    for (const [at, number] of numbers.entries()) {
      const bytes = readOrDamaged(this.#disk, segmentPath(this.#folder, number));
      const later = numbers.slice(at + 1);
      const previous = this.#segments.at(-1);
      const expected = previous?.number === number - 1 ? this.#hash : 0;
      const scan =
        bytes === "missing" || bytes === "unreadable" ? undefined : scanSegment(bytes, number, expected);
      if (previous !== undefined && previous.number + 1 !== number && !this.#restartsAt(scan, snapshot)) {
        this.#cutOut(number, undefined, 0, later);
        return;
      }
      if (scan === undefined) {
        this.#cutOut(number, undefined, 0, later);
        return;
      }
      const kept = this.#applyAll(scan, number);
      const isLast = later.length === 0 && !this.#aside.wasInterrupted(number, bytes as Uint8Array);
      const isTorn = kept === scan.records.length && scan.damage === "torn" && isLast;
      if (isTorn) this.#cutTornEnd(number, bytes as Uint8Array, scan);
      else if (kept < scan.records.length || scan.damage !== "none") {
        this.#cutOut(number, { bytes: bytes as Uint8Array, scan }, kept, later);
        return;
      } else if (later.length === 0 && (this.#isSuspect || this.#mayHaveFailedSync())) {
        this.#rewriteLast(number, bytes as Uint8Array, scan.goodBytes);
      }
    }
  }

  /**
   * Segments are removed oldest first, but a power cut may bring some of them back. A log that goes on right behind the
   * snapshot then needs nothing from before the hole.
   */
  #restartsAt(scan: SegmentScan | undefined, snapshot: Snapshot | undefined): boolean {
    const first = scan?.records.find(
      ({ record }) => record.kind === "entry" || record.kind === "reset",
    )?.record;
    const base =
      first?.kind === "entry" ? first.entry.index - 1 : first?.kind === "reset" ? first.index : undefined;
    if (base === undefined || snapshot === undefined || base > snapshot.index) return false;
    this.#replay.forgetLog();
    for (const { number } of this.#segments) this.#disk.remove(segmentPath(this.#folder, number));
    this.#segments.length = 0;
    return true;
  }

  /** Applies the good records of a segment as far as they fit; returns how many did. */
  #applyAll(scan: SegmentScan, number: number): number {
    const segment: Segment = { number, bytes: scan.goodBytes, maxIndex: 0 };
    this.#segments.push(segment);
    for (const [at, { record, hash }] of scan.records.entries()) {
      if (!this.#replay.apply(record, number, at === 0)) return at;
      this.#hash = hash;
      if (record.kind === "entry") segment.maxIndex = Math.max(segment.maxIndex, record.entry.index);
    }
    return scan.records.length;
  }

  #cutTornEnd(number: number, bytes: Uint8Array, scan: SegmentScan): void {
    const file = segmentPath(this.#folder, number);
    if (this.#stop.kind === "clean" || this.#stop.durability === "replicated") {
      // What was cut short may have been acknowledged; how much of it there was cannot be known.
      // A power cut cuts short only what nobody was told of. Anything else may have damaged the newest vote.
      const isDamage = this.#stop.kind !== "machine";
      if (isDamage) this.#replay.assumeLostVote();
      this.#aside.begin(number, bytes, []);
      this.#supersede(scan, scan.records.length);
      this.#mark(isDamage);
      const movedTo = keepCopy(this.#disk, file, bytes, this.#aside.time);
      const explanation = `End of data file damaged. Kept ${this.#replay.count} records and a copy in ${movedTo}, taking current state from peers`;
      this.#log.warn({ file, movedTo, explanation }, "data file damaged");
    } else {
      this.#log.info(
        { file, bytes: scan.goodBytes },
        "cut off an unfinished write at the end of the journal",
      );
    }
    this.#keepGood(number, bytes.subarray(0, scan.goodBytes), this.#replay.dropSuperseded());
  }

  /** Where the machine stopped before a flush, entries that were acknowledged may be gone without a trace. */
  #judgeStop(snapshot: Snapshot | undefined): void {
    const { kind, durability } = this.#stop;
    const isEmpty = this.#segments.length === 0 && snapshot === undefined;
    if (kind !== "machine" || durability === "disk" || this.#isSuspect || isEmpty) return;
    this.#mark(false);
    const explanation =
      "The machine stopped without notice (power cut?): the last second may be missing, taking current state from peers";
    this.#log.warn({ explanation }, "journal not closed");
  }

  /** Keeps the first `kept` records of segment `number`, sets the rest of it and all `later` segments aside. */
  #cutOut(
    number: number,
    content: { readonly bytes: Uint8Array; readonly scan: SegmentScan } | undefined,
    kept: number,
    later: readonly number[],
  ): void {
    const file = segmentPath(this.#folder, number);
    this.#aside.begin(number, content?.bytes, later);
    if (content !== undefined) this.#honour(content.scan, kept);
    for (const other of content === undefined ? [number, ...later] : later)
      this.#honourFile(segmentPath(this.#folder, other), other);
    // Those that an earlier start has already set aside, if it was interrupted at that.
    for (const other of this.#aside.behind(number)) this.#honourFile(other.path, other.number);
    this.#replay.assumeLostVote();
    this.#mark();
    this.#mustBegin = true;

    // The damaged copy first, the newest segment next, the good part last: any step may be the last one before a crash.
    const goodBytes = content?.scan.records[kept - 1]?.end ?? 0;
    const superseded = this.#replay.dropSuperseded();
    const isKept = goodBytes > 0 || superseded !== undefined;
    let movedTo = "";
    if (isKept && content !== undefined)
      movedTo = keepCopy(this.#disk, file, content.bytes, this.#aside.time);
    for (const other of later.toReversed()) {
      setAside(this.#disk, segmentPath(this.#folder, other), this.#aside.time);
    }
    if (movedTo === "") movedTo = setAside(this.#disk, file, this.#aside.time);
    if (isKept) this.#keepGood(number, content?.bytes.subarray(0, goodBytes) ?? NOTHING, superseded);
    else if (this.#segments.at(-1)?.number === number) this.#segments.pop();
    this.#reportDamage(file, movedTo, later.length);
  }

  /**
   * Leaves the good part of a segment in its place. Entries from `superseded` on, here or in earlier segments, are void: what
   * had taken their place was set aside. That is said in the same step, because nothing else would say it any more.
   */
  #keepGood(number: number, good: Uint8Array, superseded: number | undefined): void {
    if (this.#segments.at(-1)?.number !== number) this.#segments.push({ number, bytes: 0, maxIndex: 0 });
    const segment = this.#segments.at(-1) as Segment;
    segment.bytes = good.length;
    let end: Uint8Array = good.length > 0 ? END_MARK : NOTHING;
    if (superseded !== undefined) {
      const batch = new BatchEncoder();
      batch.begin(number, this.#hash);
      if (good.length === 0) batch.add({ kind: "segment", number, hardState: this.#replay.hardState });
      batch.add({ kind: "superseded", from: superseded });
      const { bytes, length, hash } = batch.finish();
      end = bytes;
      segment.bytes += length;
      this.#hash = hash;
    }
    this.#disk.replaceNow(segmentPath(this.#folder, number), joined([good, end]));
  }

  #honourFile(path: string, number: number): void {
    const bytes = readOrDamaged(this.#disk, path);
    if (bytes === "missing" || bytes === "unreadable") return;
    this.#honour(scanSegment(bytes, number), 0);
  }

  /** What stands behind the damage is not in use, but it is believed where it says more than what was kept. */
  #honour(scan: SegmentScan, kept: number): void {
    for (const { record } of [...scan.records.slice(kept), ...scan.after]) this.#replay.honour(record);
    this.#supersede(scan, kept);
  }

  #supersede({ records, after }: SegmentScan, kept: number): void {
    const own = after.filter(({ isInside }) => !isInside);
    for (const { record } of [...records.slice(kept), ...own]) this.#replay.supersede(record);
  }

  #reportDamage(file: string, movedTo: string, laterSegments: number): void {
    const kept = this.#replay.count;
    const explanation =
      `Data file damaged at record ${kept + 1} (power loss?). Kept ${kept} records, ` +
      `moved the rest to ${movedTo}, taking current state from peers`;
    this.#log.warn(
      { file, record: kept + 1, kept, movedTo, laterSegments, explanation },
      "data file damaged",
    );
  }

  /** Marks the journal suspect on the medium, with term and vote as far as they are known. */
  #mark(isDamage = true): void {
    this.#isSuspect = true;
    this.#isDamaged ||= isDamage;
    const { hardState } = this.#replay;
    writeSuspectMarkNow(this.#disk, this.#folder, { hardState, asideSince: this.#aside.since });
  }

  /** No log or snapshot can be of a later term than the server has seen; where it is, a record is missing. */
  #raiseTerm(snapshot: Snapshot | undefined): void {
    const replay = this.#replay;
    const term = Math.max(replay.entries.at(-1)?.term ?? 0, snapshot?.term ?? 0);
    if (term <= replay.hardState.term) return;
    replay.hardState = { term, votedFor: undefined };
    replay.assumeLostVote();
  }

  /** Makes log and snapshot follow on each other, and begins a segment where what is on disk would not say so. */
  #join(snapshot: Snapshot | undefined, isSnapshotDamaged: boolean, written: HardState): void {
    const replay = this.#replay;
    const point = snapshot?.index ?? 0;
    const hasGap = replay.base !== undefined && replay.base > point;
    const isLost = hasGap || (isSnapshotDamaged && replay.base === undefined);
    if (isLost && !this.#isSuspect) {
      this.#mark();
      const explanation =
        "Log entries before the journal's first are gone with a snapshot, taking current state from peers";
      this.#log.warn({ snapshot: point, explanation }, "journal incomplete");
    }
    const mustReset = hasGap || (snapshot !== undefined && !replay.joins(snapshot));
    const { hardState } = replay;
    const isWritten = hardState.term === written.term && hardState.votedFor === written.votedFor;
    if (!mustReset && isWritten && !this.#mustBegin) return;
    if (mustReset) {
      replay.forgetLog();
      replay.base = point;
      replay.baseTerm = snapshot?.term ?? 0;
    }
    this.#beginSegment(mustReset ? { kind: "reset", index: point, term: snapshot?.term ?? 0 } : undefined);
  }

  #beginSegment(reset: JournalRecord | undefined): void {
    const number = (this.#segments.at(-1)?.number ?? 0) + 1;
    const batch = new BatchEncoder();
    batch.begin(number, this.#segments.length === 0 ? 0 : this.#hash);
    batch.add({ kind: "segment", number, hardState: this.#replay.hardState });
    if (reset !== undefined) batch.add(reset);
    const { bytes, length, hash } = batch.finish();
    this.#disk.replaceNow(segmentPath(this.#folder, number), bytes);
    this.#segments.push({ number, bytes: length, maxIndex: 0 });
    this.#hash = hash;
  }
}
