/**
 * The state of one server that all roles share, and the effects of the step under way.
 *
 * The roles (follower.ts, candidate.ts, leader.ts) are functions on this state. They change it and leave effects;
 * `takeEffects` puts them in the order of the contract: first what must be written, then what may be sent at once,
 * then what the application learns.
 */

import { assert } from "./assert.ts";
import { isSoleVoter } from "./configuration.ts";
import type { RaftEffect, RefusalReason, Role } from "./events.ts";
import { RaftLog } from "./log.ts";
import type { Outgoing, RaftMessage } from "./messages.ts";
import { checkOptions, type InitialState, type RaftOptions } from "./options.ts";
import type { Progress } from "./progress.ts";
import type { Vote } from "./quorum.ts";
import { READABLE_MAX, ReadQueue } from "./read-queue.ts";
import type { CheckedSnapshot, IncomingSnapshot } from "./snapshot-receiving.ts";
import { StateHashes } from "./state-hashes.ts";
import type { Transfer } from "./transfer.ts";
import type { Configuration, HardState, ServerId, Snapshot, SnapshotPoint } from "./types.ts";
import { Writes } from "./writes.ts";

/** So many that no two starts of a server draw the same. */
const NONCES = 2 ** 31;

interface AllowedReads {
  readonly requests: readonly number[];
  readonly index: number;
}

export class Server {
  readonly options: RaftOptions;
  readonly id: ServerId;
  readonly log: RaftLog;
  readonly writes: Writes;
  now: number;

  role: Role = "follower";
  leader: ServerId | undefined;
  isSuspect: boolean;
  /** Drawn at the start: an answer that carries it is to something said after that. */
  readonly nonce: number;
  /** Suspect only: the log must reach this index of the present leader's; undefined until it is known. */
  suspectTarget: number | undefined;
  /** Entries that were here once are being looked for: no vote, no candidacy. */
  isIncomplete: boolean;
  /** A quorum agreed on another state than this server's application has. */
  isDiverged = false;
  /** Diverged only: a snapshot at this index or later is to replace the state; undefined: not asked for. */
  stateWantedFrom: number | undefined;
  /** In this term the leader's log contradicted what is applied here: its next snapshot replaces everything. */
  contradictedTerm: number | undefined;
  /** The first part of a leader's snapshot. */
  incoming: IncomingSnapshot | undefined;
  /** A leader's whole snapshot, of which the application has not said yet whether it can use it. */
  checking: CheckedSnapshot | undefined;
  /** Snapshots that were checked since the start. */
  checks = 0;
  /** Messages that no server which keeps the rules sends. */
  rejectedMessages = 0;
  readonly stateHashes = new StateHashes();
  /** No vote is granted before this instant (this server's own restart), in ms. */
  readonly votesFrom: number;
  /** When a leader was last heard, in ms. */
  heardLeaderAt = Number.NEGATIVE_INFINITY;
  /** When to campaign, or to give up the leader, in ms. */
  electionDeadline = Number.POSITIVE_INFINITY;

  /** Candidates: the answers so far, and when to ask the silent ones again. */
  readonly votes = new Map<ServerId, Vote>();
  /** Elections this server has stood for since there was a leader. */
  campaigns = 0;
  /** The leader asked this candidate to campaign (TimeoutNow). */
  isTransferCandidate = false;
  askAt = Number.POSITIVE_INFINITY;
  askIntervalMs = 0;
  /** Voters that did not grant in the last round, if all had to: suspect servers took part. */
  awaited: readonly ServerId[] = [];

  /** Leader: everyone else in the configuration. */
  readonly followers = new Map<ServerId, Progress>();
  /** When the newest round of heartbeats was sent, in ms. */
  heartbeatAt = Number.NEGATIVE_INFINITY;
  /** Rounds of heartbeats sent in this term. */
  heartbeatRound = 0;
  /** Until then it relies on a lease that the present change of the configuration has taken from it, in ms. */
  leaseOverAt = Number.NEGATIVE_INFINITY;
  transfer: Transfer | undefined;
  transferCount = 0;
  readonly reads = new ReadQueue();

