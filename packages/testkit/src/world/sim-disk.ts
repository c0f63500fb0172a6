/**
 * A machine's disk: what the operating system has (the page cache), what the medium has, and everything that goes wrong
 * between them.
 *
 * It outlives processes. A process that dies loses nothing it has appended; a power cut loses what was not synced, or keeps
 * a random part of it, torn at sectors of 512 bytes. A name made by `open` is on the medium with the first sync, a name
 * removed may come back. A failed sync drops the pages that were dirty ("fsyncgate"): they read well until the power goes.
 *
 * Source: reference design, sections 1.10 and 5.2; kernel/ports/disk.ts for what each operation promises.
 */

import { type Disk, type DiskDone, type DiskFile, type Prng, SkeinError } from "@skein/kernel";
import type { EventQueue } from "./event-queue.ts";
import { chance } from "./random-streams.ts";
import type { SimProcess } from "./sim-process.ts";

const SECTOR_BYTES = 512;
const FULL = "no space left on device (ENOSPC)";
const WRITE_MS_MAX = 2;
const SYNC_MS_MIN = 2;
const SYNC_MS_SPREAD = 14;

class StoredFile {
  /** As the operating system has it. */
  bytes: Uint8Array = new Uint8Array(256);
  length = 0;
  /** As the medium has it, in the sectors that are not in `dirty`. */
  durable: Uint8Array = new Uint8Array(0);
  /** Numbers of the sectors written since the last sync. */
  dirty = new Set<number>();
  /** Sectors that a failed sync has dropped: they read well, count as written, and the medium has what was there before. */
  readonly #dropped = new Set<number>();
  isNameDurable = false;

