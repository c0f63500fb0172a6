/**
 * The five properties of paper figure 3, watched from outside over a whole run: election safety, leader append-only and
 * log matching (on each server's log as its effects describe it), leader completeness, state machine safety. Also what
 * they rest on: a vote and an acknowledgement are on disk before they leave, a server votes once per term over all its
 * restarts, a leader commits what a quorum has on disk. And what is built on them: at most one lease at a time, none
 * while another server is elected (thesis 6.4.1), reads that see everything applied before they were asked (6.4).
 */

import type { Configuration, Entry, RaftMessage, ServerId } from "../../src/index.ts";
import type { SimDisk } from "./sim-disk.ts";
import type { SimServer } from "./sim-server.ts";

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
  readonly #votes = new Map<string, ServerId>();
  /** Every entry that any server has applied, by index, and the term that the first to apply it was in. */
  readonly #applied = new Map<number, { readonly entry: Entry; readonly inTerm: number }>();
  /** The commands among them. */
  readonly #commands: { readonly index: number; readonly value: number }[] = [];

  /** Highest index that any server has applied: what a read asked now must see. */
  lastApplied = 0;

  becameLeader(id: ServerId, term: number, log: LogMirror): void {
    const other = this.#leaders.get(term);
    if (other !== undefined && other !== id)
      throw new Error(`election safety: ${other} and ${id} in term ${term}`);
    this.#leaders.set(term, id);
    for (let index = log.base + 1; index <= this.lastApplied; index++) {
      const known = this.#applied.get(index);
      // A late vote may still elect the leader of a term that is over: what a later one has committed it need not have.
      const isEarlier = known !== undefined && known.inTerm < term;
      if (isEarlier && !isSame(log.at(index), known.entry))
        throw new Error(`leader completeness: ${id} leads term ${term} without committed entry ${index}`);
    }
  }

  leaderWrites(id: ServerId, entries: readonly Entry[], log: LogMirror): void {
    const first = entries[0];
    if (first !== undefined && first.index <= log.base + log.entries.length) {
      throw new Error(`leader append-only: ${id} overwrites ${first.index}`);
    }
  }

  /** Raft §6: a leader that a committed configuration gives no vote has stepped down. */
  leads({ id, role, settled, configuration }: SimServer): void {
    const isSettled = settled !== undefined && sameVoters(settled, configuration);
    if (
      role === "leader" &&
      isSettled &&
      !settled.voters.includes(id) &&
      !settled.votersOutgoing.includes(id)
    )
      throw new Error(`${id} leads without a vote`);
  }

  /** `message` leaves `from` for `to`: what it promises must be on the sender's disk, and not promised to another. */
  sends(from: ServerId, to: ServerId, message: RaftMessage, disk: SimDisk): void {
    const { term } = message;
    if (message.kind === "requestVote") this.#votesFor(from, from, term, disk);
    if (message.kind === "requestVoteReply" && message.granted) this.#votesFor(from, to, term, disk);
    const isAcknowledgement = message.kind === "appendEntriesReply" && message.success;
    if (
      (isAcknowledgement || message.kind === "installSnapshotReply") &&
      disk.last.index < message.matchIndex
    )
      throw new Error(
        `durability: ${from} acknowledges ${message.matchIndex}, its disk ends at ${disk.last.index}`,
      );
  }

  /** The leader `id` commits `entry`, in force when it does: `configuration`. */
  commits(
    id: ServerId,
    leaderTerm: number,
    entry: Entry,
    configuration: Configuration,
    disks: ReadonlyMap<ServerId, SimDisk>,
  ): void {
    const { index, term } = entry;
    if (term !== leaderTerm)
      throw new Error(`commit: ${id} counts for an entry of term ${term} in ${leaderTerm}`);
    for (const voters of [configuration.voters, configuration.votersOutgoing]) {
      const safe = voters.filter((voter) => {
        const disk = disks.get(voter)!;
        return disk.holds(index, term) || disk.lost.has(`${index} of term ${term}`);
      });
      if (voters.length > 0 && 2 * safe.length <= voters.length)
        throw new Error(`commit: ${id} commits ${index}, of ${voters.join()} only ${safe.join()} have it`);
    }
  }

  applies(id: ServerId, entry: Entry, inTerm: number): void {
    const known = this.#applied.get(entry.index);
    if (known !== undefined && !isSame(known.entry, entry))
      throw new Error(`state machine safety: ${id} applies another entry at ${entry.index}`);
    if (known !== undefined) return;
    if (entry.index < this.lastApplied)
      throw new Error(`${id} applies ${entry.index}, which nobody had applied`);
    this.#applied.set(entry.index, { entry, inTerm });
    this.lastApplied = entry.index;
    if (entry.kind === "command") this.#commands.push({ index: entry.index, value: entry.data[0]! });
  }

  /** `id` takes over a snapshot at `index` that holds `state`. */
  restores(id: ServerId, index: number, state: readonly number[]): void {
    const expected = this.#commands.filter((command) => command.index <= index);
    if (expected.map(({ value }) => value).join() !== state.join())
      throw new Error(`snapshot: ${id} restores ${index} with a state that nobody had`);
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

  leases(holders: readonly SimServer[]): void {
    if (holders.length > 1)
      throw new Error(`two leases at once: ${holders.map(({ id }) => id).join(" and ")}`);
  }

  #votesFor(voter: ServerId, candidate: ServerId, term: number, { hardState }: SimDisk): void {
    if (hardState.term !== term || hardState.votedFor !== candidate)
      throw new Error(`durability: ${voter} votes for ${candidate} in ${term}, its disk does not know`);
    const key = `${voter} in ${term}`;
    const other = this.#votes.get(key) ?? candidate;
    if (other !== candidate) throw new Error(`two votes of ${key}: ${other} and ${candidate}`);
    this.#votes.set(key, candidate);
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

function sameVoters(a: Configuration, b: Configuration): boolean {
  return a.voters.join() === b.voters.join() && a.votersOutgoing.join() === b.votersOutgoing.join();
}

function isSame(a: Entry | undefined, b: Entry | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  return a.term === b.term && a.kind === b.kind && a.data.join() === b.data.join();
}
