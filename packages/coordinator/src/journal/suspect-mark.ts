/**
 * The mark of a journal that may lack entries which were acknowledged, with term and vote as far as they were found, and since
 * when damaged files have been set aside (set-aside.ts).
 *
 * It outlives restarts, so it is a file of its own. To take it away takes two steps, because a removed name may come back
 * after a power cut (nothing forces the folder to the medium): first it is replaced, durably, by a text that says that
 * all is well; whatever else is found in it is a mark.
 */

import { type Disk, type DiskDone, SkeinError } from "@skein/kernel";
import type { HardState } from "raft-js";
import { readOrDamaged, suspectPath } from "./files.ts";
import { decodeRecord, encodeAlone } from "./record.ts";

const CLEARED = Uint8Array.from("cleared\n", (letter) => letter.charCodeAt(0));

export interface SuspectMark {
  /** Undefined: not legible. */
  readonly hardState: HardState | undefined;
  /** 0: none were. */
  readonly asideSince: number;
}

type LegibleMark = SuspectMark & { readonly hardState: HardState };

/** Undefined: there is no mark. */
export function readSuspectMark(disk: Disk, folder: string): SuspectMark | undefined {
  const bytes = readOrDamaged(disk, suspectPath(folder));
  if (bytes === "missing") return undefined;
  if (bytes === "unreadable") return { hardState: undefined, asideSince: 0 };
  if (isCleared(bytes)) return undefined;
  const record = decodeRecord(bytes, 0)?.record;
  return record?.kind === "suspect" ? record : { hardState: undefined, asideSince: 0 };
}

/** Durable when this returns. @throws {SkeinError} ERR_SKEIN_DISK, ERR_SKEIN_DISK_FULL */
export function writeSuspectMarkNow(disk: Disk, folder: string, mark: LegibleMark): void {
  disk.replaceNow(suspectPath(folder), encodeAlone({ kind: "suspect", ...mark }));
}

export function writeSuspectMark(disk: Disk, folder: string, mark: LegibleMark, done: DiskDone): void {
  disk.replace(suspectPath(folder), encodeAlone({ kind: "suspect", ...mark }), done);
}

/** For good once `done` is called, also over a power cut. */
export function clearSuspectMark(disk: Disk, folder: string, done: DiskDone): void {
  disk.replace(suspectPath(folder), CLEARED, (error) => {
    if (error !== undefined) {
      done(error);
      return;
    }
    try {
      disk.remove(suspectPath(folder));
      done(undefined);
    } catch (failed) {
      if (!(failed instanceof SkeinError)) throw failed;
      done(failed);
    }
  });
}

function isCleared(bytes: Uint8Array): boolean {
  return bytes.length === CLEARED.length && bytes.every((byte, at) => byte === CLEARED[at]);
}
