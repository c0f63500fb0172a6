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

import { type Disk, type DiskDone, type DiskFile, joined, type Prng, SkeinError } from "@skein/kernel";
import type { EventQueue } from "./event-queue.ts";
import { chance } from "./random-streams.ts";
import type { SimProcess } from "./sim-process.ts";

const SECTOR_BYTES = 512;
const FULL = "no space left on device (ENOSPC)";
const ROOM_BYTES = 2 ** 30;
const WRITE_MS_MAX = 2;
const SYNC_MS_MIN = 2;
const SYNC_MS_SPREAD = 14;
const NO_BYTES = new Uint8Array(0);

class StoredFile {
  /** As the operating system has it; the medium has the same, but for the sectors in `dirty`. */
  bytes: Uint8Array = new Uint8Array(256);
  length = 0;
  /** Length on the medium. */
  durableLength = 0;
  /** By number, the sectors written since the last sync: what the medium has there. */
  readonly dirty = new Map<number, Uint8Array>();
  /** Sectors that a failed sync has dropped, in the same form: they read well and count as written. */
  readonly #dropped = new Map<number, Uint8Array>();
  isNameDurable = false;
  /** Where the last write began; undefined: it was written as a whole. */
  lastWriteAt: number | undefined;
  /** `bytes` are somebody else's: they are copied before the first change. */
  #isBorrowed = false;

  get content(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  write(at: number, more: Uint8Array): void {
    this.#own();
    const end = at + more.length;
    if (end > this.bytes.length) {
      const grown = new Uint8Array(Math.max(end, this.bytes.length * 2));
      grown.set(this.content);
      this.bytes = grown;
    }
    for (let sector = Math.floor(at / SECTOR_BYTES); sector * SECTOR_BYTES < end; sector++)
      this.#keepDurable(sector);
    this.bytes.set(more, at);
    this.length = Math.max(this.length, end);
    this.lastWriteAt = at;
  }

  /** Everything is on the medium now, but for what a failed sync has dropped. */
  settle(): void {
    this.durableLength = this.length;
    this.dirty.clear();
    this.isNameDurable = true;
  }

  /** A sync has failed. */
  drop(): void {
    for (const [sector, before] of this.dirty) this.#dropped.set(sector, before);
    this.dirty.clear();
  }

  flipBit(at: number, bit: number): void {
    this.#own();
    this.bytes[at] = (this.bytes[at] as number) ^ (1 << bit);
  }

  /** The write of this sector never reached the medium. What is new there reads as zeros. */
  lose(sector: number): void {
    this.#revert(sector, this.dirty.get(sector));
  }

  /** The power is gone, and with it what the operating system took for written. */
  loseDropped(): void {
    for (const [sector, before] of this.#dropped) this.#revert(sector, before);
    this.#dropped.clear();
  }

  copy(): StoredFile {
    const copied = StoredFile.whole(this.content.slice());
    copied.isNameDurable = this.isNameDurable;
    return copied;
  }

  /** A file on the medium; `bytes` must not be modified afterwards. */
  static whole(bytes: Uint8Array): StoredFile {
    const file = new StoredFile();
    file.bytes = bytes;
    file.#isBorrowed = true;
    file.length = bytes.length;
    file.settle();
    return file;
  }

  #own(): void {
    if (!this.#isBorrowed) return;
    this.#isBorrowed = false;
    this.bytes = this.bytes.slice();
  }

  #keepDurable(sector: number): void {
    if (this.dirty.has(sector)) return;
    const start = sector * SECTOR_BYTES;
    const dropped = this.#dropped.get(sector);
    this.#dropped.delete(sector);
    const end = Math.min(start + SECTOR_BYTES, this.durableLength);
    this.dirty.set(sector, dropped ?? this.bytes.slice(start, end));
  }

  #revert(sector: number, durable: Uint8Array = NO_BYTES): void {
    const start = sector * SECTOR_BYTES;
    this.bytes.fill(0, start, start + SECTOR_BYTES);
    this.bytes.set(durable, start);
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
  /** Told of each file that is going to be replaced, before it is. */
  replacing: ((path: string) => void) | undefined;

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
      replace: (path, content, done) => {
        const operation = (): string | undefined => this.#replace(path, joined(content));
        this.#later(process, SYNC_MS_MIN, `replace "${path}"`, operation, done);
        this.replacing?.(path);
      },
      replaceNow: (path, bytes) => {
        if (process.effect()) this.#now(`replace "${path}"`, () => this.#replace(path, bytes));
      },
      rename: (from, to) => {
        if (process.effect()) this.#rename(from, to);
      },
      move: (from, to, done) =>
        this.#later(process, SYNC_MS_MIN, `rename "${from}"`, () => this.#rename(from, to), done),
      freeBytes: (done) => {
        const told = (): void => done(this.faults.isFull ? 0 : ROOM_BYTES);
        this.#later(process, 0, "ask for room", () => undefined, told);
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

  /**
   * Flips one bit of one file that is meant, but not in its last write: after a power cut nothing tells rot there from a torn
   * write, and a journal that syncs before it acknowledges takes it for one (segment-scan.ts). False: there is nothing to rot.
   */
  rot(prng: Prng, isMeant: (path: string) => boolean): boolean {
    const paths = this.paths.filter((path) => isMeant(path) && (this.#files.get(path)?.length ?? 0) > 0);
    const file = this.#files.get(paths[prng.below(Math.max(1, paths.length))] ?? "");
    if (file === undefined) return false;
    const before = file.lastWriteAt ?? file.length;
    if (before === 0) return false;
    const at = prng.below(before);
    file.flipBit(at, prng.below(8));
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
    let isClosed = false;
    const use = (
      leastMs: number,
      what: string,
      operation: () => string | undefined,
      done: DiskDone,
    ): void => {
      if (isClosed) throw new Error(`file used after close: ${path}`);
      this.#later(process, leastMs, `${what} "${path}"`, operation, done);
    };
    return {
      write: (at, bytes, done) => use(0, "write", () => this.#write(file, at, bytes), done),
      sync: (done) => use(SYNC_MS_MIN, "sync", () => this.#sync(file), done),
      close: () => {
        isClosed = true;
      },
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

  /** Of the sectors that were not synced all, none, the first ones or any survive. */
  #tear(file: StoredFile): void {
    const dirty = [...file.dirty.keys()].sort((a, b) => a - b);
    const fate = this.#prng.below(4);
    const kept = fate === 0 ? dirty.length : fate === 1 ? 0 : this.#prng.below(dirty.length + 1);
    const isLost = (at: number): boolean => (fate === 3 ? chance(this.#prng, 500) : at >= kept);
    let length = file.durableLength;
    const lost: number[] = [];
    for (const [at, sector] of dirty.entries()) {
      if (isLost(at)) lost.push(sector);
      else length = Math.max(length, Math.min(file.length, (sector + 1) * SECTOR_BYTES));
    }
    for (const sector of lost) file.lose(sector);
    file.loseDropped();
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