  get content(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  write(at: number, more: Uint8Array): void {
    const end = at + more.length;
    if (end > this.bytes.length) {
      const grown = new Uint8Array(Math.max(end, this.bytes.length * 2));
      grown.set(this.content);
      this.bytes = grown;
    }
    this.bytes.set(more, at);
    this.length = Math.max(this.length, end);
    for (let sector = Math.floor(at / SECTOR_BYTES); sector * SECTOR_BYTES < end; sector++) {
      this.dirty.add(sector);
      this.#dropped.delete(sector);
    }
  }

  /** Everything is on the medium now, but for what a failed sync has dropped. */
  settle(): void {
    const before = this.durable;
    this.durable = this.content.slice();
    for (const sector of this.#dropped) {
      const start = sector * SECTOR_BYTES;
      this.durable.fill(0, start, start + SECTOR_BYTES);
      this.durable.set(before.subarray(start, Math.min(start + SECTOR_BYTES, this.durable.length)), start);
    }
    this.dirty.clear();
    this.isNameDurable = true;
  }

  /** A sync has failed. */
  drop(): void {
    for (const sector of this.dirty) this.#dropped.add(sector);
    this.dirty.clear();
  }

  /** The power is gone, and with it what the operating system had: returns the sectors that it took for written. */
  takeDropped(): readonly number[] {
    const dropped = [...this.#dropped];
    this.#dropped.clear();
    return dropped;
  }

  copy(): StoredFile {
    const copied = StoredFile.whole(this.content);
    copied.isNameDurable = this.isNameDurable;
    return copied;
  }

  static whole(bytes: Uint8Array): StoredFile {
    const file = new StoredFile();
    file.write(0, bytes);
    file.settle();
    return file;
  }
}

interface Job {
  readonly process: SimProcess;
  readonly leastMs: number;
  readonly what: string;
  /** Returns why it failed, or undefined. */
  readonly operation: () => string | undefined;
  readonly done: DiskDone;
}

/** Faults that are switched on now. */
export interface DiskFaults {
  /** The world's time until which nothing completes. */
  stalledUntil: number;
  isFull: boolean;
  /** So many of the next syncs fail. */
  syncsFailing: number;
}

export class SimDisk {
  readonly faults: DiskFaults = { stalledUntil: 0, isFull: false, syncsFailing: 0 };
  readonly #events: EventQueue;
  readonly #prng: Prng;
  #files = new Map<string, StoredFile>();
  /** Removed, but the medium does not know yet. */
  readonly #removed = new Map<string, StoredFile>();
  readonly #waiting: Job[] = [];
  #isBusy = false;
  /** Bytes appended or replaced since the start of the world. */
  bytesWritten = 0;
  syncs = 0;

  constructor(events: EventQueue, prng: Prng) {
    this.#events = events;
    this.#prng = prng;
  }

  get paths(): readonly string[] {
    return [...this.#files.keys()].sort();
  }

  /** The disk as `process` sees it. */
  openFor(process: SimProcess): Disk {
    return {
      list: (folder) => this.#list(folder),
      read: (path) => this.#files.get(path)?.content.slice(),
      open: (path) => this.#open(process, path),
      replace: (path, bytes, done) =>
        this.#later(process, SYNC_MS_MIN, `replace "${path}"`, () => this.#replace(path, bytes), done),
      replaceNow: (path, bytes) => {
        if (process.effect()) this.#now(`replace "${path}"`, () => this.#replace(path, bytes));
      },
      rename: (from, to) => {
        if (process.effect()) this.#rename(from, to);
      },
      move: (from, to, done) =>
        this.#later(process, SYNC_MS_MIN, `rename "${from}"`, () => this.#rename(from, to), done),
      remove: (path) => {
        if (process.effect()) this.#remove(path);
      },
    };
  }

  /** The power fails. */
  cutPower(): void {
    for (const [path, file] of this.#removed) {
      // Nobody has told the medium to forget this name.
      if (!this.#files.has(path) && chance(this.#prng, 500)) this.#files.set(path, file);
    }
    this.#removed.clear();
    for (const [path, file] of [...this.#files]) {
      if (!file.isNameDurable && chance(this.#prng, 500)) this.#files.delete(path);
      else this.#tear(file);
    }
    this.faults.stalledUntil = 0;
  }

  wipe(): void {
    this.#files.clear();
    this.#removed.clear();
  }

  /** Takes over the content of another disk, as a copied memory card does. */
  cloneFrom(other: SimDisk): void {
    this.#files = new Map([...other.#files].map(([path, file]) => [path, file.copy()]));
    this.#removed.clear();
  }

  /** Flips one bit of one file in `folder` (or of any file). False: there is nothing to rot. */
  rot(prng: Prng, isMeant: (path: string) => boolean): boolean {
    const paths = this.paths.filter((path) => isMeant(path) && (this.#files.get(path)?.length ?? 0) > 0);
    const file = this.#files.get(paths[prng.below(Math.max(1, paths.length))] ?? "");
    if (file === undefined) return false;
    const at = prng.below(file.length);
    file.bytes[at] = (file.bytes[at] as number) ^ (1 << prng.below(8));
    return true;
  }

  #list(folder: string): readonly string[] {
    const prefix = `${folder}/`;
    const names: string[] = [];
    for (const path of this.#files.keys()) {
      if (path.startsWith(prefix) && !path.includes("/", prefix.length))
        names.push(path.slice(prefix.length));
    }
    return names.sort();
  }

  #open(process: SimProcess, path: string): DiskFile {
    if (process.effect() && !this.#files.has(path)) this.#files.set(path, new StoredFile());
    const file = this.#files.get(path) ?? new StoredFile();
    return {
      write: (at, bytes, done) =>
        this.#later(process, 0, `write "${path}"`, () => this.#write(file, at, bytes), done),
      sync: (done) => this.#later(process, SYNC_MS_MIN, `sync "${path}"`, () => this.#sync(file), done),
      close: () => {},
    };
  }

  #write(file: StoredFile, at: number, bytes: Uint8Array): string | undefined {
    if (this.faults.isFull && at + bytes.length > file.length) return FULL;
    file.write(at, bytes);
    this.bytesWritten += bytes.length;
    return undefined;
  }

  /** Carried out in the order of the calls, so it covers every write that has called back. */
  #sync(file: StoredFile): string | undefined {
    this.syncs++;
    if (this.faults.syncsFailing > 0) {
      this.faults.syncsFailing--;
      file.drop();
      return "input/output error (EIO)";
    }
    file.settle();
    return undefined;
  }

  #replace(path: string, bytes: Uint8Array): string | undefined {
    if (this.faults.isFull) return FULL;
    this.#files.set(path, StoredFile.whole(bytes));
    this.bytesWritten += bytes.length;
    this.syncs++;
    return undefined;
  }

  #rename(from: string, to: string): undefined {
    const file = this.#existing(from);
    this.#files.delete(from);
    file.isNameDurable = true;
    this.#files.set(to, file);
  }

  #remove(path: string): void {
    const file = this.#files.get(path);
    if (file === undefined) return;
    this.#files.delete(path);
    if (file.isNameDurable) this.#removed.set(path, file);
  }

  #existing(path: string): StoredFile {
    const file = this.#files.get(path);
    if (file === undefined) throw new SkeinError("ERR_SKEIN_DISK", `Cannot use ${path}: no such file`);
    return file;
  }

  /** One operation after another, each taking its time; it happens just before it calls back. */
  #later(
    process: SimProcess,
    leastMs: number,
    what: string,
    operation: () => string | undefined,
    done: DiskDone,
  ): void {
    if (!process.effect()) return;
    this.#waiting.push({ process, leastMs, what, operation, done });
    if (!this.#isBusy) this.#next();
  }

  #next(): void {
    const job = this.#waiting.shift();
    this.#isBusy = job !== undefined;
    if (job === undefined) return;
    const tookMs =
      job.leastMs === 0
        ? this.#prng.below(WRITE_MS_MAX * 64) / 64
        : job.leastMs + this.#prng.below(SYNC_MS_SPREAD);
    this.#events.at(Math.max(this.#events.now, this.faults.stalledUntil) + tookMs, () => this.#complete(job));
  }

  #complete(job: Job): void {
    if (job.process.isAlive && this.faults.stalledUntil > this.#events.now) {
      this.#events.at(this.faults.stalledUntil, () => this.#complete(job));
      return;
    }
    if (job.process.isAlive) {
      const failure = job.operation();
      const error = failure === undefined ? undefined : diskError(job.what, failure);
      job.process.turn(() => job.done(error));
    }
    this.#next();
  }

