/**
 * The log in memory: entries behind the last snapshot (and a few before it), what is committed, what was applied.
 *
 * `termAt` answers for every entry held and for the one just before them, which is all that the consistency check
 * of AppendEntries needs (paper section 5.3). Entries are never changed; a conflict replaces a suffix, and never one
 * that reaches into the committed part: that is asserted, because it would undo what was promised.
 */

import { assert } from "./assert.ts";
import { decodeConfiguration } from "./configuration.ts";
import { ConfigurationHistory } from "./configuration-history.ts";
import type { InitialState } from "./options.ts";
import type { Configuration, Entry, SnapshotPoint } from "./types.ts";

/** What an entry costs beyond its data, in bytes, wherever entries are counted. */
const ENTRY_OVERHEAD_BYTES = 32;

const NONE: readonly Entry[] = [];

/** What `entry` counts for in every limit, in bytes. */
export function entryBytes(entry: Pick<Entry, "data">): number {
  return entry.data.length + ENTRY_OVERHEAD_BYTES;
}

export class RaftLog {
  #entries: Entry[];
  /** Index and term just before `#entries[0]`; the term is unknown if that entry was lost with its history. */
  #base: { readonly index: number; readonly term: number | undefined };
  #configurations: ConfigurationHistory;
  #snapshot: SnapshotPoint;
  #commitIndex: number;
  #lastApplied: number;
  #unwrittenFrom: number;
  #uncommittedBytes = 0;

  constructor(initial: InitialState) {
    const { snapshot } = initial;
    this.#snapshot = snapshot;
    this.#commitIndex = snapshot.index;
    this.#lastApplied = snapshot.index;
    this.#configurations = new ConfigurationHistory(snapshot.index, snapshot.configuration);
    this.#entries = usableEntries(initial);
    const first = this.#entries[0]?.index ?? snapshot.index + 1;
    const term = first === snapshot.index + 1 ? snapshot.term : first === 1 ? 0 : undefined;
    this.#base = { index: first - 1, term };
    for (const entry of this.#entries) {
      if (entry.index > snapshot.index) this.#account(entry);
    }
    this.#unwrittenFrom = this.lastIndex + 1;
    this.commitTo(Math.min(initial.commitIndex ?? 0, this.lastIndex));
  }

  get lastIndex(): number {
    return this.#base.index + this.#entries.length;
  }

  get lastTerm(): number {
    // Invariant: the base term is known whenever there are no entries (usableEntries, compact).
    return this.termAt(this.lastIndex) as number;
  }

  get commitIndex(): number {
    return this.#commitIndex;
  }

  get lastApplied(): number {
    return this.#lastApplied;
  }

  get snapshot(): SnapshotPoint {
    return this.#snapshot;
  }

  /** Newest configuration in the log, committed or not (paper section 6). */
  get configuration(): Configuration {
    return this.#configurations.latest.configuration;
  }

  get configurationIndex(): number {
    return this.#configurations.latest.index;
  }

  get configurations(): ConfigurationHistory {
    return this.#configurations;
  }

  get uncommittedBytes(): number {
    return this.#uncommittedBytes;
  }

