/**
 * The state of one server that all roles share, and the effects of the step under way.
 *
 * The roles (follower.ts, candidate.ts, leader.ts) are functions on this state. They change it and leave effects;
 * `takeEffects` puts them in the order of the contract: first what must be written, then what may be sent at once,
 * then what the application learns.
 */

import { assert } from "./assert.ts";
import { isSoleVoter } from "./configuration.ts";
import type { RaftEffect, Role } from "./events.ts";
import { RaftLog } from "./log.ts";
import type { Outgoing, RaftMessage } from "./messages.ts";
import type { InitialState, RaftOptions } from "./options.ts";
import type { Progress } from "./progress.ts";
import type { Configuration, HardState, ServerId, Snapshot } from "./types.ts";
import { Writes } from "./writes.ts";

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
  /** No vote is granted before this instant (this server's own restart), in ms. */
  readonly votesFrom: number;
  /** When a leader was last heard, in ms. */
  heardLeaderAt = Number.NEGATIVE_INFINITY;
  /** When to campaign, or to give up the leader, in ms. */
  electionDeadline = Number.POSITIVE_INFINITY;

  /** Candidates: the answers so far, and when to ask the silent ones again. */
  readonly votes = new Map<ServerId, boolean>();
  askAt = Number.POSITIVE_INFINITY;
  askIntervalMs = 0;

  /** Leader: everyone else in the configuration. */
  readonly followers = new Map<ServerId, Progress>();
  nextHeartbeatAt = Number.POSITIVE_INFINITY;

  #hardState: HardState;
  #isHardStateDirty = false;
  #sendAfter: Outgoing[] = [];
  #restore: Snapshot | undefined;
  #sends: RaftEffect[] = [];
  #refusals: RaftEffect[] = [];
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

  askForSnapshot(to: ServerId): void {
    this.#sends.push({ kind: "sendSnapshot", to, term: this.term });
  }

  refuse(
    what: "commands" | "configuration",
    reason: "notLeader" | "changePending" | "tooMuchUncommitted",
  ): void {
    this.#refusals.push({ kind: "refused", what, reason });
  }

  restore(snapshot: Snapshot): void {
    this.writes.overwritten(this.log.commitIndex + 1);
    this.log.restore(snapshot);
    this.#restore = snapshot;
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
    for (const refusal of this.#refusals) effects.push(refusal);
    this.#refusals = [];
    return effects;
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
      const snapshot = this.#restore;
      this.#restore = undefined;
      this.writes.started({ index, term, hardState: this.#hardState, isRestore: true });
      effects.push({ kind: "restore", snapshot, hardState: this.#hardState, sendAfter });
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
