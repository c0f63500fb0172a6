/** What waits for its turn in the journal: one thing after another is done to the medium. */

import type { SkeinError } from "@skein/kernel";
import type { HardState, Snapshot } from "raft-js";
import { isForced, type JournalWrite } from "./journal-write.ts";

/**
 * Undefined: it worked. An error is final: the journal writes nothing more and every later call gets it too. (But for
 * ERR_SKEIN_DISK_FULL from `saveSnapshot`: that snapshot was not saved, and everything else goes on.)
 */
export type JournalDone = (error: SkeinError | undefined) => void;

export interface WriteJob {
  readonly kind: "write";
  readonly write: JournalWrite;
  readonly done: JournalDone;
}

export interface RestoreJob {
  readonly kind: "restore";
  readonly snapshot: Snapshot;
  readonly keepsLog: boolean;
  readonly hardState: HardState;
  readonly done: JournalDone;
}

export type Job =
  | WriteJob
  | RestoreJob
  | { readonly kind: "clearSuspect" | "close"; readonly done: JournalDone };

/** A write of nothing but what every write brings. */
export const EMPTY_WRITE: Job = {
  kind: "write",
  write: { hardState: undefined, entries: [] },
  done: () => {},
};

/** Whether the log is another one afterwards. */
export function changesLog({ kind }: Job): boolean {
  return kind === "write" || kind === "restore";
}

/** Whether it must not wait for others to share a sync with: elections do not, and neither does who stops. */
export function isUrgent(job: Job): boolean {
  return job.kind !== "write" || isForced(job.write);
}
