/**
 * How a node whose disk lost entries gets them back where no leader can give them: it asks its peers before it leads.
 *
 * A suspect server waits for a leader, which sends it what is missing. A sole voter has no leader; it would lead at once,
 * with what is left, and overwrite what its learners still have (among it what it had acknowledged before the power
 * cut). Or it only takes itself for the sole voter, because the change to more voters is among what it lost. So it first
 * asks every linked peer for what follows the end of its log, and takes it over: any server's log that has this server's
 * last entry has the same log up to there (Raft's Log Matching), and what follows in it was once sent by a leader. It
 * ends when nobody in sight has more, when the log names other voters (then Raft goes on, still suspect), or when no
 * peer answers for 8 s: a node that is alone must serve (P3). If what is legible behind the damage names other voters, it
 * serves without a quorum and goes on asking (mending.ts): leading by itself it would overwrite what they have.
 *
 * Limit: a node that lost the change to more voters so that no later configuration is legible either, and meets none of
 * them within that time, leads by itself.
 *
 * Source: Alagappan et al., FAST 2018 (protocol-aware recovery); reference design 1.10.
 */

import type { Clock, ClusterId, Log, NodeId, SkeinError, Timer } from "@skein/kernel";
import {
  type Configuration,
  decodeConfiguration,
  type Entry,
  type HardState,
  type InitialState,
  type Snapshot,
} from "raft-js";
import type { OpenedJournal } from "../journal/journal.ts";
import { LOST_VOTE } from "../journal/replay.ts";
import type { PeerView } from "../options.ts";
import { decodeSnapshot } from "../state-machine/snapshot.ts";

/** Without an answer for this long the node goes on with what it has. Links between neighbours are up in one second. */
const SILENCE_MAX_MS = 8000;
/** A question, or its answer, may be lost with a link. */
const ASK_AGAIN_MS = 1000;
/** Bytes of own entries taken back in one write. */
const TAKE_BYTES_MAX = 1024 * 1024;
/** Bytes of entries in one answer to a peer that repairs its journal. */
export const REPAIR_BYTES_MAX = 256 * 1024;

/** What a peer has after the end of the asker's log: a newer snapshot, or entries that follow; nothing: no more. */
export interface Missing {
  readonly snapshot: Snapshot | undefined;
  readonly entries: readonly Entry[];
}

/** {@link Missing} after the entry (`index`, `term`). */
export interface RepairAnswer {
  readonly index: number;
  readonly term: number;
  readonly missing: Missing;
}

export interface RepairPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** Asks `to` what follows the entry (`index`, `term`) in its log. */
  readonly ask: (to: NodeId, index: number, term: number) => void;
  /** The journal with what was found; or the disk failed. Called once. */
  readonly done: (opened: OpenedJournal | undefined, error: SkeinError | undefined) => void;
}

/** Whether `opened` must be repaired before its server may start. */
export function needsRepair(node: NodeId, { state, isDamaged }: OpenedJournal): boolean {
  const configuration = newestConfiguration(state);
  if (!state.isSuspect || !isSoleVoter(node, configuration)) return false;
  // A power cut alone takes no configuration: a node that was alone has nobody to ask.
  return isDamaged || configuration.learners.length > 0;
}

/**
 * Other voters than `node` that a damaged journal names behind the damage, where what stands before it is from a time when there were none;
 * empty: there is nothing of the kind. A node that was founded anew since has a log of a later term.
 */
export function votersBehind(node: NodeId, { state, remains }: OpenedJournal): readonly NodeId[] {
  const { configuration } = remains;
  if (configuration === undefined || !isSoleVoter(node, newestConfiguration(state))) return [];
  const last = lastOf(state);
  const isNewer =
    configuration.term > last.term || (configuration.term === last.term && configuration.index > last.index);
  const { voters, votersOutgoing } = decodeConfiguration(configuration.data);
  const others = [...new Set([...voters, ...votersOutgoing])].filter((voter) => voter !== node);
  return isNewer ? (others as NodeId[]) : [];
}

export class Repair {
  readonly #node: NodeId;
  readonly #ports: RepairPorts;
  #opened: OpenedJournal;
  /** Linked members of the cluster. */
  #peers: readonly NodeId[] = [];
  /** Those that have no more than this node has now. */
  readonly #exhausted = new Set<NodeId>();
  #asked: NodeId | undefined;
  #progressAt: number;
  #isWriting = false;
  #isDone = false;
  #timer: Timer | undefined;

  constructor(node: NodeId, opened: OpenedJournal, ports: RepairPorts) {
    this.#node = node;
    this.#opened = opened;
    this.#ports = ports;
    this.#progressAt = ports.clock.monotonicMs();
    ports.log.info(
      { lastIndex: lastOf(opened.state).index },
      "asking peers for what the journal may have lost",
    );
    this.#timer = ports.clock.after(ASK_AGAIN_MS, () => this.#tick());
  }