  #hardState: HardState;
  #isHardStateDirty = false;
  readonly #sendAfter: Outgoing[] = [];
  #restore: { readonly snapshot: Snapshot; readonly keepsLog: boolean } | undefined;
  readonly #sends: RaftEffect[] = [];
  readonly #notices: RaftEffect[] = [];
  /** Reads that may be answered once their index is applied. */
  #allowedReads: AllowedReads[] = [];
  readonly #told: { role: Role; term: number; leader: ServerId | undefined; configuration: Configuration };

  constructor(options: RaftOptions, initial: InitialState, now: number) {
    checkOptions(options);
    this.options = options;
    this.id = options.id;
    this.now = now;
    this.#hardState = initial.hardState;
    this.log = new RaftLog(initial);
    this.writes = new Writes(this.log.lastIndex);
    assert(
      this.log.lastTerm <= this.term,
      "the log is ahead of the hard state's term:",
      this.log.lastTerm,
      this.term,
    );
    this.isIncomplete = initial.isIncomplete === true;
    // Among what is missing may be that others vote, too.
    const isAlone = isSoleVoter(this.log.configuration, this.id) && !this.isIncomplete;
    this.isSuspect = initial.isSuspect && !isAlone;
    this.nonce = 1 + options.randomBelow(NONCES);
    // A sole voter has answered only itself. A server that has nothing on disk may still have answered a leader: its
    // answers to heartbeats do not wait for the term to be safe.
    this.votesFrom = isAlone ? now : now + options.electionMinMs;
    const { role, leader } = this;
    this.#told = { role, term: this.term, leader, configuration: this.log.configuration };
  }

  get term(): number {
    return this.#hardState.term;
  }

  get votedFor(): ServerId | undefined {
    return this.#hardState.votedFor;
  }

  get isLeader(): boolean {
    return this.role === "leader";
  }

  /** The present leader's next snapshot replaces what is here, also where it takes committed entries back. */
  get isContradicted(): boolean {
    return this.contradictedTerm === this.term;
  }

  /** Raft §5.1: terms only rise, and a vote is given once per term. */
  setHardState(term: number, votedFor: ServerId | undefined): void {
    if (term === this.term && votedFor === this.votedFor) return;
    assert(term > this.term || this.votedFor === undefined, "a second vote in term", term);
    assert(term >= this.term, "terms only rise:", this.term, term);
    if (term > this.term) this.suspectTarget = undefined;
    this.#hardState = { term, votedFor };
    this.#isHardStateDirty = true;
  }

  /** At once; for what promises nothing about the disk. */
  send(to: ServerId, message: RaftMessage): void {
    this.#sends.push({ kind: "send", to, message });
  }

  /** Once everything this server now holds is safe (paper figure 2: "before responding to RPCs"). */
  sendWhenSafe(to: ServerId, message: RaftMessage): void {
    this.#sendAfter.push({ to, message });
  }

  /** An effect that goes out with the messages. */
  tellNow(effect: RaftEffect): void {
    this.#sends.push(effect);
  }

  /** An effect for the application; after everything else of this step. */
  tell(effect: RaftEffect): void {
    this.#notices.push(effect);
  }

  refuse(what: "commands" | "configuration" | "transfer", reason: RefusalReason): void {
    this.tell({ kind: "refused", what, reason });
  }

  refuseReads(requests: readonly number[]): void {
    if (requests.length > 0) this.tell({ kind: "readRefused", requests });
  }

  /** These reads may be answered once `index` is applied here. */
  allowReads(requests: readonly number[], index: number): void {
    if (this.#allowedReads.length >= READABLE_MAX) {
      this.refuseReads(requests);
      return;
    }
    this.#allowedReads.push({ requests, index });
    if (index > this.log.commitIndex || this.writes.isRestoring)
      this.tell({ kind: "readPending", requests, index });
  }

