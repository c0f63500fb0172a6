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
import type { InitialState, RaftOptions } from "./options.ts";
import type { Progress } from "./progress.ts";
import type { Vote } from "./quorum.ts";
import { READABLE_MAX, ReadQueue } from "./read-queue.ts";
import type { IncomingSnapshot } from "./snapshot-receiving.ts";
import { StateHashes } from "./state-hashes.ts";
import type { Transfer } from "./transfer.ts";
import type { Configuration, HardState, ServerId, Snapshot } from "./types.ts";
import { Writes } from "./writes.ts";

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
  /** Suspect only: the log must reach this index of the present leader's; undefined until it is known. */
  suspectTarget: number | undefined;
  /** Entries that were here once are being looked for: no vote, no candidacy. */
  isIncomplete: boolean;
  /** A quorum agreed on another state than this server's application has. */
  isDiverged = false;
  /** Diverged only: a snapshot at this index or later is to replace the state; undefined: not asked for. */
  stateWantedFrom: number | undefined;
  /** The leader's log contradicts what is applied here: its next snapshot replaces everything, whatever its index. */
  isContradicted = false;
  /** The first part of a leader's snapshot. */
  incoming: IncomingSnapshot | undefined;
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
  /** The leader asked this candidate to campaign (TimeoutNow). */
  isTransferCandidate = false;
  askAt = Number.POSITIVE_INFINITY;
  askIntervalMs = 0;
  /** Voters that did not grant in the last round, if all had to: suspect servers took part. */
  awaited: readonly ServerId[] = [];

  /** Leader: everyone else in the configuration. */
  readonly followers = new Map<ServerId, Progress>();
  nextHeartbeatAt = Number.POSITIVE_INFINITY;
  /** Rounds of heartbeats sent in this term. */
  heartbeatRound = 0;
  transfer: Transfer | undefined;
  readonly reads = new ReadQueue();

  #hardState: HardState;
  #isHardStateDirty = false;
  #sendAfter: Outgoing[] = [];
  #restore: { readonly snapshot: Snapshot; readonly keepsLog: boolean } | undefined;
  #sends: RaftEffect[] = [];
  #notices: RaftEffect[] = [];
  /** Reads that may be answered once their index is applied. */
  #allowedReads: AllowedReads[] = [];
  #told: { role: Role; term: number; leader: ServerId | undefined; configuration: Configuration };

  constructor(options: RaftOptions, initial: InitialState, now: number) {
    assert(options.electionMaxMs > options.electionMinMs, "electionMaxMs must exceed electionMinMs");
    assert(options.heartbeatMs < options.electionMinMs, "heartbeatMs must be below electionMinMs");
    assert(options.inflightMax > 0, "inflightMax must be positive");
    this.options = options;
    this.id = options.id;
    this.now = now;
    this.#hardState = initial.hardState;
    this.log = new RaftLog(initial);
    this.writes = new Writes(this.log.lastIndex);
    assert(this.log.lastTerm <= this.term, `log of term ${this.log.lastTerm}, hard state of ${this.term}`);
    const isAlone = isSoleVoter(this.log.configuration, this.id);
    this.isSuspect = initial.isSuspect && !isAlone;
    this.isIncomplete = initial.isIncomplete === true;
    // A fresh server has never answered anyone, and a sole voter only itself: neither can break a promise.
    const isFresh = this.term === 0 && !initial.isSuspect;
    this.votesFrom = isFresh || isAlone ? now : now + options.electionMinMs;
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

  /** Raft §5.1: terms only rise, and a vote is given once per term. */
  setHardState(term: number, votedFor: ServerId | undefined): void {
    if (term === this.term && votedFor === this.votedFor) return;
    assert(term > this.term || this.votedFor === undefined, `second vote in term ${term}`);
    assert(term >= this.term, `term ${term} after ${this.term}`);
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
    if (this.#allowedReads.length < READABLE_MAX) this.#allowedReads.push({ requests, index });
    else this.refuseReads(requests);
  }

  /** Replaces log and state. Below the commit index only if what was committed here is contradicted. */
  restore(snapshot: Snapshot): void {
    this.writes.overwritten(Math.min(this.log.commitIndex, snapshot.index) + 1);
    this.log.restore(snapshot, this.isContradicted);
    this.isContradicted = false;
    this.#replaceState(snapshot, false);
  }

  /** Replaces the state by one that belongs to this log: what is committed behind it is applied again. */
  restoreState(snapshot: Snapshot): void {
    this.log.restartFrom(snapshot);
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
    for (const send of this.#sends) effects.push(send);
    this.#sends = [];
    // While the state machine takes over a snapshot, what follows it waits.
    if (!this.writes.isRestoring) {
      const entries = this.log.takeCommitted();
      if (entries.length > 0) effects.push({ kind: "apply", entries });
    }
    this.#tellChanges(effects);
    for (const notice of this.#notices) effects.push(notice);
    this.#notices = [];
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
    const sendAfter = this.#sendAfter;
    const hardState = this.#isHardStateDirty ? this.#hardState : undefined;
    this.#sendAfter = [];
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
    if (configuration !== told.configuration) effects.push({ kind: "configurationChanged", configuration });
    if (role !== told.role || term !== told.term || leader !== told.leader) {
      effects.push({ kind: "roleChanged", role, term, leader });
    }
    this.#told = { role, term, leader, configuration };
  }
}
