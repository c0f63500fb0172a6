/**
 * Writes snapshots to their one file, one after the other, each as a whole.
 *
 * Two replacements of one file must not overlap, and an older snapshot must never take the place of a newer one.
 */

import type { Disk, DiskDone } from "@skein/kernel";
import type { Snapshot } from "raft-js";
import { snapshotFrame } from "./record.ts";

/** The content of its file, made at once. */
export function frameOf(snapshot: Snapshot): readonly Uint8Array[] {
  const frame = snapshotFrame(snapshot);
  for (;;) {
    const { done, value } = frame.next();
    if (done === true) return value;
  }
}

export class SnapshotWriter {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #waiting: { readonly frame: readonly Uint8Array[]; readonly done: DiskDone }[] = [];
  readonly #idle: (() => void)[] = [];
  /** Index of the newest snapshot that was asked for. */
  #index: number;
  #isBusy = false;

  constructor(disk: Disk, path: string, index: number) {
    this.#disk = disk;
    this.#path = path;
    this.#index = index;
  }

  /** Writes `frame`, of the snapshot at `index`, durably, unless that is older than one that was asked for before. */
  save(index: number, frame: readonly Uint8Array[], done: DiskDone): void {
    if (index < this.#index) done(undefined);
    else this.#write(index, frame, done);
  }

  /** Writes `snapshot` durably, whatever stood there. */
  replace(snapshot: Snapshot, done: DiskDone): void {
    this.#write(snapshot.index, frameOf(snapshot), done);
  }

  /** Calls back once nothing is being written. */
  whenIdle(callback: () => void): void {
    if (this.#isBusy) this.#idle.push(callback);
    else callback();
  }

  #write(index: number, frame: readonly Uint8Array[], done: DiskDone): void {
    this.#index = index;
    this.#waiting.push({ frame, done });
    if (!this.#isBusy) this.#next();
  }

  #next(): void {
    const job = this.#waiting.shift();
    if (job === undefined) {
      for (const callback of this.#idle.splice(0)) callback();
      return;
    }
    this.#isBusy = true;
    this.#disk.replace(this.#path, job.frame, (error) => {
      this.#isBusy = false;
      job.done(error);
      if (!this.#isBusy) this.#next();
    });
  }
}
