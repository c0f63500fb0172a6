/**
 * Appends batches to the newest segment, begins the next one when it is full, and lets go of old ones.
 *
 * One append at a time (the journal sees to that); a flush may run beside it, and never two. A segment is complete on
 * the medium before the next one gets its first byte, so only the last segment can ever have a torn end. Every segment
 * begins with term and vote, so no older one is needed for those.
 *
 * The oldest segment that a snapshot has made superfluous becomes the newest: renamed, and written over from its start.
 * A file that keeps its size and its blocks costs the medium a quarter of one that grows, and nothing is written ahead
 * to have such files (reference design 1.9; users, section 6.1). What the old life has left behind the new batches does
 * not parse: its records name another generation.
 *
 * A batch that found no room (ERR_SKEIN_DISK_FULL) may be given again; it takes the same place.
 */

import { assert, type Disk, type DiskDone, type DiskFile, type Log, SkeinError } from "@skein/kernel";
import type { HardState } from "raft-js";
import { BatchEncoder } from "./batch.ts";
import { segmentPath } from "./files.ts";
import type { FlushTimes } from "./flush-times.ts";
import type { JournalWrite } from "./journal-write.ts";
import type { Recovered, Segment } from "./recovery.ts";
import { SyncGate } from "./sync-gate.ts";
import { TermSpans } from "./term-spans.ts";

/** Superfluous segments kept for recycling; more are removed. */
const SPARES_MAX = 1;

interface OpenSegment {
  readonly file: DiskFile;
  readonly syncs: SyncGate;
}

type Opened = (opened: OpenSegment | undefined, error: SkeinError | undefined) => void;

export class SegmentWriter {
  readonly #times: FlushTimes;
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #log: Log;
  /** Ascending, without gaps; the last one is written to. */
  readonly #segments: Segment[];
  readonly #segmentBytes: number;
  readonly #batch = new BatchEncoder();
  readonly #terms = new TermSpans();
  /** Hash of the last batch that was written. */
  #hash: number;
  /** The last segment, open. */
  #current: OpenSegment | undefined;
  /** Set while an append is under way: a sync then says nothing about it. */
  #isWriting = false;
  /** As of the newest record that was handed to the disk. */
  #hardState: HardState;
  /** At first whatever was found: it may have reached only the operating system before the process ended. */
  #isDirty: boolean;
  /** Newest segment that is known to be on the medium, at least its first record. */
  #durableSegment = 0;
  /** Segments whose entries are all at this index or before are superfluous. */
  #coveredIndex = 0;

  constructor(
    disk: Disk,
    folder: string,
    log: Log,
    recovered: Recovered,
    segmentBytes: number,
    times: FlushTimes,
  ) {
    this.#times = times;
    this.#disk = disk;
    this.#folder = folder;
    this.#log = log;
    this.#segments = recovered.segments;
    this.#hash = recovered.hash;
    this.#hardState = recovered.replay.hardState;
    this.#segmentBytes = segmentBytes;
    this.#isDirty = recovered.segments.length > 0;
    const { replay, saved } = recovered;
    const { snapshot } = saved;
    if (replay.base !== undefined) this.#terms.reset(replay.base, replay.baseTerm);
    else if (snapshot !== undefined) this.#terms.reset(snapshot.index, snapshot.term);
    for (const { index, term } of replay.entries) this.#terms.append(index, term);
  }

  /** As of the newest record that was handed to the disk. */
  get hardState(): HardState {
    return this.#hardState;
  }

  /** Whether the operating system has bytes that the medium may not have. */
  get isDirty(): boolean {
    return this.#isDirty;
  }