  /** The member list changed: linked members of `cluster` can be asked. */
  peersChanged(members: readonly PeerView[], cluster: ClusterId | undefined): void {
    this.#peers = members.filter((peer) => peer.isLinked && peer.cluster === cluster).map(({ id }) => id);
    if (this.#asked === undefined || !this.#peers.includes(this.#asked)) this.#askNext();
  }

  /**
   * `from` says what it has after an entry. Ignored if that is not what was asked last.
   * @throws {SkeinError} ERR_SKEIN_MALFORMED; then nothing has changed
   */
  answered(from: NodeId, answer: RepairAnswer): void {
    const last = lastOf(this.#opened.state);
    if (this.#isDone || this.#isWriting || from !== this.#asked) return;
    if (answer.index !== last.index || answer.term !== last.term) return;
    const { snapshot, entries } = answer.missing;
    // As with a leader's snapshot: one that cannot be taken over must not be taken.
    if (snapshot !== undefined) decodeSnapshot(snapshot.data);
    this.#progressAt = this.#ports.clock.monotonicMs();
    if (snapshot !== undefined && snapshot.index > last.index) this.#takeSnapshot(snapshot);
    else if (follows(last, entries)) this.#takeEntries(entries);
    else {
      this.#exhausted.add(from);
      this.#askNext();
    }
  }

  /** Ends it without a result. */
  stop(): void {
    this.#isDone = true;
    this.#timer?.cancel();
  }

  #takeSnapshot(snapshot: Snapshot): void {
    const { index, term, configuration } = snapshot;
    const hardState = reached(this.#opened.state.hardState, term);
    const state = { ...this.#opened.state, hardState, snapshot: { index, term, configuration }, entries: [] };
    const { data: snapshotData } = snapshot;
    this.#write({ ...this.#opened, state, snapshotData, snapshotParts: undefined }, (done) => {
      this.#opened.journal.restore(snapshot, false, hardState, done);
    });
  }

  #takeEntries(entries: readonly Entry[]): void {
    const before = this.#opened.state;
    const hardState = reached(before.hardState, entries.at(-1)?.term ?? 0);
    const state = { ...before, hardState, entries: [...before.entries, ...entries] };
    const changed = hardState.term === before.hardState.term ? undefined : hardState;
    this.#write({ ...this.#opened, state }, (done) => {
      this.#opened.journal.persist({ hardState: changed, entries }, done);
    });
  }

  #write(opened: OpenedJournal, start: (done: (error: SkeinError | undefined) => void) => void): void {
    this.#isWriting = true;
    start((error) => {
      this.#isWriting = false;
      if (this.#isDone) return;
      if (error !== undefined) {
        this.#finish(error);
        return;
      }
      this.#opened = opened;
      // Whoever had no more before may have more than the new end.
      this.#exhausted.clear();
      if (isSoleVoter(this.#node, newestConfiguration(opened.state))) this.#askNext();
      else this.#finish(undefined);
    });
  }

  #askNext(): void {
    if (this.#isDone || this.#isWriting) return;
    const last = lastOf(this.#opened.state);
    const own = this.#opened.remains.after(last.index, last.term, TAKE_BYTES_MAX);
    if (own.length > 0) {
      this.#takeEntries(own);
      return;
    }
    this.#asked = this.#peers.find((peer) => !this.#exhausted.has(peer));
    if (this.#asked !== undefined) {
      this.#ports.ask(this.#asked, last.index, last.term);
    } else if (this.#peers.length > 0) {
      this.#finish(undefined);
    }
  }

  #tick(): void {
    if (this.#ports.clock.monotonicMs() - this.#progressAt >= SILENCE_MAX_MS && !this.#isWriting) {
      this.#ports.log.warn(
        { peers: this.#peers.length },
        "no peer answers; going on with what this node has",
      );
      this.#finish(undefined);
      return;
    }
    this.#timer = this.#ports.clock.after(ASK_AGAIN_MS, () => this.#tick());
    this.#askNext();
  }

  #finish(error: SkeinError | undefined): void {
    this.stop();
    if (error !== undefined) {
      this.#ports.done(undefined, error);
      return;
    }
    const { state, remains } = this.#opened;
    const { index } = lastOf(state);
    this.#ports.log.info({ lastIndex: index }, "journal repaired as far as peers can");
    const isSole = isSoleVoter(this.#node, newestConfiguration(state));
    const isOneOfMore = votersBehind(this.#node, this.#opened).length > 0;
    const isIncomplete = isOneOfMore || (!isSole && remains.lastIndex > index);
    this.#ports.done({ ...this.#opened, state: { ...state, isIncomplete } }, undefined);
  }
}

function lastOf({ snapshot, entries }: InitialState): { readonly index: number; readonly term: number } {
  const last = entries.at(-1);
  return last !== undefined && last.index > snapshot.index ? last : snapshot;
}

/** The newest in the log, committed or not: it counts as soon as it is there (thesis 4.1). */
function newestConfiguration({ snapshot, entries }: InitialState): Configuration {
  const entry = entries.findLast(({ kind, index }) => kind === "configuration" && index > snapshot.index);
  return entry === undefined ? snapshot.configuration : decodeConfiguration(entry.data);
}

function isSoleVoter(node: NodeId, { voters, votersOutgoing }: Configuration): boolean {
  return voters.length === 1 && voters[0] === node && votersOutgoing.length === 0;
}

/** At least one, without gaps and with terms that never fall, right behind `last`. */
export function follows(
  last: { readonly index: number; readonly term: number },
  entries: readonly Entry[],
): boolean {
  let { index, term } = last;
  for (const entry of entries) {
    if (entry.index !== index + 1 || entry.term < term) return false;
    ({ index, term } = entry);
  }
  return entries.length > 0;
}

/** The term of an entry was reached once; who got this server's vote in it is not known. */
function reached(hardState: HardState, term: number): HardState {
  return hardState.term >= term ? hardState : { term, votedFor: LOST_VOTE };
}
