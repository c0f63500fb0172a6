/**
 * One data directory. Paths are relative to it, with `/` between parts.
 *
 * Reading is synchronous and happens at start-up; appending and syncing call back, because a slow SD card must never
 * stop the data plane. `append` reaches the operating system (survives a crash of the process); only `sync` reaches
 * the medium (survives a power cut).
 */

import type { SkeinError } from "../errors.ts";

/** Undefined: it worked. */
export type DiskDone = (error: SkeinError | undefined) => void;

export interface DiskFile {
  /** Adds bytes at the end. Calls back in order of the calls. The bytes must not be modified before that. */
  append(bytes: Uint8Array, done: DiskDone): void;
  /** Makes every append that has called back durable. */
  sync(done: DiskDone): void;
  close(): void;
}

export interface Disk {
  /** Names of the files in a folder; empty if the folder does not exist. @throws {SkeinError} ERR_SKEIN_DISK */
  list(folder: string): readonly string[];
  /** Whole content, or undefined if there is no such file. @throws {SkeinError} ERR_SKEIN_DISK */
  read(path: string): Uint8Array | undefined;
  /** Opens for appending, creating file and folders. @throws {SkeinError} ERR_SKEIN_DISK */
  open(path: string): DiskFile;
  /** Replaces a small file as a whole and durably: temporary file, sync, rename, sync of the folder. */
  replace(path: string, bytes: Uint8Array, done: DiskDone): void;
  /** The same, before returning; for start-up only. @throws {SkeinError} ERR_SKEIN_DISK */
  replaceNow(path: string, bytes: Uint8Array): void;
  /** Cuts a file to `length` bytes, durably. For start-up only. @throws {SkeinError} ERR_SKEIN_DISK */
  truncate(path: string, length: number): void;
  /** @throws {SkeinError} ERR_SKEIN_DISK */
  rename(from: string, to: string): void;
  /** Removes a file; silent if it is not there. @throws {SkeinError} ERR_SKEIN_DISK */
  remove(path: string): void;
}
