/**
 * Appends records to the newest segment, begins the next one when it is full, and removes old ones.
 *
 * One append at a time (the journal sees to that); a flush may run beside it. A segment is complete on the medium
 * before the next one gets its first byte, so only the last segment can ever have a torn end. Every segment begins with
 * term and vote, so no older one is needed for those.
 */

import {
  assert,
  ByteWriter,
  type Disk,
  type DiskDone,
  type DiskFile,
  type Log,
  SkeinError,
} from "@skein/kernel";
import type { Entry, HardState } from "raft-js";
import { segmentPath } from "./files.ts";
import { encodeRecord } from "./record.ts";
import type { Segment } from "./recovery.ts";

type Opened = (file: DiskFile | undefined, error: SkeinError | undefined) => void;

export class SegmentWriter {
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #log: Log;
  /** Ascending, without gaps; the last one is written to. */
  readonly #segments: Segment[];
  readonly #segmentBytes: number;
  readonly #out = new ByteWriter(4096);
  #file: DiskFile | undefined;
  /** Set while an append is under way: a sync then says nothing about it. */
  #writing: DiskFile | undefined;
  /** As of the newest record that was handed to the disk. */
  #hardState: HardState;
  /** At first whatever was found: it may have reached only the operating system before the process ended. */
  #isDirty: boolean;
  /** Newest segment that is known to be on the medium, at least its first record. */
  #durableSegment = 0;

  constructor(
    disk: Disk,
    folder: string,
    log: Log,
    segments: Segment[],
    hardState: HardState,
    segmentBytes: number,
  ) {
    this.#disk = disk;
    this.#folder = folder;
    this.#log = log;
    this.#segments = segments;
    this.#hardState = hardState;
    this.#segmentBytes = segmentBytes;
    this.#isDirty = segments.length > 0;
  }

  /** Whether the operating system has bytes that the medium may not have. */
  get isDirty(): boolean {
    return this.#isDirty;
  }

  /** Appends in one write, for each part: term and vote if given, then the entries. */
  append(
    parts: readonly { readonly hardState: HardState | undefined; readonly entries: readonly Entry[] }[],
    mustSync: boolean,
    done: DiskDone,
  ): void {
    this.#withSegment((file, error) => {
      if (file === undefined) {
        done(error);
        return;
      }
      const segment = this.#current();
      this.#out.reset();
      if (segment.bytes === 0) this.#encodeHeader(segment.number);
      for (const { hardState, entries } of parts) {
        if (hardState !== undefined) {
          this.#hardState = hardState;
          encodeRecord({ kind: "hardState", hardState }, this.#out);
        }
        for (const entry of entries) {
          encodeRecord({ kind: "entry", entry }, this.#out);
          segment.maxIndex = Math.max(segment.maxIndex, entry.index);
        }
      }
      this.#write(file, mustSync, done);
    });
  }

  /** Begins a segment that says: the log starts anew after `index`. Durable, and the older segments gone, when done. */
  reset(index: number, term: number, hardState: HardState, done: DiskDone): void {
    this.#hardState = hardState;
    this.#beginNext((file, error) => {
      if (file === undefined) {
        done(error);
        return;
      }
      this.#out.reset();
      this.#encodeHeader(this.#current().number);
      encodeRecord({ kind: "reset", index, term }, this.#out);
      this.#write(file, true, (failed) => {
        if (failed === undefined) this.#dropCovered(Number.POSITIVE_INFINITY);
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
    this.#openCurrent((file, error) => {
      if (file === undefined) {
        done(error);
        return;
      }
      const hasHeader = segment.bytes > 0 && this.#writing === undefined;
      this.#isDirty = false;
      file.sync((failed) => {
        if (failed === undefined && hasHeader) this.#durableSegment = segment.number;
        done(failed);
      });
    });
  }

  /** Makes what follows them durable, then removes the oldest segments, as far as their entries are at `index` or before. */
  removeCovered(index: number, done: DiskDone): void {
    const oldest = this.#segments[0];
    if (oldest === undefined || this.#segments.length === 1 || oldest.maxIndex > index) {
      done(undefined);
      return;
    }
    this.sync((error) => {
      if (error === undefined) this.#dropCovered(index);
      done(error);
    });
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  /** Removes only what a durable later segment makes superfluous: that one holds term and vote. */
  #dropCovered(index: number): void {
    for (;;) {
      const oldest = this.#segments[0];
      if (oldest === undefined || oldest.maxIndex > index || oldest.number >= this.#durableSegment) return;
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

  /** Gives the open file of the segment to write to; begins the next segment where the last one is full. */
  #withSegment(use: Opened): void {
    const segment = this.#segments.at(-1);
    if (segment === undefined || segment.bytes >= this.#segmentBytes) this.#beginNext(use);
    else this.#openCurrent(use);
  }

  #openCurrent(use: Opened): void {
    if (this.#file === undefined) this.#open(this.#current().number, use);
    else use(this.#file, undefined);
  }

  #beginNext(use: Opened): void {
    this.sync((error) => {
      if (error !== undefined) {
        use(undefined, error);
        return;
      }
      this.close();
      const number = (this.#segments.at(-1)?.number ?? 0) + 1;
      this.#segments.push({ number, bytes: 0, maxIndex: 0 });
      this.#open(number, use);
    });
  }

  #open(number: number, use: Opened): void {
    try {
      this.#file = this.#disk.open(segmentPath(this.#folder, number));
    } catch (error) {
      if (!(error instanceof SkeinError)) throw error;
      use(undefined, error);
      return;
    }
    use(this.#file, undefined);
  }

  /** Appends what stands in `#out` to the current segment. */
  #write(file: DiskFile, mustSync: boolean, done: DiskDone): void {
    const bytes = this.#out.finish();
    this.#current().bytes += bytes.length;
    this.#writing = file;
    file.append(bytes, (error) => {
      this.#writing = undefined;
      if (error !== undefined) {
        done(error);
        return;
      }
      this.#isDirty = true;
      if (mustSync) this.sync(done);
      else done(undefined);
    });
  }

  #encodeHeader(number: number): void {
    encodeRecord({ kind: "segment", number, hardState: this.#hardState }, this.#out);
  }

  #current(): Segment {
    const segment = this.#segments.at(-1);
    assert(segment !== undefined, "the journal has a segment to write to");
    return segment;
  }
}
