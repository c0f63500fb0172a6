/**
 * Writes snapshots to their one file, one after the other, each as a whole.
 *
 * Two replacements of one file must not overlap, and an older snapshot must never take the place of a newer one.
 */

import type { Disk, DiskDone } from "@skein/kernel";
import type { Snapshot } from "raft-js";
import { encodeAlone } from "./record.ts";

export class SnapshotWriter {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #waiting: { readonly snapshot: Snapshot; readonly done: DiskDone }[] = [];
  readonly #idle: (() => void)[] = [];
  /** Index of the newest snapshot that was asked for. */
  #index: number;
  #isBusy = false;

  constructor(disk: Disk, path: string, index: number) {
    this.#disk = disk;
    this.#path = path;
    this.#index = index;
  }

  /** Writes `snapshot` durably, unless it is older than one that was asked for before. */
  save(snapshot: Snapshot, done: DiskDone): void {
    if (snapshot.index < this.#index) {
      done(undefined);
      return;
    }
    this.replace(snapshot, done);
  }

  /** Writes `snapshot` durably, whatever stood there. */
  replace(snapshot: Snapshot, done: DiskDone): void {
    this.#index = snapshot.index;
    this.#waiting.push({ snapshot, done });
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
    this.#disk.replace(this.#path, encodeAlone({ kind: "snapshot", snapshot: job.snapshot }), (error) => {
      this.#isBusy = false;
      job.done(error);
      if (!this.#isBusy) this.#next();
    });
  }
}
