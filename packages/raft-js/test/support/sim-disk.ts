/**
 * One server's disk: a journal of records and the newest snapshot. Writes complete in the order they were begun.
 *
 * A crash may leave the writes under way done, half done or not at all. Damage takes entries of the newest records that
 * were safe, never a term or vote (those are forced to the medium); what the lost records had overwritten is back then.
 */

import {
  type Configuration,
  decodeConfiguration,
  EMPTY_STATE,
  type Entry,
  type HardState,
  type InitialState,
  type Snapshot,
} from "../../src/index.ts";
import type { Prng } from "./prng.ts";

/** Entries, and the index up to which the log with them is noted as committed. */
interface LogRecord {
  readonly entries: readonly Entry[];
  readonly committed: number | undefined;
}

interface Write extends LogRecord {
  readonly hardState: HardState | undefined;
  /** Replaces everything, or everything but the log. All of it is written, or nothing. */
  readonly snapshot: Snapshot | undefined;
  readonly keepsLog: boolean;
}

export class SimDisk {
  hardState: HardState = EMPTY_STATE.hardState;
  snapshot: Snapshot = { ...EMPTY_STATE.snapshot, data: new Uint8Array(0) };
  entries: Entry[] = [];
  /** It may have lost what was acknowledged: a mark that outlives restarts, until the server is trusted again. */
  isSuspect = false;
  /** Entries that were safe here until damage took them. */
  readonly lost = new Set<string>();
  /** When the last write under way completes. */
  busyUntil = 0;
  /** Each write since the last snapshot, as it was written. */
  #records: LogRecord[] = [];
  #committed = 0;
  readonly #underWay: Write[] = [];

  /** Starts with this, safely. */
  found(state: Pick<InitialState, "hardState" | "entries">, snapshot: Snapshot = this.snapshot): void {
    this.hardState = state.hardState;
    this.snapshot = snapshot;
    this.#write({ entries: state.entries, committed: undefined });
  }

  begin(write: Partial<Write>): void {
    this.#underWay.push({
      hardState: undefined,
      entries: [],
      committed: undefined,
      snapshot: undefined,
      keepsLog: false,
      ...write,
    });
  }

  /** The oldest write is safe. */
  complete(): void {
    this.#apply(this.#underWay.shift()!);
  }

  /** Power is gone: some of the writes under way are done, and the next one in part. Returns whether one was half done. */
  crash(random: Prng): boolean {
    while (this.#underWay.length > 0 && random.chance(40)) this.complete();
    const half = this.#underWay[0];
    this.#underWay.length = 0;
    if (half === undefined || half.snapshot !== undefined || random.chance(50)) return false;
    // The term goes first: without it entries of that term could not be.
    const entries = half.entries.slice(0, random.below(half.entries.length + 1));
    this.#apply({ ...half, entries, committed: undefined });
    return true;
  }

  /** The application saved a snapshot of its own; a few entries before it stay. */
  compact(snapshot: Snapshot, entriesKept: number): void {
    this.snapshot = snapshot;
    this.entries = this.entries.filter((entry) => entry.index > snapshot.index - entriesKept);
    this.#records = [this.#whole];
  }

  /** Damage: the entries of the newest `count` records are gone. Returns whether older ones came back in their place. */
  lose(count: number): boolean {
    const before = this.entries;
    const kept = this.#records.slice(0, Math.max(0, this.#records.length - count));
    this.#records = [];
    this.entries = [];
    this.#committed = 0;
    for (const record of kept) this.#write(record);
    const gone = before.filter(({ index, term }) => !this.holds(index, term));
    for (const { index, term } of gone) this.lost.add(`${index} of term ${term}`);
    return gone.some(({ index }) => index <= this.last.index);
  }

  /** How many of the newest records must go for overwritten entries to come back; undefined if none were overwritten. */
  get recordsToOverwritten(): number | undefined {
    const at = this.#records.findLastIndex(({ entries }, i) => {
      const before = this.#records[i - 1]?.entries.at(-1)?.index ?? 0;
      return (entries[0]?.index ?? 0) <= before;
    });
    return at === -1 ? undefined : this.#records.length - at;
  }

  /** Whether this log is at least as good as `other`'s (paper section 5.4.1). */
  isUpToDateWith(other: SimDisk): boolean {
    const [own, others] = [this.last, other.last];
    return own.term > others.term || (own.term === others.term && own.index >= others.index);
  }

  /** Nothing was ever written to it, nor is under way. */
  get isFresh(): boolean {
    return this.hardState.term === 0 && this.#underWay.length === 1;
  }

  /** Where the log ends. */
  get last(): { readonly index: number; readonly term: number } {
    const last = this.entries.at(-1);
    return last !== undefined && last.index > this.snapshot.index ? last : this.snapshot;
  }

  /** True if the entry (`index`, `term`) is safe here, in the log or in the snapshot. */
  holds(index: number, term: number): boolean {
    const entry = this.entries[index - (this.entries[0]?.index ?? 0)];
    return entry === undefined ? index <= this.snapshot.index : entry.term === term;
  }

  /** Every configuration that is on it. */
  configurations(): Configuration[] {
    const entries = this.entries.filter(({ kind }) => kind === "configuration");
    return [this.snapshot.configuration, ...entries.map(({ data }) => decodeConfiguration(data))];
  }

  load(): InitialState {
    const { hardState, snapshot, entries, isSuspect } = this;
    return { hardState, snapshot, entries: [...entries], isSuspect, commitIndex: this.#committed };
  }

  get #whole(): LogRecord {
    return { entries: this.entries, committed: this.#committed };
  }

  #apply({ hardState, snapshot, keepsLog, ...record }: Write): void {
    if (hardState !== undefined) this.hardState = hardState;
    if (snapshot !== undefined) {
      this.snapshot = snapshot;
      if (!keepsLog) this.entries = [];
      this.#records = [this.#whole];
    }
    this.#write(record);
  }

  #write({ entries, committed }: LogRecord): void {
    const first = entries[0];
    if (first !== undefined) {
      this.#records.push({ entries, committed });
      this.entries = this.entries.filter((entry) => entry.index < first.index);
      this.entries.push(...entries);
      this.#committed = Math.min(this.#committed, first.index - 1);
    } else if (committed !== undefined) {
      // Lost with what it stands behind.
      this.#records.push({ entries: [], ...this.#records.pop(), committed });
    }
    this.#committed = committed ?? this.#committed;
  }
}
