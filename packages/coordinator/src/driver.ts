/**
 * Carries out what the Raft core decides: journal, links, state machine and time.
 *
 * One event at a time goes into `RaftNode.step`; its effects are carried out in order, and what they complete comes
 * back as the next event. Writes are asynchronous: their messages leave, and `persisted` is stepped, only when the
 * journal has them; heartbeats never wait for the disk. One timer waits for `wakeAt`. The state machine is saved as a
 * snapshot when the log since the last one is long, and the newest saved snapshot stays in memory for followers that
 * are far behind.
 *
 * Source: etcd-io/raft's driver contract (AsyncStorageWrites); reference design, section 1.9.
 */

import {
  assert,
  type Clock,
  type MonotonicMs,
  type SkeinError,
  type Timer,
  unreachable,
} from "@skein/kernel";
import {
  decodeConfiguration,
  type Outgoing,
  type RaftEffect,
  type RaftEvent,
  type RaftMessage,
  RaftNode,
  type RaftOptions,
  type RaftStatus,
  type Role,
  type ServerId,
  type Snapshot,
  type SnapshotPoint,
} from "raft-js";
import type { Journal, OpenedJournal } from "./journal/journal.ts";
import type { CoordinatorObserver } from "./options.ts";
import type { Applied, StateMachine } from "./state-machine/state-machine.ts";

/** Entries applied since the last snapshot after which the next one is taken. */
const SNAPSHOT_ENTRIES = 10_000;
/** Bytes of applied commands, likewise. */
const SNAPSHOT_BYTES = 16 * 1024 * 1024;

export interface DriverPorts {
  readonly clock: Clock;
  /** Towards `to`, or lost. Returns false if there is certainly no way now. */
  readonly send: (to: ServerId, message: RaftMessage) => boolean;
  /** A committed command went through the state machine. Must not call back into the driver. */
  readonly applied: (applied: Applied) => void;
  /** The state machine was replaced by a snapshot. The same rule. */
  readonly restored: () => void;
  /** Role, term or leader changed; called when the step is over, so it may call back. */
  readonly leadershipChanged: () => void;
  /** After each event: anything may have changed. */
  readonly stepped: () => void;
  /** The journal cannot go on. Nothing is stepped any more. */
  readonly failed: (error: SkeinError) => void;
  readonly observer: CoordinatorObserver | undefined;
}

/** Who leads, as this node knows it. */
export interface Leadership {
  readonly role: Role;
  readonly term: number;
  readonly leader: ServerId | undefined;
}

export class Driver {
  readonly #raft: RaftNode;
  readonly #journal: Journal;
  readonly #machine: StateMachine;
  readonly #ports: DriverPorts;
  readonly #events: RaftEvent[] = [];
  #leadership: Leadership;
  #hasLeadershipChanged = false;
  #isStepping = false;
  #isStopped = false;
  #isRefused = false;
  #isSuspect: boolean;
  /** The newest saved snapshot; undefined before the first. */
  #snapshot: Snapshot | undefined;
  /** Last applied entry and the configuration as of it. */
  #applied: SnapshotPoint;
  #entriesSince = 0;
  #bytesSince = 0;
  #isSavingSnapshot = false;
  #writesStarted = 0;
  #writesDone = 0;
  #timer: Timer | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

  /** Takes over an opened journal and its state, and restores `machine` (empty) from its snapshot. */
  constructor(options: RaftOptions, opened: OpenedJournal, machine: StateMachine, ports: DriverPorts) {
    const { journal, state, snapshotData } = opened;
    this.#journal = journal;
    this.#machine = machine;
    this.#ports = ports;
    this.#applied = state.snapshot;
    this.#isSuspect = state.isSuspect;
    this.#leadership = { role: "follower", term: state.hardState.term, leader: undefined };
    if (snapshotData !== undefined) {
      machine.restore(snapshotData);
      this.#snapshot = { ...state.snapshot, data: snapshotData };
    }
    ports.observer?.restored(state.snapshot.index, state.snapshot.term);
    this.#raft = new RaftNode(options, state, ports.clock.monotonicMs());
  }

  /** Starts the clock. Call once, when the owner is ready for calls from this driver's ports. */
  start(): void {
    this.step({ kind: "wake" });
  }

  /** As of the last step; cheaper than {@link status}. */
  get leadership(): Leadership {
    return this.#leadership;
  }

  /** The configuration as of the last applied entry: committed for good. */
  get appliedConfiguration(): SnapshotPoint["configuration"] {
    return this.#applied.configuration;
  }

  /** Term of the last applied entry: equal to the current term once a leader has committed an entry of its own. */
  get appliedTerm(): number {
    return this.#applied.term;
  }

  status(now: MonotonicMs): RaftStatus {
    return this.#raft.status(now);
  }