  /** A leader says that everything up to `index` is committed. */
  commitTo(index: number): void {
    const { log } = this;
    log.commitTo(Math.max(log.commitIndex, index));
    // The log has caught up without the snapshot that was under way.
    if (this.isContradicted || this.stateWantedFrom !== undefined) return;
    if ((this.incoming?.point.index ?? 0) <= log.commitIndex) this.incoming = undefined;
    if ((this.checking?.snapshot.index ?? 0) <= log.commitIndex) this.checking = undefined;
  }

  /** Replaces log and state. Below the commit index only if what was committed here is contradicted. */
  restore(snapshot: Snapshot): void {
    this.writes.overwritten(Math.min(this.log.commitIndex, snapshot.index) + 1);
    this.log.restore(pointOf(snapshot), this.isContradicted);
    this.contradictedTerm = undefined;
    this.#replaceState(snapshot, false);
  }

  /** Replaces the state by one that belongs to this log: what is committed behind it is applied again. */
  restoreState(snapshot: Snapshot): void {
    this.log.restartFrom(pointOf(snapshot));
    this.#replaceState(snapshot, true);
  }

  #replaceState(snapshot: Snapshot, keepsLog: boolean): void {
    this.isDiverged = false;
    this.isIncomplete = false;
    this.stateWantedFrom = undefined;
    this.stateHashes.clear();
    this.#restore = { snapshot, keepsLog };
  }

  /** The effects of this step, in the order of the contract (events.ts). */
  takeEffects(): readonly RaftEffect[] {
    const effects: RaftEffect[] = [];
    this.#takeWrite(effects);
    if (this.#sends.length > 0) effects.push(...this.#sends.splice(0));
    // While the state machine takes over a snapshot, what follows it waits.
    if (!this.writes.isRestoring) {
      const entries = this.log.takeCommitted();
      if (entries.length > 0) effects.push({ kind: "apply", entries });
    }
    this.#tellChanges(effects);
    if (this.#notices.length > 0) effects.push(...this.#notices.splice(0));
    this.#takeReadable(effects);
    return effects;
  }

  #takeReadable(effects: RaftEffect[]): void {
    if (this.#allowedReads.length === 0 || this.writes.isRestoring) return;
    const { lastApplied } = this.log;
    for (const { requests, index } of this.#allowedReads) {
      if (index <= lastApplied) effects.push({ kind: "readable", requests, index });
    }
    this.#allowedReads = this.#allowedReads.filter(({ index }) => index > lastApplied);
  }

  #takeWrite(effects: RaftEffect[]): void {
    const entries = this.log.takeUnwritten();
    const sendAfter = this.#sendAfter.splice(0);
    const hardState = this.#isHardStateDirty ? this.#hardState : undefined;
    this.#isHardStateDirty = false;
    const { lastIndex: index, lastTerm: term } = this.log;
    if (this.#restore !== undefined) {
      assert(entries.length === 0, "entries behind a snapshot in the same step");
      const { snapshot, keepsLog } = this.#restore;
      this.#restore = undefined;
      this.writes.started({
        index: snapshot.index,
        term: snapshot.term,
        hardState: this.#hardState,
        isRestore: true,
      });
      effects.push({ kind: "restore", snapshot, keepsLog, hardState: this.#hardState, sendAfter });
    } else if (
      hardState !== undefined ||
      entries.length > 0 ||
      (sendAfter.length > 0 && !this.writes.isIdle)
    ) {
      this.writes.started({ index, term, hardState, isRestore: false });
      effects.push({ kind: "persist", hardState, entries, index, term, sendAfter });
    } else {
      for (const { to, message } of sendAfter) effects.push({ kind: "send", to, message });
    }
  }

  #tellChanges(effects: RaftEffect[]): void {
    const told = this.#told;
    const { role, term, leader } = this;
    const { configuration } = this.log;
    if (configuration !== told.configuration) {
      effects.push({ kind: "configurationChanged", configuration });
      told.configuration = configuration;
    }
    if (role !== told.role || term !== told.term || leader !== told.leader) {
      effects.push({ kind: "roleChanged", role, term, leader });
      Object.assign(told, { role, term, leader });
    }
  }
}

/** Where it stands, without its data: the log must not keep them. */
function pointOf({ index, term, configuration }: Snapshot): SnapshotPoint {
  return { index, term, configuration };
}
