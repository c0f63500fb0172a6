/** One server's disk: what is safe, and writes under way that a power loss takes away. They complete in order. */

import {
  EMPTY_STATE,
  type Entry,
  type HardState,
  type InitialState,
  type Snapshot,
} from "../../src/index.ts";

export class SimDisk {
  hardState: HardState = EMPTY_STATE.hardState;
  snapshot: Snapshot = { ...EMPTY_STATE.snapshot, data: new Uint8Array(0) };
  entries: Entry[] = [];
  /** It may have lost what was acknowledged: a mark that outlives restarts, until the server is trusted again. */
  isSuspect = false;
  /** Up to here the log is known to be committed; now and then it is noted. */
  commitIndex = 0;
  /** When the last write under way completes. */
  busyUntil = 0;

  found(state: InitialState): void {
    this.hardState = state.hardState;
    this.entries = [...state.entries];
  }

  write(hardState: HardState | undefined, entries: readonly Entry[]): void {
    if (hardState !== undefined) this.hardState = hardState;
    const first = entries[0];
    if (first === undefined) return;
    this.entries = this.entries.filter((entry) => entry.index < first.index);
    this.entries.push(...entries);
  }

  restore(snapshot: Snapshot, hardState: HardState): void {
    this.snapshot = snapshot;
    this.hardState = hardState;
    this.entries = [];
  }

  /** The application saved a snapshot of its own; a few entries before it stay. */
  compact(snapshot: Snapshot, entriesKept: number): void {
    this.snapshot = snapshot;
    this.entries = this.entries.filter((entry) => entry.index > snapshot.index - entriesKept);
  }

  /** Damage: the last `count` entries behind the snapshot are gone although they were safe. */
  lose(count: number): void {
    const keep = Math.max(0, this.entries.length - count);
    this.entries = this.entries.filter((entry, i) => i < keep || entry.index <= this.snapshot.index);
  }

  /** Whether this log is at least as good as `other`'s (paper section 5.4.1). */
  isUpToDateWith(other: SimDisk): boolean {
    const [own, others] = [this.#last, other.#last];
    return own.term > others.term || (own.term === others.term && own.index >= others.index);
  }

  get #last(): { readonly index: number; readonly term: number } {
    const last = this.entries.at(-1);
    return last !== undefined && last.index > this.snapshot.index ? last : this.snapshot;
  }

  load(): InitialState {
    const { hardState, snapshot, entries, isSuspect, commitIndex } = this;
    return { hardState, snapshot, entries: [...entries], isSuspect, commitIndex };
  }
}
