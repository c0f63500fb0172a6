/**
 * The five properties of paper figure 3, watched from outside over a whole run: election safety, leader append-only
 * and log matching (on each server's log as its effects describe it), leader completeness, state machine safety. Also
 * at most one lease at a time, and none while another server is elected (thesis 6.4.1), and reads that see everything
 * applied anywhere before they were asked (6.4).
 */

import type { Entry, ServerId } from "../../src/index.ts";

/** A server's log in memory, rebuilt from its `persist` and `restore` effects. */
export class LogMirror {
  base = 0;
  entries: Entry[] = [];

  at(index: number): Entry | undefined {
    return this.entries[index - this.base - 1];
  }

  write(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    this.entries.length = first.index - this.base - 1;
    this.entries.push(...entries);
  }

  reset(base: number, entries: readonly Entry[]): void {
    this.base = base;
    this.entries = [...entries];
  }
}

export class Checkers {
  readonly #leaders = new Map<number, ServerId>();
  /** Every entry that any server has applied, by index. */
  readonly applied = new Map<number, Entry>();

  /** Highest index that any server has applied: what a read asked now must see. */
  lastApplied = 0;

  becameLeader(id: ServerId, term: number, log: LogMirror): void {
    const other = this.#leaders.get(term);
    if (other !== undefined && other !== id)
      throw new Error(`election safety: ${other} and ${id} in term ${term}`);
    this.#leaders.set(term, id);
    for (const [index, entry] of this.applied) {
      if (index > log.base && !isSame(log.at(index), entry)) {
        throw new Error(`leader completeness: ${id} leads term ${term} without committed entry ${index}`);
      }
    }
  }

  leaderWrites(id: ServerId, entries: readonly Entry[], log: LogMirror): void {
    const first = entries[0];
    if (first !== undefined && first.index <= log.base + log.entries.length) {
      throw new Error(`leader append-only: ${id} overwrites ${first.index}`);
    }
  }

  applies(id: ServerId, entry: Entry): void {
    const known = this.applied.get(entry.index);
    if (known !== undefined && !isSame(known, entry)) {
      throw new Error(`state machine safety: ${id} applies another entry at ${entry.index}`);
    }
    this.applied.set(entry.index, entry);
    this.lastApplied = Math.max(this.lastApplied, entry.index);
  }

  logsMatch(logs: ReadonlyMap<ServerId, LogMirror>): void {
    const all = [...logs];
    for (const [a, logA] of all) {
      for (const [b, logB] of all) {
        if (a < b) pairMatches(a, logA, b, logB);
      }
    }
  }

  reads(id: ServerId, asked: number, index: number, appliedIndex: number): void {
    if (index < asked || appliedIndex < index) {
      throw new Error(`stale read: ${id} reads ${index}, has ${appliedIndex}, ${asked} was applied before`);
    }
  }

  leases(holders: readonly ServerId[]): void {
    if (holders.length > 1) throw new Error(`two leases at once: ${holders.join(" and ")}`);
  }
}

function pairMatches(a: ServerId, logA: LogMirror, b: ServerId, logB: LogMirror): void {
  const from = Math.max(logA.base, logB.base) + 1;
  const to = Math.min(logA.base + logA.entries.length, logB.base + logB.entries.length);
  let mustAgree = false;
  for (let index = to; index >= from; index--) {
    const entryA = logA.at(index);
    const entryB = logB.at(index);
    if (entryA?.term === entryB?.term) mustAgree = true;
    if (mustAgree && !isSame(entryA, entryB))
      throw new Error(`log matching: ${a} and ${b} differ at ${index}`);
  }
}

function isSame(a: Entry | undefined, b: Entry | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  return a.term === b.term && a.kind === b.kind && a.data.join() === b.data.join();
}