  /** Term of the entry at `index`, or undefined if it is not held (any more, or yet). */
  termAt(index: number): number | undefined {
    if (index === this.#base.index) return this.#base.term;
    if (index === this.#snapshot.index) return this.#snapshot.term;
    return this.#entries[index - this.#base.index - 1]?.term;
  }

  /** Raft §5.4.1: is a log that ends at (`index`, `term`) at least as up to date as this one? */
  isUpToDate(index: number, term: number): boolean {
    return term > this.lastTerm || (term === this.lastTerm && index >= this.lastIndex);
  }

  /** Entries from `from` on, as many as fit in `bytesMax`, at least one if there is one. */
  entriesFrom(from: number, bytesMax: number): readonly Entry[] {
    assert(from > this.#base.index, "compacted are the entries from", from);
    const start = from - this.#base.index - 1;
    let end = start;
    let bytes = 0;
    for (; end < this.#entries.length; end++) {
      bytes += entryBytes(this.#entries[end] as Entry);
      if (bytes > bytesMax && end > start) break;
    }
    return this.#entries.slice(start, end);
  }

  /** True if entries from `index` on can be sent: they are held, and so is the term before them. */
  holdsFrom(index: number): boolean {
    return index > this.#base.index && this.termAt(index - 1) !== undefined;
  }

  /** The first committed index at which these entries, after (`prevIndex`, `prevTerm`), are not the ones held here. */
  contradictedAt(prevIndex: number, prevTerm: number, entries: readonly Entry[]): number | undefined {
    if (this.#isContradiction(prevIndex, prevTerm)) return prevIndex;
    for (const { index, term } of entries) {
      if (index > this.#commitIndex) return undefined;
      if (this.#isContradiction(index, term)) return index;
    }
    return undefined;
  }

  /** Raft §5.3: the highest index up to `index` whose term is not above `term`; where it is not known, `index`. */
  lastIndexNotAbove(index: number, term: number): number {
    let at = Math.min(index, this.lastIndex);
    for (; at > 0; at--) {
      const own = this.termAt(at);
      if (own === undefined || own <= term) return at;
    }
    return 0;
  }

  /** Appends at the end. The caller hands over the entries. */
  append(entries: readonly Entry[]): void {
    let last = this.lastIndex;
    for (const entry of entries) {
      assert(entry.index === ++last, "an append out of order:", entry.index);
      this.#entries.push(entry);
      this.#account(entry);
    }
  }

  /**
   * Raft §5.3, receiver steps 3 and 4: skips what is already here, drops a conflicting suffix, appends the rest.
   * Returns the index from which entries were overwritten, or undefined if none were.
   */
  merge(entries: readonly Entry[]): number | undefined {
    const firstNew = entries.findIndex((entry) => this.termAt(entry.index) !== entry.term);
    if (firstNew === -1) return undefined;
    const fresh = entries.slice(firstNew);
    const index = (fresh[0] as Entry).index;
    const overwrites = index <= this.lastIndex;
    if (overwrites) this.#truncate(index);
    this.append(fresh);
    return overwrites ? index : undefined;
  }

  /** Raises the commit index; never lowers it. */
  commitTo(index: number): void {
    assert(index <= this.lastIndex, "a commit beyond the log's end:", index, this.lastIndex);
    for (let at = this.#commitIndex + 1; at <= index; at++) {
      const entry = this.#entries[at - this.#base.index - 1];
      assert(entry !== undefined, "not in the log:", at);
      this.#uncommittedBytes -= entryBytes(entry);
    }
    this.#commitIndex = Math.max(this.#commitIndex, index);
  }

  /** Committed entries not yet handed out, each once. */
  takeCommitted(): readonly Entry[] {
    if (this.#lastApplied === this.#commitIndex) return NONE;
    const from = this.#lastApplied - this.#base.index;
    const entries = this.#entries.slice(from, this.#commitIndex - this.#base.index);
    this.#lastApplied = this.#commitIndex;
    return entries;
  }

  /** Entries not yet handed to the disk, each once (an overwritten index again). */
  takeUnwritten(): readonly Entry[] {
    if (this.#unwrittenFrom > this.lastIndex) return NONE;
    const entries = this.#entries.slice(this.#unwrittenFrom - this.#base.index - 1);
    this.#unwrittenFrom = this.lastIndex + 1;
    return entries;
  }

  /**
   * Everything is replaced by `point` (paper section 7): what was here is behind it or in conflict with it. `isForced`:
   * also where that takes committed entries back.
   */
  restore(point: SnapshotPoint, isForced: boolean): void {
    const isAhead = point.index > this.#commitIndex;
    assert(isAhead || isForced, "a snapshot behind the commit index:", point.index, this.#commitIndex);
    this.#snapshot = point;
    this.#entries = [];
    this.#base = { index: point.index, term: point.term };
    this.#commitIndex = point.index;
    this.#lastApplied = point.index;
    this.#unwrittenFrom = point.index + 1;
    this.#uncommittedBytes = 0;
    this.#configurations = new ConfigurationHistory(point.index, point.configuration);
  }

  /** The state is replaced by the one at `point`, an entry of this log: what is committed behind it is handed out again. */
  restartFrom(point: SnapshotPoint): void {
    assert(this.termAt(point.index) === point.term, "the state is not of this log:", point.index);
    this.commitTo(Math.max(this.#commitIndex, point.index));
    this.#snapshot = point;
    this.#lastApplied = point.index;
    this.#configurations = new ConfigurationHistory(point.index, point.configuration);
    for (const { index, kind, data } of this.#entries) {
      if (index > point.index && kind === "configuration")
        this.#configurations.add(index, decodeConfiguration(data));
    }
  }

  /** Bytes of the entries held behind `index`. */
  bytesBehind(index: number): number {
    let bytes = 0;
    for (let at = index - this.#base.index; at < this.#entries.length; at++)
      bytes += entryBytes(this.#entries[at] as Entry);
    return bytes;
  }

  /** The application has a snapshot at `point`; the entries up to `lastDropped`, which is not behind it, go. */
  compact(point: SnapshotPoint, lastDropped: number): void {
    if (point.index <= this.#snapshot.index) return;
    assert(
      point.index <= this.#lastApplied,
      "a snapshot of what is not applied:",
      point.index,
      this.#lastApplied,
    );
    assert(this.termAt(point.index) === point.term, "a snapshot of another term at", point.index);
    this.#snapshot = point;
    this.#configurations.compact(point.index);
    if (lastDropped <= this.#base.index) return;
    const term = this.termAt(lastDropped);
    this.#entries.splice(0, lastDropped - this.#base.index);
    this.#base = { index: lastDropped, term };
  }

  #account(entry: Entry): void {
    this.#uncommittedBytes += entryBytes(entry);
    if (entry.kind === "configuration")
      this.#configurations.add(entry.index, decodeConfiguration(entry.data));
  }

  #truncate(index: number): void {
    assert(index > this.#commitIndex, "committed entries would be dropped:", index, this.#commitIndex);
    const dropped = this.#entries.splice(index - this.#base.index - 1);
    for (const entry of dropped) this.#uncommittedBytes -= entryBytes(entry);
    this.#configurations.truncate(index);
    this.#unwrittenFrom = Math.min(this.#unwrittenFrom, index);
  }

  #isContradiction(index: number, term: number): boolean {
    const own = this.termAt(index);
    return index <= this.#commitIndex && own !== undefined && own !== term;
  }
}

/** The entries that continue the snapshot; none if they end before it or contradict it. */
function usableEntries({ entries, snapshot }: InitialState): Entry[] {
  const first = entries[0];
  const last = entries[entries.length - 1];
  if (first === undefined || last === undefined) return [];
  assert(first.index > 0 && first.term > 0, "the initial log begins at", first.index, "of term", first.term);
  entries.forEach((entry, i) => {
    const before = entries[i - 1] ?? first;
    assert(entry.index === first.index + i, "a gap in the initial log before", entry.index);
    assert(entry.term >= before.term, "a term falls in the initial log at", entry.index);
  });
  if (last.index <= snapshot.index) return [];
  assert(first.index <= snapshot.index + 1, "a gap between snapshot and log:", snapshot.index, first.index);
  const atSnapshot = entries[snapshot.index - first.index];
  const isContinuation =
    atSnapshot === undefined ? first.term >= snapshot.term : atSnapshot.term === snapshot.term;
  return isContinuation ? [...entries] : [];
}