  /** Appends in one write, for each part: term and vote if given, then the entries, then what is committed if given. */
  append(parts: readonly JournalWrite[], mustSync: boolean, done: DiskDone): void {
    this.#withSegment((opened, error) => {
      if (opened === undefined) {
        done(error);
        return;
      }
      const segment = this.#begin();
      for (const { hardState, entries, committed } of parts) {
        if (hardState !== undefined) {
          this.#hardState = hardState;
          this.#batch.add({ kind: "hardState", hardState });
        }
        for (const entry of entries) {
          this.#batch.add({
            kind: "entry",
            entry,
            previousTerm: this.#terms.append(entry.index, entry.term),
          });
          segment.maxIndex = Math.max(segment.maxIndex, entry.index);
        }
        if (committed !== undefined) this.#batch.add({ kind: "committed", index: committed });
      }
      this.#write(opened, mustSync, done);
    });
  }

  /** Begins a segment that says: the log starts anew after `index`. Durable when done; the older segments may go. */
  reset(index: number, term: number, hardState: HardState, done: DiskDone): void {
    this.#hardState = hardState;
    this.#beginNext((opened, error) => {
      if (opened === undefined) {
        done(error);
        return;
      }
      this.#begin();
      this.#batch.add({ kind: "reset", index, term });
      this.#terms.reset(index, term);
      this.#write(opened, true, (failed) => {
        if (failed === undefined) {
          this.#coveredIndex = Number.POSITIVE_INFINITY;
          this.#dropCovered();
          // What comes behind the reset may have any index; only what stands before it is superfluous.
          this.#coveredIndex = index;
        }
        done(failed);
      });
    });
  }

  /** Makes everything durable whose append has called back. */
  sync(done: DiskDone): void {
    const segment = this.#segments.at(-1);
    if (segment === undefined) {
      done(undefined);
      return;
    }
    this.#openCurrent((opened, error) => {
      if (opened === undefined) {
        done(error);
        return;
      }
      const hasHeader = segment.bytes > 0 && !this.#isWriting;
      this.#isDirty = false;
      opened.syncs.sync((failed) => {
        if (failed === undefined && hasHeader) this.#durableSegment = segment.number;
        done(failed);
      });
    });
  }

  /** Lets go of the oldest segments, as far as their entries are at `index` or before, once what follows is durable. */
  removeCovered(index: number, done: DiskDone): void {
    this.#coveredIndex = Math.max(this.#coveredIndex, index);
    if (!this.#isCovered(this.#segments[0])) {
      done(undefined);
      return;
    }
    this.sync((error) => {
      if (error === undefined) this.#dropCovered();
      done(error);
    });
  }

  close(): void {
    this.#current?.syncs.close();
    this.#current = undefined;
  }

  /** Whether `segment` and all before it are superfluous, and a durable later one holds term and vote. */
  #isCovered(segment: Segment | undefined): segment is Segment {
    if (segment === undefined || segment === this.#segments.at(-1)) return false;
    return segment.maxIndex <= this.#coveredIndex;
  }

  /** Removes the superfluous segments, oldest first, but for those that will be recycled. */
  #dropCovered(): void {
    let covered = 0;
    while (this.#isDroppable(this.#segments[covered])) covered++;
    for (; covered > 0; covered--) {
      const oldest = this.#segments[0];
      if (oldest === undefined || (covered <= SPARES_MAX && oldest.bytes >= this.#segmentBytes)) return;
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

  #isDroppable(segment: Segment | undefined): segment is Segment {
    return this.#isCovered(segment) && segment.number < this.#durableSegment;
  }

  /** Gives the open file of the segment to write to; begins the next segment where the last one is full. */
  #withSegment(use: Opened): void {
    const segment = this.#segments.at(-1);
    if (segment === undefined || segment.bytes >= this.#segmentBytes) this.#beginNext(use);
    else this.#openCurrent(use);
  }

  #openCurrent(use: Opened): void {
    try {
      this.#current ??= this.#open(this.#last());
    } catch (error) {
      if (!(error instanceof SkeinError)) throw error;
      use(undefined, error);
      return;
    }
    use(this.#current, undefined);
  }

  #open({ number }: Segment): OpenSegment {
    const file = this.#disk.open(segmentPath(this.#folder, number));
    return { file, syncs: new SyncGate(file, this.#times) };
  }

  #beginNext(use: Opened): void {
    // Begun before, but its first batch found no room.
    if (this.#segments.at(-1)?.bytes === 0) {
      this.#openCurrent(use);
      return;
    }
    this.sync((error) => {
      if (error !== undefined) {
        use(undefined, error);
        return;
      }
      this.close();
      const number = (this.#segments.at(-1)?.number ?? 0) + 1;
      const begin = (): void => {
        // Not before: a flush may come while a spare is renamed, and what it opens would then be written to.
        this.close();
        this.#segments.push({ number, bytes: 0, maxIndex: 0 });
        this.#openCurrent(use);
      };
      const spare = this.#segments[0];
      if (this.#isDroppable(spare) && spare.bytes >= this.#segmentBytes)
        this.#recycle(spare, number, begin, use);
      else begin();
    });
  }

  /** Gives the oldest segment the name of the next one. */
  #recycle(spare: Segment, number: number, begin: () => void, use: Opened): void {
    this.#segments.shift();
    const path = segmentPath(this.#folder, spare.number);
    this.#disk.move(path, segmentPath(this.#folder, number), (error) => {
      if (error === undefined) {
        begin();
        return;
      }
      this.#segments.unshift(spare);
      use(undefined, error);
    });
  }

  /** Begins the next batch of the current segment. */
  #begin(): Segment {
    const segment = this.#last();
    this.#batch.begin(segment.number, this.#hash);
    if (segment.bytes === 0) {
      this.#batch.add({ kind: "segment", number: segment.number, hardState: this.#hardState });
    }
    return segment;
  }

  /** Writes the batch. */
  #write({ file }: OpenSegment, mustSync: boolean, done: DiskDone): void {
    const { bytes, length, hash } = this.#batch.finish();
    const segment = this.#last();
    if (length === 0) {
      // Nothing but messages waited for this turn. A batch of nothing would be a link of the chain that nobody finds.
      done(undefined);
      return;
    }
    this.#isWriting = true;
    // Over the end mark of the batch before.
    file.write(segment.bytes, bytes, (error) => {
      this.#isWriting = false;
      if (error !== undefined) {
        done(error);
        return;
      }
      segment.bytes += length;
      this.#hash = hash;
      this.#isDirty = true;
      if (mustSync) this.sync(done);
      else done(undefined);
    });
  }

  #last(): Segment {
    const segment = this.#segments.at(-1);
    assert(segment !== undefined, "the journal has a segment to write to");
    return segment;
  }
}
