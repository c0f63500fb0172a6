/** What goes into the journal in one piece: the part of a `persist` effect that is written. */

import type { Entry, HardState } from "raft-js";

export interface JournalWrite {
  /** Set when term or vote changed. */
  readonly hardState: HardState | undefined;
  /** Replaces entries from `entries[0].index` on. */
  readonly entries: readonly Entry[];
  /** Up to here the entries, these included, are committed. */
  readonly committed?: number;
}

/** Term, vote and who takes part are never only in memory: losing them would break elections, not just a second's writes. */
export function isForced({ hardState, entries }: JournalWrite): boolean {
  return hardState !== undefined || entries.some(({ kind }) => kind === "configuration");
}
