/**
 * Carries out what the Raft core decides: journal, links, state machine and time.
 *
 * One event at a time goes into `RaftNode.step`; its effects are carried out in order, and what they complete comes
 * back as the next event. Writes are asynchronous: their messages leave, and `persisted` is stepped, only when the
 * journal has them; heartbeats never wait for the disk. One timer waits for `wakeAt`. The state machine is saved now and
 * then (own-snapshots.ts). Its hash is compared with the other replicas' (state-hashing.ts).
 *
 * Once a write has failed nothing is promised any more: no message that waits for the disk leaves, and the core is never told
 * that a write is safe, so a leader does not count its own. It goes on only as long as it leads, so that leadership can be
 * handed over, which takes no write of its own.
 *
 * Source: etcd-io/raft's driver contract (AsyncStorageWrites); reference design, section 1.9.
 */

import { assert, type MonotonicMs, type SkeinError, unreachable } from "@skein/kernel";
import {
  decodeConfiguration,
  type Entry,
  type Outgoing,
  type RaftEffect,
  type RaftEvent,
  RaftNode,
  type RaftOptions,
  type RaftStatus,
  type Role,
  type ServerId,
  type Snapshot,
  type SnapshotPoint,
} from "raft-js";
import { Alarm } from "../alarm.ts";
import type { Journal, OpenedJournal } from "../journal/journal.ts";
import type { StateMachine } from "../state-machine/state-machine.ts";
import type { DriverPorts } from "./driver-ports.ts";
import { observedEntry } from "./observed-entry.ts";
import { OwnSnapshots } from "./own-snapshots.ts";
import { ReceivedState } from "./received-state.ts";
import { type Missing, REPAIR_BYTES_MAX } from "./repair.ts";
import type { ReplicaSizes } from "./replica-sizes.ts";
import { StateHashing } from "./state-hashing.ts";

/** Bytes of commands applied since the last snapshot after which the next one is taken. */
const SNAPSHOT_BYTES = 16 * 1024 * 1024;
/** A write that takes this long is a disk that stands still: SD cards stop for half a second all the time. */
const STALLED_MS = 2000;

