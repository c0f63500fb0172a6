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
const APPEND_MS_MAX = 2;
const SYNC_MS_MIN = 2;
const SYNC_MS_SPREAD = 14;

class StoredFile {
  bytes: Uint8Array = new Uint8Array(256);
  length = 0;
  /** The first so many bytes are on the medium. */
  durableLength = 0;
  isNameDurable = false;

  get content(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  append(more: Uint8Array): void {
    const length = this.length + more.length;
    if (length > this.bytes.length) {
      const grown = new Uint8Array(Math.max(length, this.bytes.length * 2));
      grown.set(this.content);
      this.bytes = grown;
    }
    this.bytes.set(more, this.length);
    this.length = length;
  }

  copy(): StoredFile {
    const copied = new StoredFile();
    copied.bytes = this.bytes.slice();
    copied.length = this.length;
    copied.durableLength = this.durableLength;
    copied.isNameDurable = this.isNameDurable;
    return copied;
  }

  static whole(bytes: Uint8Array): StoredFile {
    const file = new StoredFile();
    file.append(bytes);
    file.durableLength = bytes.length;
    file.isNameDurable = true;
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
      truncate: (path, length) => {
        if (process.effect()) this.#truncate(path, length);
      },
      rename: (from, to) => {
        if (process.effect()) this.#rename(from, to);
      },
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
      append: (bytes, done) =>
        this.#later(process, 0, `write "${path}"`, () => this.#append(file, bytes), done),
      sync: (done) => {
        const length = file.length;
        this.#later(process, SYNC_MS_MIN, `sync "${path}"`, () => this.#sync(file, length), done);
      },
      close: () => {},
    };
  }

  #append(file: StoredFile, bytes: Uint8Array): string | undefined {
    if (this.faults.isFull) return "no space left on device (ENOSPC)";
    file.append(bytes);
    this.bytesWritten += bytes.length;
    return undefined;
  }

  #sync(file: StoredFile, length: number): string | undefined {
    this.syncs++;
    if (this.faults.syncsFailing > 0) {
      this.faults.syncsFailing--;
      return "input/output error (EIO)";
    }
    // What was appended before the call is durable; what came since may or may not be.
    file.durableLength = Math.max(file.durableLength, Math.min(length, file.length));
    file.isNameDurable = true;
    return undefined;
  }

  #replace(path: string, bytes: Uint8Array): string | undefined {
    if (this.faults.isFull) return "no space left on device (ENOSPC)";
    this.#files.set(path, StoredFile.whole(bytes));
    this.bytesWritten += bytes.length;
    this.syncs++;
    return undefined;
  }

  #truncate(path: string, length: number): void {
    const file = this.#existing(path);
    file.length = Math.min(length, file.length);
    file.durableLength = file.length;
    file.isNameDurable = true;
  }

  #rename(from: string, to: string): void {
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
        ? this.#prng.below(APPEND_MS_MAX * 64) / 64
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

  /** Of what was not synced all, nothing, a prefix, or some sectors survive; a lost sector reads as zeros. */
  #tear(file: StoredFile): void {
    const { durableLength, length } = file;
    const fate = this.#prng.below(4);
    if (length > durableLength && fate !== 0) {
      if (fate === 1) file.length = durableLength;
      else if (fate === 2) file.length = durableLength + this.#prng.below(length - durableLength + 1);
      else this.#loseSectors(file);
    }
    file.durableLength = file.length;
    file.isNameDurable = true;
  }

  #loseSectors(file: StoredFile): void {
    for (let at = file.durableLength; at < file.length; ) {
      const end = Math.min(file.length, (Math.floor(at / SECTOR_BYTES) + 1) * SECTOR_BYTES);
      if (chance(this.#prng, 500)) file.bytes.fill(0, at, end);
      at = end;
    }
  }
}

function diskError(what: string, reason: string): SkeinError {
  return new SkeinError("ERR_SKEIN_DISK", `Cannot ${what}: ${reason}`);
}
