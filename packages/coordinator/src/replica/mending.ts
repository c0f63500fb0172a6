/**
 * How a voter comes to what stands behind a damaged record of its journal, when there is no leader to send it everything.
 *
 * Two of three voters may be damaged at the same time, each at another place. Then each has the only other copy of what the
 * other lost, and if they elected with what stands before the damage, what is legible behind it would be gone. So a
 * damaged voter neither votes nor campaigns (raft-js, `isIncomplete`) but asks the others for the entries in between, and
 * as soon as its own go on from there (remains.ts) it puts both into its log. What a peer sends counts for nothing unless it leads
 * there: a peer's log may have another end than this server's had. So it is a search: every peer is asked at every place that
 * an answer has led to, and what leads nowhere is taken back, an entry at a time.
 *
 * It ends when everything is back, when a leader was found meanwhile, or when every other voter has said that it has nothing
 * that helps, again and again: another one may be mending its own log, and have more a second later. Waiting for all of them
 * costs nothing: a suspect server's vote counts only together with all others. A server whose log is from before there were others,
 * as the founder's first entries are, would win by its own vote alone: it waits for one of them that leads, whatever they answer.
 *
 * Limit: where two or more lost records were the first to overwrite others, the end of what stands before them is one of those,
 * and nobody has what follows it. Peers are still served from what is behind; if two voters are hit like that, what only these
 * pieces hold stays in the files that were set aside.
 *
 * Source: reference design 1.10 ("ask peers for exactly those entries; vote again when repaired").
 */

import type { Clock, Log, NodeId } from "@skein/kernel";
import type { Entry, RaftStatus } from "raft-js";
import type { OpenedJournal } from "../journal/journal.ts";
import { Remains } from "../journal/remains.ts";
import type { Driver } from "./driver.ts";
import { follows, type Missing, type RepairAnswer, votersBehind } from "./repair.ts";

const ASK_AGAIN_MS = 1000;
/** Bytes of entries taken back at a time, and in one answer to a peer. */
const TAKE_BYTES_MAX = 1024 * 1024;

/** An entry's place in the log. */
export interface Position {
  readonly index: number;
  readonly term: number;
}

export interface MendingPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** Asks `to` what follows the entry (`index`, `term`) in its log. */
  readonly ask: (to: NodeId, index: number, term: number) => void;
}

/** The log that is mended; {@link beginMending} makes it of a driver. */
export interface MendedLog {
  /** Its last entry. */
  readonly end: () => Position;
  /** All other voters, as it says; or, where it is from before there were any, as what is legible behind it says. */
  readonly voters: () => readonly NodeId[];
  /** It is from before there were other voters, so nothing but a leader can say that it is all there is. */
  readonly isOutgrown: () => boolean;
  /** It goes on with these entries. `isComplete`: that was all. */
  readonly take: (entries: readonly Entry[], isComplete: boolean) => void;
  /** `over`: a leader was found. `trusted`: this node has caught up with one. */
  readonly state: () => "incomplete" | "over" | "trusted";
}

/** Begins, if the journal that `driver` has just taken over is incomplete. */
export function beginMending(
  self: NodeId,
  driver: Driver,
  opened: OpenedJournal,
  ports: MendingPorts,
): Mending | undefined {
  if (opened.state.isIncomplete !== true) return undefined;
  const behind = votersBehind(self, opened);
  const status = (): RaftStatus => driver.status(ports.clock.monotonicMs());
  const named = (): readonly NodeId[] => {
    const { voters, votersOutgoing } = status().configuration;
    return [...new Set([...voters, ...votersOutgoing])].filter((voter) => voter !== self) as NodeId[];
  };
  const isOutgrown = (): boolean => behind.length > 0 && named().length === 0;
  const log: MendedLog = {
    end: () => driver.logEnd,
    voters: () => (isOutgrown() ? behind : named()),
    isOutgrown,
    take: (entries, isComplete) => driver.step({ kind: "recovered", entries, isComplete }),
    state: () => {
      const { isIncomplete, isSuspect } = status();
      return isIncomplete ? "incomplete" : isSuspect ? "over" : "trusted";
    },
  };
  return new Mending(log, opened.remains, ports);
}

export class Mending {
  readonly #mended: MendedLog;
  #remains: Remains;
  readonly #ports: MendingPorts;
  #peers: readonly NodeId[] = [];
  /** Entries behind the log's end that peers have; they count once the own ones go on behind them. */
  #found: Entry[] = [];
  /** By place: whose next entry is known. */
  readonly #tried = new Map<string, Set<NodeId>>();
  /** Places that lead nowhere. */
  readonly #dead = new Set<string>();
  #asked: NodeId | undefined;
  #askAgainAt: number;
  /** Rounds since the last progress in which everybody had nothing that helps. */
  #rounds = 0;
  #isDone = false;

  constructor(mended: MendedLog, remains: Remains, ports: MendingPorts) {
    this.#mended = mended;
    this.#remains = remains;
    this.#ports = ports;
    this.#askAgainAt = ports.clock.monotonicMs() + ASK_AGAIN_MS;
    const { index } = mended.end();
    ports.log.info(
      { keptUpTo: index, legibleUpTo: remains.lastIndex },
      "asking peers for the entries between those that were kept and those that are legible behind the damage",
    );
    this.#advance();
  }

  /** All other voters, as far as this node can know. */
  get voters(): readonly NodeId[] {
    return this.#mended.voters();
  }