export interface DriverOptions
  extends Pick<ReplicaSizes, "snapshotEntries" | "partedBytes" | "decodeBytes" | "decodePauseMs"> {
  readonly raft: RaftOptions;
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
  #hasFailed = false;
  #isRefused = false;
  #isSuspect: boolean;
  readonly #snapshots: OwnSnapshots;
  readonly #received: ReceivedState;
  readonly #hashing: StateHashing;
  /** Last applied entry and the configuration as of it. */
  #applied: SnapshotPoint;
  #writesStarted = 0;
  #writesDone = 0;
  /** When the oldest write under way became the oldest, by the monotonic clock. */
  #writingSince = 0;
  readonly #alarm: Alarm;

  /** Takes over an opened journal and its state, and restores `machine` (empty) from its snapshot. */
  constructor(options: DriverOptions, opened: OpenedJournal, machine: StateMachine, ports: DriverPorts) {
    const { journal, state, snapshotData, snapshotParts: parts } = opened;
    this.#journal = journal;
    this.#machine = machine;
    this.#hashing = new StateHashing(machine, (stateHash) => this.step({ kind: "stateHash", stateHash }));
    this.#ports = ports;
    this.#applied = state.snapshot;
    this.#isSuspect = state.isSuspect;
    this.#leadership = { role: "follower", term: state.hardState.term, leader: undefined };
    if (snapshotData !== undefined) machine.restore(snapshotData, parts);
    const saved = snapshotData && { snapshot: { ...state.snapshot, data: snapshotData }, parts };
    const { snapshotEntries: entries, partedBytes } = options;
    const limits = { entries, bytes: SNAPSHOT_BYTES, partedBytes };
    this.#snapshots = new OwnSnapshots(journal, machine, saved, limits, {
      clock: ports.clock,
      saved: (point) => this.step({ kind: "compacted", point }),
      failed: (error) => this.#failOn(error),
    });
    this.#alarm = new Alarm(ports.clock, () => this.step({ kind: "wake" }));
    ports.observer?.restored(state.snapshot.index, state.snapshot.term);
    this.#received = new ReceivedState({
      decode: (data) => machine.decode(data, { pieceBytes: options.decodeBytes }),
      nextTurn: (callback) => ports.clock.after(options.decodePauseMs, callback),
    });
    this.#raft = new RaftNode(options.raft, state, ports.clock.monotonicMs());
  }

  /** Starts the clock. Call once, when the owner is ready to be called. */
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

  /** The last applied entry; its term is the current one once a leader has committed an entry of its own. */
  get applied(): { readonly index: number; readonly term: number } {
    return this.#applied;
  }

  /** What stands in the log behind it. A leader's stays there as long as it leads. */
  get unapplied(): readonly Entry[] {
    return this.#raft.entriesAfter(this.#applied.index, this.#applied.term, Number.POSITIVE_INFINITY) ?? [];
  }

  /** The disk has failed, and nothing is promised any more. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** How long this disk takes to flush (journal/flush-times.ts). */
  get flushP99Ms(): number {
    return this.#journal.flushTimes.p99Ms;
  }

  /** No durable messages can be taken until there is room. */
  get isDiskFull(): boolean {
    return this.#journal.isFull;
  }

  /** The disk has been at one write for so long that what this node leads does not make progress. */
  isStalled(now: MonotonicMs): boolean {
    const isWriting = this.#writesStarted > this.#writesDone && !this.#journal.isFull;
    return isWriting && now - this.#writingSince >= STALLED_MS;
  }

  /** The last entry of the log. */
  get logEnd(): { readonly index: number; readonly term: number } {
    return this.#raft.logEnd;
  }

  status(now: MonotonicMs): RaftStatus {
    return this.#raft.status(now);
  }

  /** What a peer lacks whose log ends at (`index`, `term`): entries that follow, or the newest snapshot, or nothing. */
  missingAfter(index: number, term: number): Missing {
    const entries = this.#raft.entriesAfter(index, term, REPAIR_BYTES_MAX);
    if (entries !== undefined) return { snapshot: undefined, entries };
    const snapshot = this.#snapshots.forRepair(this.#applied);
    return { snapshot: snapshot !== undefined && snapshot.index > index ? snapshot : undefined, entries: [] };
  }

  /** Appends `commands` to the log if this node leads. False: refused, send them again later. */
  propose(commands: readonly Uint8Array[]): boolean {
    assert(!this.#isStepping, "propose is never called from within a step");
    // What the disk cannot take now would only wait in memory.
    if (this.#isStopped || this.#journal.isFull) return false;
    this.#isRefused = false;
    this.step({ kind: "propose", commands });
    return !this.#isRefused;
  }

  /** Hands leadership to `to`, or to the voter that is best prepared. False: this node does not lead, or that one cannot. */
  transferLeadership(to?: ServerId): boolean {
    assert(!this.#isStepping, "transferLeadership is never called from within a step");
    if (this.#isStopped) return false;
    this.#isRefused = false;
    this.step(to === undefined ? { kind: "transferLeadership" } : { kind: "transferLeadership", to });
    return !this.#isRefused;
  }

  /** The state of this replica as of now, right or wrong. */
  stateAsSnapshot(): Snapshot {
    return { ...this.#applied, data: this.#machine.snapshot() };
  }

  /** This replica has diverged: takes over the leader's state, and goes on from there with the log that it has. */
  replaceState(): void {
    if (!this.#raft.status(this.#ports.clock.monotonicMs()).isDiverged) return;
    this.#snapshots.hold();
    this.step({ kind: "replaceState" });
  }

  /** A linearizable read: `reads` hears of `request` later, or never if it got lost. */
  read(request: number): void {
    this.step({ kind: "readIndex", request });
  }

  /** Handles `event` and everything that follows from it at once. */
  step(event: RaftEvent): void {
    this.#events.push(event);
    if (this.#isStepping) return;
    this.#isStepping = true;
    try {
      // The list grows while it is worked off.
      for (const next of this.#events) {
        if (this.#isStopped) break;
        for (const effect of this.#raft.step(next, this.#ports.clock.monotonicMs())) this.#carryOut(effect);
      }
    } finally {
      this.#events.length = 0;
      this.#isStepping = false;
      this.#received.letGo();
    }
    if (!this.#isStopped) {
      this.#snapshots.saveWhenDue(this.#applied);
      this.#clearSuspectWhenCaughtUp();
      this.#alarm.set(this.#raft.wakeAt);
    }
    if (this.#hasLeadershipChanged) {
      this.#hasLeadershipChanged = false;
      this.#ports.leadershipChanged();
    }
    this.#ports.stepped();
  }

  /** About once a second: the journal learns what is committed, and what the operating system holds goes to the medium. */
  flush(): void {
    if (this.#isStopped) return;
    this.#journal.noteCommitted(this.#applied.index);
    if (this.#journal.isDirty) this.#journal.flushDue((error) => this.#failOn(error));
    this.#hashing.tick(this.#applied.index, this.#ports.clock.monotonicMs());
  }

  /** Completes the writes under way, closes the journal and calls `done`. */
  stop(done: () => void): void {
    if (!this.#isStopped) this.#journal.noteCommitted(this.#applied.index);
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
      case "checkSnapshot":
        this.#received.check(effect.snapshot.data, (isUsable, error) => {
          this.#failOn(error);
          this.step({ kind: "snapshotChecked", check: effect.check, isUsable });
        });
        return;
      case "restore":
        this.#restore(effect);
        return;
      case "send":
        this.#ports.send(effect.to, effect.message);
        return;
      case "sendSnapshot":
        this.#sendSnapshot(effect);
        return;
      case "apply":
        for (const entry of effect.entries) this.#apply(entry);
        return;
      case "refused":
        if (effect.what !== "configuration") this.#isRefused = true;
        return;
      case "leaseGivenUp":
        this.#ports.giveUpLease(() => this.step({ kind: "leaseReleased", transfer: effect.transfer }));
        return;
      case "readPending":
        this.#ports.reads.answered(effect.requests);
        return;
      case "readable":
        this.#ports.reads.confirmed(effect.requests);
        return;
      case "diverged":
      case "contradicted":
        this.#ports.faulty(effect);
        return;
      case "roleChanged":
        this.#leadership = { role: effect.role, term: effect.term, leader: effect.leader };
        this.#hasLeadershipChanged = true;
        if (this.#hasFailed && effect.role !== "leader") this.#halt();
        this.#ports.observer?.leadershipChanged(effect.role, effect.term);
        return;
      case "readRefused":
      case "configurationChanged":
        // The one is asked again by who still wants it (current-reads.ts), the other is read from `status` when the step is over.
        return;
      default:
        unreachable(effect);
    }
  }

  /** Numbers a write; the returned callback sends what waited for it, then tells the core. Persist before send. */
  #startWrite(
    sendAfter: readonly Outgoing[],
    event: RaftEvent,
    isSafe: () => void = () => {},
  ): (error: SkeinError | undefined) => void {
    const { clock } = this.#ports;
    if (this.#writesStarted === this.#writesDone) this.#writingSince = clock.monotonicMs();
    const write = ++this.#writesStarted;
    return (error) => {
      this.#writingSince = clock.monotonicMs();
      assert(++this.#writesDone === write, "journal writes complete in the order they were started");
      if (this.#isStopped || this.#failOn(error)) return;
      isSafe();
      for (const { to, message } of sendAfter) this.#ports.send(to, message);
      this.step(event);
    };
  }

  #apply(entry: Entry): void {
    const { index, term, kind, data } = entry;
    assert(index === this.#applied.index + 1, `applied ${index} after ${this.#applied.index}`);
    const configuration = kind === "configuration" ? decodeConfiguration(data) : this.#applied.configuration;
    this.#applied = { index, term, configuration };
    if (kind === "configuration") this.#machine.setMembers(configuration);
    this.#snapshots.noteApplied(data.length);
    const applied = kind === "command" ? this.#machine.apply(data, index) : undefined;
    if (this.#hasOutgrown()) return;
    this.#ports.observer?.applied(observedEntry(entry, applied, this.#machine));
    if (applied !== undefined) this.#ports.applied(applied);
    this.#hashing.applied(index);
  }

  /** The program does not know what the log says from here on: its state is not saved any more. */
  #hasOutgrown(): boolean {
    const { outdated } = this.#machine;
    if (outdated !== undefined) this.#snapshots.hold();
    return this.#failOn(outdated);
  }

  /** The state is replaced when its snapshot is safe, in the turn in which what follows it is applied: reads never go back. */
  #restore({ snapshot, keepsLog, hardState, sendAfter }: RaftEffect & { readonly kind: "restore" }): void {
    const { index, term, configuration } = snapshot;
    this.#snapshots.replacedBy(snapshot);
    const state = this.#received.take(snapshot.data);
    const takeOver = (): void => {
      this.#machine.takeOver(state);
      const before = this.#applied.index;
      this.#applied = { index, term, configuration };
      this.#hashing.restored();
      this.#snapshots.release();
      this.#ports.observer?.restored(index, term);
      this.#ports.restored(before);
    };
    const done = this.#startWrite(sendAfter, { kind: "restored", index, term }, takeOver);
    this.#journal.restore(snapshot, keepsLog, hardState, done);
  }

  #sendSnapshot(effect: RaftEffect & { readonly kind: "sendSnapshot" }): void {
    // Without one it will be asked for again; until then there is one.
    const message = this.#snapshots.piece(effect);
    const ok = message !== undefined && this.#ports.send(effect.to, message);
    this.step({ kind: "snapshotSent", to: effect.to, ok });
  }

  #clearSuspectWhenCaughtUp(): void {
    if (!this.#isSuspect || this.#raft.status(this.#ports.clock.monotonicMs()).isSuspect) return;
    this.#isSuspect = false;
    this.#journal.clearSuspect((error) => this.#failOn(error));
  }

  #failOn(error: SkeinError | undefined): boolean {
    if (error === undefined) return false;
    if (this.#isStopped || this.#hasFailed) return true;
    this.#hasFailed = true;
    if (this.#leadership.role !== "leader") this.#halt();
    this.#ports.failed(error);
    return true;
  }

  #halt(): void {
    this.#isStopped = true;
    this.#snapshots.stop();
    this.#received.giveUp();
    this.#alarm.stop();
  }
}
