/**
 * A disk in memory that keeps apart what the operating system has and what the medium has.
 *
 * Writes, syncs and replacements wait in a queue until the test lets them happen (`step`, `settle`), in order per file
 * and in the order given; so a test can stop the world between any two of them. `crash` is a power cut: what was not
 * synced is lost, or survives in part as the test decides. `kill` is a crash of the process only.
 */

import {
  type Disk,
  type DiskContent,
  type DiskDone,
  type DiskFile,
  type ErrorCode,
  joined,
  SkeinError,
} from "@skein/kernel";

type Operation = "append" | "sync" | "replace" | "move" | "ask";

interface StoredFile {
  /** What reading gives now. */
  cached: Uint8Array;
  /** What is left after a power cut; undefined: not even the name. */
  durable: Uint8Array | undefined;
}

interface Pending {
  readonly operation: Operation;
  /** Bytes more than before that are stored when it has run. */
  readonly growth: () => number;
  readonly run: () => void;
  readonly done: DiskDone;
}

const EMPTY = new Uint8Array(0);

export class MemoryDisk implements Disk {
  readonly files = new Map<string, StoredFile>();
  readonly #pending: Pending[] = [];
  readonly #failures: {
    readonly operation: Operation;
    readonly message: string;
    readonly code: ErrorCode;
  }[] = [];
  readonly #unreadable = new Set<string>();
  /** Immediate changes (rename, remove, replaceNow, truncate) that still happen; after them the process dies. */
  #changesLeft = Number.POSITIVE_INFINITY;
  /** Operations that completed, for tests that count them. */
  readonly completed = { append: 0, sync: 0, replace: 0, move: 0, ask: 0 };
  /** Appends under way or done, with their size in bytes. */
  readonly appends: number[] = [];

  /** Whether it says how much room there is. */
  isRoomKnown = true;
  /** Bytes that still find room. */
  room = Number.POSITIVE_INFINITY;

  get pending(): number {
    return this.#pending.length;
  }

  /** Operations of this kind that wait. */
  waiting(kind: Operation): number {
    return this.#pending.filter(({ operation }) => operation === kind).length;
  }

  list(folder: string): readonly string[] {
    const prefix = `${folder}/`;
    const names: string[] = [];
    for (const path of this.files.keys()) {
      if (path.startsWith(prefix) && !path.slice(prefix.length).includes("/")) {
        names.push(path.slice(prefix.length));
      }
    }
    return names.sort();
  }

  read(path: string): Uint8Array | undefined {
    if (this.#unreadable.has(path)) throw new SkeinError("ERR_SKEIN_DISK", `Cannot read ${path}: I/O error`);
    return this.files.get(path)?.cached.slice();
  }

  open(path: string): DiskFile {
    if (!this.files.has(path)) this.files.set(path, { cached: EMPTY, durable: undefined });
    const file = this.files.get(path);
    if (file === undefined) throw new Error("the file was just made");
    let isClosed = false;
    const use = (): void => {
      if (isClosed) throw new Error(`file used after close: ${path}`);
    };
    return {
      write: (at, bytes, done) => {
        use();
        this.appends.push(bytes.length);
        const write = (): void => {
          if (at > file.cached.length) throw new Error(`write at ${at} behind the end of ${path}`);
          file.cached = overwritten(file.cached, at, bytes);
        };
        const growth = (): number => Math.max(0, at + bytes.length - file.cached.length);
        this.#pending.push({ operation: "append", growth, run: write, done });
      },
      sync: (done) => {
        use();
        const sync = (): void => {
          file.durable = file.cached;
        };
        this.#pending.push({ operation: "sync", growth: () => 0, run: sync, done });
      },
      close: () => {
        isClosed = true;
      },
    };
  }

  replace(path: string, content: DiskContent, done: DiskDone): void {
    const bytes = joined(content);
    const growth = (): number => bytes.length - this.#sizeOf(path);
    this.#pending.push({ operation: "replace", growth, run: () => this.replaceNow(path, bytes), done });
  }

  replaceNow(path: string, bytes: Uint8Array): void {
    this.#change();
    this.room -= bytes.length - this.#sizeOf(path);
    this.files.set(path, { cached: bytes.slice(), durable: bytes.slice() });
  }

  rename(from: string, to: string): void {
    this.#change();
    const file = this.files.get(from);
    if (file === undefined) throw new SkeinError("ERR_SKEIN_DISK", `Cannot rename ${from}: no such file`);
    this.files.delete(from);
    this.room += this.#sizeOf(to);
    this.files.set(to, file);
    if (this.#unreadable.delete(from)) this.#unreadable.add(to);
  }

  move(from: string, to: string, done: DiskDone): void {
    this.#pending.push({ operation: "move", growth: () => 0, run: () => this.rename(from, to), done });
  }

  freeBytes(done: (bytes: number | undefined) => void): void {
    const told = (): void => done(this.isRoomKnown ? this.room : undefined);
    this.#pending.push({ operation: "ask", growth: () => 0, run: () => {}, done: told });
  }

  remove(path: string): void {
    this.#change();
    this.room += this.#sizeOf(path);
    this.files.delete(path);
  }

  /** Lets the oldest waiting operation happen. False: there was none. */
  step(): boolean {
    const next = this.#pending.shift();
    if (next === undefined) return false;
    const failure = this.#failures[0];
    if (failure?.operation === next.operation) {
      this.#failures.shift();
      next.done(new SkeinError(failure.code, failure.message));
      return true;
    }
    const growth = next.growth();
    if (growth > this.room) {
      next.done(new SkeinError("ERR_SKEIN_DISK_FULL", "no space left"));
      return true;
    }
    if (next.operation === "append") this.room -= growth;
    next.run();
    this.completed[next.operation]++;
    next.done(undefined);
    return true;
  }

  /** Lets everything happen, also what the completions ask for. */
  settle(): void {
    while (this.step());
  }

  /** The next `operation` to happen fails. */
  failNext(operation: Operation, message = "injected failure", code: ErrorCode = "ERR_SKEIN_DISK"): void {
    this.#failures.push({ operation, message, code });
  }

  /** The process dies (a ProcessDied is thrown) instead of immediate change number `changes` + 1. */
  dieAfter(changes: number): void {
    this.#changesLeft = changes;
  }

  /** From now on reading `path` is an I/O error, as with a dead sector. */
  makeUnreadable(path: string): void {
    this.#unreadable.add(path);
  }

  /** The process dies: waiting operations never happen, the operating system keeps what it has. */
  kill(): void {
    this.#pending.length = 0;
    this.#failures.length = 0;
  }

  /**
   * The power fails. Of the bytes from the first one on that was changed since the last sync, `kept` of `count` survive
   * (none, unless told); behind them stands what was there before.
   */
  crash(kept: (path: string, count: number) => number = () => 0): void {
    this.kill();
    for (const [path, file] of [...this.files]) {
      const before = file.durable ?? EMPTY;
      const same = commonBytes(before, file.cached);
      const survived = Math.min(kept(path, file.cached.length - same), file.cached.length - same);
      if (file.durable === undefined && survived === 0) this.files.delete(path);
      else this.files.set(path, copyOf(overwritten(before, 0, file.cached.slice(0, same + survived))));
    }
  }

  /** Flips bits of one byte, on the medium and as read. */
  corrupt(path: string, at: number, mask = 0x01): void {
    const file = this.files.get(path);
    const byte = file?.cached[at];
    if (file === undefined || byte === undefined) throw new Error(`${path} has no byte ${at}`);
    const bytes = file.cached.slice();
    bytes[at] = byte ^ mask;
    this.files.set(path, copyOf(bytes));
  }

  /** Cuts a file behind its owner's back. */
  cut(path: string, length: number): void {
    const file = this.files.get(path);
    if (file === undefined) throw new Error(`there is no ${path}`);
    this.files.set(path, copyOf(file.cached.slice(0, length)));
  }

  /** An independent disk with the same content, as read now; nothing waits on it. */
  clone(): MemoryDisk {
    const copy = new MemoryDisk();
    for (const [path, file] of this.files) copy.files.set(path, { ...file });
    return copy;
  }

  #sizeOf(path: string): number {
    return this.files.get(path)?.cached.length ?? 0;
  }

  #change(): void {
    if (this.#changesLeft === 0) throw new ProcessDied("the process died before this change");
    this.#changesLeft--;
  }
}

/** Ends the code under test where a crash would. */
export class ProcessDied extends Error {}

function copyOf(bytes: Uint8Array): StoredFile {
  return { cached: bytes, durable: bytes };
}

function overwritten(before: Uint8Array, at: number, bytes: Uint8Array): Uint8Array {
  const after = new Uint8Array(Math.max(before.length, at + bytes.length));
  after.set(before);
  after.set(bytes, at);
  return after;
}

function commonBytes(a: Uint8Array, b: Uint8Array): number {
  let same = 0;
  while (same < a.length && same < b.length && a[same] === b[same]) same++;
  return same;
}
