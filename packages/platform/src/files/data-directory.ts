/**
 * The disk port on one directory of this machine, held by one node at a time.
 *
 * Files and folders are readable by their owner only: the mesh key is among them.
 */

import {
  close,
  closeSync,
  constants,
  existsSync,
  fsync,
  fsyncSync,
  mkdir,
  mkdirSync,
  open,
  openSync,
  readdirSync,
  readFileSync,
  rename,
  renameSync,
  rmSync,
  statfs,
  writeFile,
  writeFileSync,
} from "node:fs";
import { dirname, resolve, sep } from "node:path";
import {
  AssertionError,
  assert,
  type Disk,
  type DiskContent,
  type DiskDone,
  type DiskFile,
  SkeinError,
} from "@skein/kernel";
import { plainBytes } from "../plain-bytes.ts";
import { causeOf, codeOf, diskError } from "../system-error.ts";
import { lockDirectory } from "./directory-lock.ts";
import { syncFolder, WritableFile } from "./disk-file.ts";

/** Ending of a file that is being replaced; such files are never listed. */
const TEMPORARY = ".tmp";

/** A disk that is held until it is closed. */
export interface DataDirectory extends Disk {
  /** Gives the directory free for another process. Files that are still open stay usable. */
  close(): void;
}

/**
 * Creates the directory if needed, checks that it can be used, and locks it.
 *
 * @throws {SkeinError} ERR_SKEIN_DATA_DIR, one sentence with cause and fix: not creatable, readable or writable, or in
 *   use by another process (named by its id)
 */
export function openDataDirectory(path: string): DataDirectory {
  const root = resolve(path);
  try {
    makeFolders(root);
    readdirSync(root);
    const lock = lockDirectory(root);
    if ("release" in lock) return new LockedDirectory(root, () => lock.release());
    throw new SkeinError(
      "ERR_SKEIN_DATA_DIR",
      `Data directory ${root} is in use by another node (process ${lock.heldBy}). Stop that one, or choose another directory with --data-dir`,
    );
  } catch (error) {
    if (error instanceof SkeinError) throw error;
    throw new SkeinError(
      "ERR_SKEIN_DATA_DIR",
      `Cannot use data directory ${root}: ${causeOf(error)}. Make it a directory that this user may read and write, or choose another with --data-dir`,
      { cause: error },
    );
  }
}

/**
 * As `mkdir -p`, level by level: the recursive mkdir of Node spins forever where the kernel answers ENOENT below a folder
 * that is there, as it does in /proc.
 */
function makeFolders(path: string): void {
  if (existsSync(path)) return;
  makeFolders(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Another node may have made it at this moment.
    if (codeOf(error) !== "EEXIST" || !existsSync(path)) throw error;
  }
}

interface Replacement {
  readonly content: DiskContent;
  readonly done: DiskDone;
}

class LockedDirectory implements DataDirectory {
  readonly #root: string;
  readonly #release: () => void;
  /** Replacements of one file wait for each other; the first of each list is under way. */
  readonly #replacing = new Map<string, Replacement[]>();

  constructor(root: string, release: () => void) {
    this.#root = root;
    this.#release = release;
  }

