/**
 * What the records of a journal mean: the log, term and vote that they add up to.
 *
 * Records are applied in the order they were written. An entry with an index that is already there replaces that entry
 * and everything after it; `reset` starts the log anew behind a snapshot. A record that cannot follow from what was
 * read before it (an entry behind a gap) is refused: something in between is missing.
 *
 * Source: Raft figure 2 (persistent state, rule 3 of AppendEntries).
 */

import type { Entry, HardState, Snapshot } from "raft-js";
import type { JournalRecord } from "./record.ts";

/** Stands for a vote that was lost with a damaged record: nobody's name, so this server votes for nobody in that term. */
export const LOST_VOTE = "(vote lost with a damaged journal record)";

/** Largest step of term believed from records found behind damage, where a payload could pose as a record. */
const TERM_STEP_MAX = 1_000_000;

/** A log under reconstruction. */
export class Replay {
  /** Entries after `base`, without gaps. */
  entries: Entry[] = [];
  /** Index before the first entry; undefined until the first entry or reset tells. */
  base: number | undefined;
  /** Term of the entry at `base`; 0: not known. */
  baseTerm = 0;
  hardState: HardState = { term: 0, votedFor: undefined };
  /** Up to here the log is known to be committed, as far as it goes. */
  committed = 0;
  /** Records applied. */
  count = 0;
  /** Whether `base` is what the first entry implied; a later entry may then imply a lower one. */
  #isBaseImplied = true;
  #supersededFrom = Number.POSITIVE_INFINITY;

  /** Last index of the log; undefined while nothing is known. */
  get lastIndex(): number | undefined {
    return this.base === undefined ? undefined : this.base + this.entries.length;
  }

  /** Applies `record`, read from segment `segment`. False: it cannot stand here, so something before it is missing. */
  apply(record: JournalRecord, segment: number, isFirst: boolean): boolean {
    if ((record.kind === "segment") !== isFirst) return false;
    switch (record.kind) {
      case "segment":
        if (record.number !== segment) return false;
        this.hardState = stronger(this.hardState, record.hardState);
        break;
      case "hardState":
        this.hardState = stronger(this.hardState, record.hardState);
        break;
      case "reset":
        this.entries = [];
        this.base = record.index;
        this.baseTerm = record.term;
        this.#isBaseImplied = false;
        break;
      case "committed":
        this.committed = record.index;
        break;
      case "entry":
        if (!this.#put(record.entry, record.previousTerm)) return false;
        break;
      case "superseded":
        this.#cut(record.from);
        break;
      case "snapshot":
      case "suspect":
        return false;
    }
    this.count++;
    return true;
  }

  /**
   * A record that stands behind the damage, so it is later than everything here. An entry with an index that is here has taken
   * the place of that one and all behind it; and where the one before it had another term, of that one, too.
   */
  supersede(record: JournalRecord): void {
    if (record.kind === "reset") this.#supersededFrom = Math.min(this.#supersededFrom, record.index + 1);
    if (record.kind !== "entry") return;
    const { index } = record.entry;
    const before = index - 1;
    const term = this.entries[before - (this.base ?? 0) - 1]?.term;
    const isOther = term !== undefined && record.previousTerm !== 0 && term !== record.previousTerm;
    this.#supersededFrom = Math.min(this.#supersededFrom, isOther ? before : index);
  }

  /** Drops what {@link supersede} has found. Returns its first index; undefined: there is none. */
  dropSuperseded(): number | undefined {
    const from = this.#supersededFrom;
    if (this.lastIndex === undefined || from > this.lastIndex) return undefined;
    this.#cut(from);
    return from;
  }

  /** Takes term and vote, and nothing else, from a record found behind damage. */
  honour(record: JournalRecord): void {
    const found = hardStateOf(record);
    if (found === undefined || found.term > this.hardState.term + TERM_STEP_MAX) return;
    this.hardState = stronger(this.hardState, found);
  }

  /** After damage: the newest vote may have been in it, so none is given in this term. */
  assumeLostVote(): void {
    const { term, votedFor } = this.hardState;
    if (term > 0 && votedFor === undefined) this.hardState = { term, votedFor: LOST_VOTE };
  }

  /** Forgets the log (not term and vote): it is about to continue from somewhere else. */
  forgetLog(): void {
    this.entries = [];
    this.base = undefined;
    this.baseTerm = 0;
    this.committed = 0;
    this.#isBaseImplied = true;
  }

  /** Whether the log holds entry `index` with `term`, or ends or begins exactly there. */
  joins(snapshot: Snapshot): boolean {
    if (this.base === undefined || this.base === snapshot.index) return true;
    return this.entries[snapshot.index - this.base - 1]?.term === snapshot.term;
  }

  #cut(from: number): void {
    if (this.base !== undefined)
      this.entries.length = Math.min(this.entries.length, Math.max(0, from - this.base - 1));
    this.committed = Math.min(this.committed, from - 1);
  }

  #put(entry: Entry, previousTerm: number): boolean {
    // Where older segments are gone, the first entries left may be superseded by one that begins before them.
    if (this.base === undefined || (this.#isBaseImplied && entry.index <= this.base)) {
      this.base = entry.index - 1;
      this.baseTerm = previousTerm;
    }
    const at = entry.index - this.base - 1;
    if (at < 0 || at > this.entries.length) return false;
    this.entries.length = at;
    this.entries.push(entry);
    this.committed = Math.min(this.committed, entry.index - 1);
    return true;
  }
}

/** Of two states of one server the one that promises more: the higher term, then the one with a vote, then the later. */
export function stronger(earlier: HardState, later: HardState): HardState {
  if (earlier.term !== later.term) return earlier.term > later.term ? earlier : later;
  return later.votedFor === undefined && earlier.votedFor !== undefined ? earlier : later;
}

function hardStateOf(record: JournalRecord): HardState | undefined {
  switch (record.kind) {
    case "segment":
    case "hardState":
      return record.hardState;
    case "entry":
      // The entry proves that its term was reached; who got the vote in it may have been in the damaged part.
      return { term: record.entry.term, votedFor: undefined };
    default:
      return undefined;
  }
}