  #now(what: string, operation: () => string | undefined): void {
    const failure = operation();
    if (failure !== undefined) throw diskError(what, failure);
  }

  /** Of the sectors that were not synced all, none, the first ones or any survive; a new one that was lost reads as zeros. */
  #tear(file: StoredFile): void {
    const dirty = [...file.dirty].sort((a, b) => a - b);
    const fate = this.#prng.below(4);
    const kept = fate === 0 ? dirty.length : fate === 1 ? 0 : this.#prng.below(dirty.length + 1);
    const isLost = (at: number): boolean => (fate === 3 ? chance(this.#prng, 500) : at >= kept);
    let length = file.durable.length;
    const lost = [...file.takeDropped()];
    for (const [at, sector] of dirty.entries()) {
      if (isLost(at)) lost.push(sector);
      else length = Math.max(length, Math.min(file.length, (sector + 1) * SECTOR_BYTES));
    }
    for (const sector of lost) {
      const start = sector * SECTOR_BYTES;
      file.bytes.fill(0, start, start + SECTOR_BYTES);
      file.bytes.set(file.durable.subarray(start, start + SECTOR_BYTES), start);
    }
    file.length = length;
    file.settle();
  }
}

function diskError(what: string, reason: string): SkeinError {
  return new SkeinError(
    reason === FULL ? "ERR_SKEIN_DISK_FULL" : "ERR_SKEIN_DISK",
    `Cannot ${what}: ${reason}`,
  );
}