  list(folder: string): readonly string[] {
    return attempt(`list "${folder}"`, () => {
      const entries = missingAsUndefined(() => readdirSync(this.#absolute(folder), { withFileTypes: true }));
      const files = (entries ?? []).filter((entry) => entry.isFile() && !entry.name.endsWith(TEMPORARY));
      return files.map((entry) => entry.name).sort();
    });
  }

  read(path: string): Uint8Array | undefined {
    return attempt(`read "${path}"`, () =>
      missingAsUndefined(() => plainBytes(readFileSync(this.#absolute(path)))),
    );
  }

  open(path: string): DiskFile {
    return attempt(`open "${path}"`, () => {
      const absolute = this.#absolute(path);
      const folder = dirname(absolute);
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      const isNew = !existsSync(absolute);
      const descriptor = openSync(absolute, constants.O_WRONLY | constants.O_CREAT, 0o600);
      return new WritableFile(descriptor, path, isNew ? folder : undefined);
    });
  }

  replace(path: string, content: DiskContent, done: DiskDone): void {
    const absolute = this.#absolute(path);
    const waiting = this.#replacing.get(absolute);
    if (waiting !== undefined) {
      waiting.push({ content, done });
      return;
    }
    const queue: Replacement[] = [{ content, done }];
    this.#replacing.set(absolute, queue);
    const next = (): void => {
      const job = queue[0];
      if (job === undefined) {
        this.#replacing.delete(absolute);
        return;
      }
      replaceFile(absolute, job.content, (error) => {
        job.done(error === null ? undefined : diskError(`replace "${path}"`, error));
        queue.shift();
        next();
      });
    };
    next();
  }

  replaceNow(path: string, bytes: Uint8Array): void {
    attempt(`replace "${path}"`, () => {
      const absolute = this.#absolute(path);
      mkdirSync(dirname(absolute), { recursive: true, mode: 0o700 });
      const temporary = `${absolute}${TEMPORARY}`;
      try {
        writeFileSync(temporary, bytes, { mode: 0o600, flush: true });
      } catch (error) {
        forgetTemporary(temporary);
        throw error;
      }
      renameSync(temporary, absolute);
      syncFolderNow(dirname(absolute));
    });
  }

  rename(from: string, to: string): void {
    attempt(`rename "${from}"`, () => {
      const target = this.#absolute(to);
      mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
      renameSync(this.#absolute(from), target);
      syncFolderNow(dirname(target));
    });
  }

  move(from: string, to: string, done: DiskDone): void {
    const target = this.#absolute(to);
    const report = (error: Error | null): void => {
      done(error === null ? undefined : diskError(`rename "${from}"`, error));
    };
    rename(this.#absolute(from), target, (error) => {
      if (error === null) syncFolder(dirname(target), report);
      else report(error);
    });
  }

  freeBytes(done: (bytes: number | undefined) => void): void {
    statfs(this.#root, (error, stats) => done(error === null ? stats.bavail * stats.bsize : undefined));
  }

  remove(path: string): void {
    attempt(`remove "${path}"`, () => rmSync(this.#absolute(path), { force: true }));
  }

  close(): void {
    this.#release();
  }

  #absolute(path: string): string {
    const absolute = resolve(this.#root, path);
    assert(absolute.startsWith(`${this.#root}${sep}`), `path outside the data directory: ${path}`);
    return absolute;
  }
}

/** Temporary file, sync, rename, sync of the folder: after a power cut there is the old content or the new one. */
function replaceFile(path: string, content: DiskContent, done: (error: Error | null) => void): void {
  const folder = dirname(path);
  const temporary = `${path}${TEMPORARY}`;
  const orStop =
    (next: () => void) =>
    (error: Error | null): void => {
      if (error === null) next();
      else done(error);
    };
  const renameAndSync = (): void => {
    rename(
      temporary,
      path,
      orStop(() => syncFolder(folder, done)),
    );
  };
  mkdir(
    folder,
    { recursive: true, mode: 0o700 },
    orStop(() => {
      writeAndSync(temporary, content, (error) => {
        if (error === null) {
          renameAndSync();
          return;
        }
        forgetTemporary(temporary);
        done(error);
      });
    }),
  );
}

/** On a full disk the half-written copy must not take the room that is left. */
function forgetTemporary(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // Reported already is what went wrong before; the next replacement writes over it.
  }
}

/** One piece after the other, in as many calls as the operating system wants. */
function writeAll(
  descriptor: number,
  [first, ...more]: readonly Uint8Array[],
  done: (error: Error | null) => void,
): void {
  if (first === undefined) {
    done(null);
    return;
  }
  writeFile(descriptor, first, (error) => {
    if (error === null) writeAll(descriptor, more, done);
    else done(error);
  });
}

function writeAndSync(path: string, content: DiskContent, done: (error: Error | null) => void): void {
  open(path, "w", 0o600, (openError, descriptor) => {
    if (openError !== null) {
      done(openError);
      return;
    }
    const finish = (error: Error | null): void => {
      close(descriptor, (closeError) => done(error ?? closeError ?? null));
    };
    writeAll(descriptor, content instanceof Uint8Array ? [content] : content, (error) => {
      if (error === null) fsync(descriptor, finish);
      else finish(error);
    });
  });
}

function syncFolderNow(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function missingAsUndefined<Result>(read: () => Result): Result | undefined {
  try {
    return read();
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

function attempt<Result>(what: string, action: () => Result): Result {
  try {
    return action();
  } catch (error) {
    if (error instanceof AssertionError) throw error;
    throw diskError(what, error);
  }
}