  /** The voters that have not said yet whether they have something. */
  get awaited(): readonly NodeId[] {
    return this.#isDone ? [] : this.#mended.voters().filter((voter) => !this.#hasAnswered(voter));
  }

  /** For a peer whose log ends at (`index`, `term`): what follows in what is legible here; undefined if nothing does. */
  missingAfter(index: number, term: number): Missing | undefined {
    const entries = this.#after(index, term);
    return entries.length > 0 ? { snapshot: undefined, entries } : undefined;
  }

  /** These members of the cluster can be asked now. */
  peersChanged(linked: readonly NodeId[]): void {
    if (linked.some((peer) => !this.#peers.includes(peer))) this.#dead.clear();
    this.#peers = linked;
    if (this.#asked === undefined || !linked.includes(this.#asked)) this.#askNext();
  }

  /** `from` says what it has after an entry. */
  answered(from: NodeId, { index, term, missing }: RepairAnswer): void {
    const at = this.#position;
    if (this.#isDone || from !== this.#asked || index !== at.index || term !== at.term) return;
    this.#asked = undefined;
    let place: Position = at;
    for (const entry of follows(at, missing.entries) ? missing.entries : []) {
      this.#triedAt(place).add(from);
      place = entry;
      if (this.#dead.has(keyOf(place))) break;
      this.#found.push(entry);
      if (this.#after(entry.index, entry.term).length > 0) {
        this.#takeFound();
        return;
      }
      if (entry.index > this.#remains.lastIndex) break;
    }
    if (place === at) this.#triedAt(at).add(from);
    this.#askNext();
  }

  /** A few times a second: what got lost is asked again, and who had nothing may have something by now. */
  tick(now: number): void {
    if (now < this.#askAgainAt) return;
    this.#askAgainAt = now + ASK_AGAIN_MS;
    const state = this.#mended.state();
    // Peers may ask for what is legible here until this node has caught up.
    if (state === "trusted") this.#remains = new Remains();
    if (state !== "incomplete") this.#isDone = true;
    if (this.#isDone) return;
    if (this.#asked === undefined) this.#startOver();
    // One that is silent is asked again after the others.
    else this.#peers = [...this.#peers.filter((peer) => peer !== this.#asked), this.#asked];
    this.#askNext();
  }

  /** Where the next entry is wanted. */
  get #position(): Position {
    return this.#found.at(-1) ?? this.#mended.end();
  }

  #takeFound(): void {
    const found = this.#found;
    this.#found = [];
    this.#mended.take(found, false);
    this.#advance();
  }

  /** Takes back what is legible here as far as it joins, then looks for the next hole. */
  #advance(): void {
    this.#rounds = 0;
    this.#startOver();
    let end = this.#mended.end();
    for (let own = this.#after(end.index, end.term); own.length > 0; own = this.#after(end.index, end.term)) {
      this.#mended.take(own, false);
      end = own.at(-1) as Entry;
    }
    if (this.#remains.lastIndex <= end.index && !this.#mended.isOutgrown())
      this.#finish("the entries behind the damage are in use again");
    else this.#askNext();
  }

  #after(index: number, term: number): readonly Entry[] {
    return this.#remains.after(index, term, TAKE_BYTES_MAX);
  }

  #askNext(): void {
    if (this.#isDone) return;
    for (;;) {
      const { index, term } = this.#position;
      const isBeyond = index > this.#remains.lastIndex;
      const tried = this.#triedAt({ index, term });
      this.#asked = isBeyond ? undefined : this.#peers.find((peer) => !tried.has(peer));
      if (this.#asked !== undefined) {
        this.#ports.ask(this.#asked, index, term);
        return;
      }
      if (this.#found.length === 0) break;
      this.#dead.add(keyOf({ index, term }));
      this.#found.pop();
    }
    if (this.#haveAllAnswered()) this.#endRound();
  }

  /** Everybody else may be waiting for somebody else: the last of that chain has its own log back after so many rounds. */
  #endRound(): void {
    if (++this.#rounds > this.#mended.voters().length && !this.#mended.isOutgrown()) {
      this.#finish("nobody has the entries in between; going on with what was kept");
      return;
    }
    this.#startOver();
    this.#askAgainAt = this.#ports.clock.monotonicMs() + ASK_AGAIN_MS;
  }

  #startOver(): void {
    this.#found = [];
    this.#tried.clear();
    this.#dead.clear();
  }

  /** Where the log does not even say who votes, everybody in sight has to do. */
  #haveAllAnswered(): boolean {
    const voters = this.#mended.voters();
    const asked = voters.length > 0 ? voters : this.#peers;
    return asked.length > 0 && asked.every((one) => this.#hasAnswered(one));
  }

  #hasAnswered(peer: NodeId): boolean {
    return this.#triedAt(this.#mended.end()).has(peer);
  }

  #triedAt(place: Position): Set<NodeId> {
    const key = keyOf(place);
    const known = this.#tried.get(key);
    if (known !== undefined) return known;
    const tried = new Set<NodeId>();
    this.#tried.set(key, tried);
    return tried;
  }

  #finish(text: string): void {
    this.#isDone = true;
    const { index } = this.#mended.end();
    this.#ports.log.info({ lastIndex: index, legibleUpTo: this.#remains.lastIndex }, text);
    this.#mended.take([], true);
  }
}

function keyOf({ index, term }: Position): string {
  return `${index} ${term}`;
}