  /** Appends `commands` to the log if this node leads. False: refused, send them again later. */
  propose(commands: readonly Uint8Array[]): boolean {
    assert(!this.#isStepping, "propose is never called from within a step");
    this.#isRefused = false;
    this.step({ kind: "propose", commands });
    return !this.#isRefused;
  }

  /** Handles `event` and everything that follows from it at once. */
  step(event: RaftEvent): void {
    this.#events.push(event);
    if (this.#isStepping) return;
    this.#isStepping = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        if (this.#isStopped) continue;
        for (const effect of this.#raft.step(next, this.#ports.clock.monotonicMs())) this.#carryOut(effect);
      }
    } finally {
      this.#isStepping = false;
    }
    if (this.#isStopped) return;
    this.#saveSnapshotWhenDue();
    this.#clearSuspectWhenCaughtUp();
    this.#armTimer();
    if (this.#hasLeadershipChanged) {
      this.#hasLeadershipChanged = false;
      this.#ports.leadershipChanged();
    }
    this.#ports.stepped();
  }

  /** About once a second: what the operating system holds goes to the medium. */
  flush(): void {
    if (this.#isStopped || !this.#journal.isDirty) return;
    this.#journal.flushDue((error) => this.#failOn(error));
  }

  /** Completes the writes under way, closes the journal and calls `done`. */
  stop(done: () => void): void {
    this.#halt();
    this.#journal.close(() => done());
  }

  #carryOut(effect: RaftEffect): void {
    switch (effect.kind) {
      case "persist": {
        const { index, term, sendAfter } = effect;
        const finish = this.#startWrite(sendAfter, { kind: "persisted", index, term });
        this.#journal.persist({ hardState: effect.hardState, entries: effect.entries }, finish);
        return;
      }
      case "restore":
        this.#restore(effect);
        return;
      case "send":
        this.#ports.send(effect.to, effect.message);
        return;
      case "sendSnapshot":
        this.#sendSnapshot(effect.to, effect.term);
        return;
      case "apply":
        for (const entry of effect.entries) this.#apply(entry);
        return;
      case "refused":
        if (effect.what === "commands") this.#isRefused = true;
        return;
      case "roleChanged":
        this.#leadership = { role: effect.role, term: effect.term, leader: effect.leader };
        this.#hasLeadershipChanged = true;
        this.#ports.observer?.leadershipChanged(effect.role, effect.term);
        return;
      case "configurationChanged":
        // Read from `status` when the step is over.
        return;
      default:
        unreachable(effect);
    }
  }

  /** Numbers a write; the returned callback sends what waited for it, then tells the core. Persist before send. */
  #startWrite(sendAfter: readonly Outgoing[], event: RaftEvent): (error: SkeinError | undefined) => void {
    const write = ++this.#writesStarted;
    return (error) => {
      assert(++this.#writesDone === write, "journal writes complete in the order they were started");
      if (this.#isStopped || this.#failOn(error)) return;
      for (const { to, message } of sendAfter) this.#ports.send(to, message);
      this.step(event);
    };
  }

  #apply(entry: Extract<RaftEffect, { kind: "apply" }>["entries"][number]): void {
    const { index, term, kind, data } = entry;
    assert(index === this.#applied.index + 1, `applied ${index} after ${this.#applied.index}`);
    const configuration = kind === "configuration" ? decodeConfiguration(data) : this.#applied.configuration;
    this.#applied = { index, term, configuration };
    this.#ports.observer?.applied(index, term, data);
    this.#entriesSince++;
    this.#bytesSince += data.length;
    if (kind === "command") this.#ports.applied(this.#machine.apply(data, index));
  }

  #restore(effect: Extract<RaftEffect, { kind: "restore" }>): void {
    const { snapshot, hardState, sendAfter } = effect;
    const { index, term, configuration } = snapshot;
    // Found decodable before it was stepped (coordinator.ts), so this cannot throw.
    this.#machine.restore(snapshot.data);
    this.#snapshot = { index, term, configuration, data: new Uint8Array(snapshot.data) };
    this.#applied = { index, term, configuration };
    this.#entriesSince = 0;
    this.#bytesSince = 0;
    this.#ports.observer?.restored(index, term);
    this.#ports.restored();
    this.#journal.restore(
      this.#snapshot,
      hardState,
      this.#startWrite(sendAfter, { kind: "restored", index, term }),
    );
  }

  #sendSnapshot(to: ServerId, term: number): void {
    const snapshot = this.#snapshot;
    const ok = snapshot !== undefined && this.#ports.send(to, { kind: "installSnapshot", term, snapshot });
    this.step({ kind: "snapshotSent", to, ok });
  }

  #saveSnapshotWhenDue(): void {
    if (this.#isSavingSnapshot) return;
    if (this.#entriesSince < SNAPSHOT_ENTRIES && this.#bytesSince < SNAPSHOT_BYTES) return;
    this.#isSavingSnapshot = true;
    this.#entriesSince = 0;
    this.#bytesSince = 0;
    const point = this.#applied;
    const snapshot: Snapshot = { ...point, data: this.#machine.snapshot() };
    this.#journal.saveSnapshot(snapshot, (error) => {
      this.#isSavingSnapshot = false;
      if (this.#isStopped || this.#failOn(error)) return;
      // A snapshot from a leader may have come in meanwhile; the newer one counts.
      if (this.#snapshot !== undefined && this.#snapshot.index >= point.index) return;
      this.#snapshot = snapshot;
      this.step({ kind: "compacted", point });
    });
  }

  #clearSuspectWhenCaughtUp(): void {
    if (!this.#isSuspect || this.#raft.status(this.#ports.clock.monotonicMs()).isSuspect) return;
    this.#isSuspect = false;
    this.#journal.clearSuspect((error) => this.#failOn(error));
  }

  /** Wakes are frequent and mostly move later, so a timer that is early is left alone and re-armed when it fires. */
  #armTimer(): void {
    const wakeAt = this.#raft.wakeAt;
    if (this.#timer !== undefined && this.#timerAt <= wakeAt) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (!Number.isFinite(wakeAt)) return;
    this.#timerAt = wakeAt;
    const { clock } = this.#ports;
    this.#timer = clock.after(Math.max(0, wakeAt - clock.monotonicMs()), () => {
      this.#timer = undefined;
      if (clock.monotonicMs() >= this.#raft.wakeAt) this.step({ kind: "wake" });
      else this.#armTimer();
    });
  }

  #failOn(error: SkeinError | undefined): boolean {
    if (error === undefined) return false;
    if (!this.#isStopped) {
      this.#halt();
      this.#ports.failed(error);
    }
    return true;
  }

  #halt(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
