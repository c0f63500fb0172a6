/**
 * One data directory. Paths are relative to it, with `/` between parts.
 *
 * Reading is synchronous and happens at start-up; writing and syncing call back, because a slow SD card must never
 * stop the data plane. `write` reaches the operating system (survives a crash of the process); only `sync` reaches
 * the medium (survives a power cut). Where there is no room, the error is ERR_SKEIN_DISK_FULL: it may pass.
 */

import type { SkeinError } from "../errors.ts";

/** Bytes, or pieces that follow on each other: what is large need not stand in one place first. */
export type DiskContent = Uint8Array | readonly Uint8Array[];

/** Undefined: it worked. */
export type DiskDone = (error: SkeinError | undefined) => void;

export interface DiskFile {
  /**
   * Writes bytes from offset `at` on (at most the length of the file), over what stands there. Carried out, and called
   * back, in order of the calls. The bytes must not be modified before that. After an error, what stands at their place is
   * unknown; they may be written again.
   */
  write(at: number, bytes: Uint8Array, done: DiskDone): void;
  /** Makes every write that has called back durable. */
  sync(done: DiskDone): void;
  close(): void;
}

export interface Disk {
  /** Names of the files in a folder; empty if the folder does not exist. @throws {SkeinError} ERR_SKEIN_DISK */
  list(folder: string): readonly string[];
  /** Whole content, or undefined if there is no such file. @throws {SkeinError} ERR_SKEIN_DISK */
  read(path: string): Uint8Array | undefined;
  /** Opens for writing, creating file and folders. @throws {SkeinError} ERR_SKEIN_DISK, ERR_SKEIN_DISK_FULL */
  open(path: string): DiskFile;
  /**
   * Replaces a file as a whole and durably: temporary file, sync, rename, sync of the folder. The bytes must not be
   * modified afterwards.
   */
  replace(path: string, content: DiskContent, done: DiskDone): void;
  /** The same, before returning; for start-up only. @throws {SkeinError} ERR_SKEIN_DISK */
  replaceNow(path: string, bytes: Uint8Array): void;
  /** Durably. For start-up only. @throws {SkeinError} ERR_SKEIN_DISK */
  rename(from: string, to: string): void;
  /** The same while the node runs, for two names in one folder: calls back when the new name is durable. */
  move(from: string, to: string, done: DiskDone): void;
  /** Calls back with the bytes that are free, as the file system says; undefined: it does not. Nothing is written for it. */
  freeBytes(done: (bytes: number | undefined) => void): void;
  /** Removes a file; silent if it is not there. @throws {SkeinError} ERR_SKEIN_DISK */
  remove(path: string): void;
}
