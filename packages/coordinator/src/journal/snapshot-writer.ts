/**
 * Writes snapshots to their one file, one after the other, each as a whole; and their parts, if they have any, before that (part-files.ts).
 *
 * Two replacements of one file must not overlap, and an older snapshot must never take the place of a newer one.
 */

import type { Disk, DiskDone } from "@skein/kernel";
import type { Snapshot } from "raft-js";
import { atOnce } from "../pieces.ts";
import { snapshotPath } from "./files.ts";
import { type FoundParts, PartFiles, type PartPlace } from "./part-files.ts";
import { checksumInPieces, encodeAlone, snapshotFrame } from "./record.ts";

/** What is to be written for a snapshot. */
export interface SnapshotFrame {
  /** What stands apart from its file. Never changed; an array that was in the snapshot before is not written again. */
  readonly parts: readonly Uint8Array[];
  /** The content of its file, once it is known where each of `parts` stands. */
  readonly content: (places: readonly PartPlace[]) => readonly Uint8Array[];
}

/** The frame of `snapshot`, whose data need `parts`; in pieces, between which the node does other work. */
export function* frameInPieces(
  snapshot: Snapshot,
  parts: readonly Uint8Array[] | undefined,
): Generator<undefined, SnapshotFrame> {
  if (parts === undefined) {
    const whole = yield* snapshotFrame(snapshot);
    return { parts: [], content: () => whole };
  }
  const { data, ...point } = snapshot;
  const dataChecksum = yield* checksumInPieces(data);
  const content = (places: readonly PartPlace[]): readonly Uint8Array[] => {
    const parted = { ...point, dataBytes: data.length, dataChecksum, parts: places };
    return [encodeAlone({ kind: "partedSnapshot", snapshot: parted }), data];
  };
  return { parts, content };
}

/** The same at once. */
export function frameOf(snapshot: Snapshot, parts?: readonly Uint8Array[]): SnapshotFrame {
  return atOnce(frameInPieces(snapshot, parts));
}

export class SnapshotWriter {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #parts: PartFiles;
  readonly #waiting: { readonly frame: SnapshotFrame; readonly done: DiskDone }[] = [];
  readonly #idle: (() => void)[] = [];
  /** Index of the newest snapshot that was asked for. */
  #index: number;
  #isBusy = false;

  constructor(disk: Disk, folder: string, index: number, found: FoundParts) {
    this.#disk = disk;
    this.#path = snapshotPath(folder);
    this.#parts = new PartFiles(disk, folder, found);
    this.#index = index;
  }

  /** Writes `frame`, of the snapshot at `index`, durably, unless that is older than one that was asked for before. */
  save(index: number, frame: SnapshotFrame, done: DiskDone): void {
    if (index < this.#index) done(undefined);
    else this.replace(index, frame, done);
  }

  /** Writes `frame`, of the snapshot at `index`, durably, whatever stood there. */
  replace(index: number, frame: SnapshotFrame, done: DiskDone): void {
    this.#index = index;
    this.#waiting.push({ frame, done });
    if (!this.#isBusy) this.#next();
  }

  /** Calls back once nothing is being written. */
  whenIdle(callback: () => void): void {
    if (this.#isBusy) this.#idle.push(callback);
    else callback();
  }

  #next(): void {
    const job = this.#waiting.shift();
    if (job === undefined) {
      for (const callback of this.#idle.splice(0)) callback();
      return;
    }
    this.#isBusy = true;
    this.#carryOut(job.frame, (error) => {
      this.#isBusy = false;
      job.done(error);
      if (!this.#isBusy) this.#next();
    });
  }

  #carryOut({ parts, content }: SnapshotFrame, done: DiskDone): void {
    this.#parts.write(parts, (places, failed) => {
      if (places === undefined) {
        done(failed);
        return;
      }
      this.#disk.replace(this.#path, content(places), (error) => {
        // Whether the file names the old parts or the new ones is unknown after an error: all stay.
        done(error ?? this.#parts.keepOnly(parts));
      });
    });
  }
}
