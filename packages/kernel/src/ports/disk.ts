/**
 * One data directory. Paths are relative to it, with `/` between parts.
 *
 * Reading is synchronous and happens at start-up; appending and syncing call back, because a slow SD card must never
 * stop the data plane. `append` reaches the operating system (survives a crash of the process); only `sync` reaches
 * the medium (survives a power cut). Where there is no room, the error is ERR_SKEIN_DISK_FULL: it may pass.
 */

import type { SkeinError } from "../errors.ts";

/** Undefined: it worked. */
export type DiskDone = (error: SkeinError | undefined) => void;

export interface DiskFile {
  /**
   * Writes bytes behind those of the call before, over what may stand there. Calls back in order of the calls. The bytes
   * must not be modified before that. After an error, what stands at their place is unknown.
   */
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
  /**
   * Opens for writing from offset `at` (in bytes, at most the length of the file) on, creating file and folders. What
   * stands behind `at` stays until it is written over. @throws {SkeinError} ERR_SKEIN_DISK, ERR_SKEIN_DISK_FULL
   */
  openAt(path: string, at: number): DiskFile;
  /** Replaces a small file as a whole and durably: temporary file, sync, rename, sync of the folder. */
  replace(path: string, bytes: Uint8Array, done: DiskDone): void;
  /** The same, before returning; for start-up only. @throws {SkeinError} ERR_SKEIN_DISK */
  replaceNow(path: string, bytes: Uint8Array): void;
  /** Durably. For start-up only. @throws {SkeinError} ERR_SKEIN_DISK */
  rename(from: string, to: string): void;
  /** The same while the node runs, for two names in one folder: calls back when the new name is durable. */
  move(from: string, to: string, done: DiskDone): void;
  /** Removes a file; silent if it is not there. @throws {SkeinError} ERR_SKEIN_DISK */
  remove(path: string): void;
}
