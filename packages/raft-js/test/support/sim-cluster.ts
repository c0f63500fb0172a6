/**
 * Raft servers in one process under a seed: virtual time, clocks that drift, a network that loses, repeats and reorders,
 * disks that are slow, processes that pause and crash between any two effects. It is also a driver written down: each
 * effect is carried out as events.ts demands.
 */

import {
  decodeConfiguration,
  type Outgoing,
  type RaftEffect,
  type RaftEvent,
  type RaftMessage,
  RaftNode,
  type RaftOptions,
  type ServerId,
} from "../../src/index.ts";
import { Checkers } from "./checkers.ts";
import { EventQueue } from "./event-queue.ts";
import { type Prng, prng } from "./prng.ts";
import { SimNetwork } from "./sim-network.ts";
import { decodeState, SimServer } from "./sim-server.ts";

/** A server notes what is committed with every so many'th write: what it finds after a restart is behind. */
const COMMIT_NOTED_EVERY = 3;
/** Entries from one comparison of the states to the next. */
export const HASH_EVERY = 10;
/** Clocks run at most half a percent fast or slow. */
const DRIFT_MAX = 0.005;

/** Timing and limits; the same for all servers of a run. */
export type Settings = Omit<RaftOptions, "id" | "randomBelow">;

export const SETTINGS: Settings = {
  heartbeatMs: 50,
  electionMinMs: 250,
  electionMaxMs: 500,
  appendBytesMax: 200,
  inflightMax: 4,
  uncommittedBytesMax: 4000,
  entriesKept: 3,
  inflightBytesMax: 500,
  snapshotChunkBytes: 16,
  leaseGuardMs: 1,
};

export class SimCluster {
  readonly random: Prng;
  readonly checkers = new Checkers();
  readonly servers = new Map<ServerId, SimServer>();
  readonly network: SimNetwork;
  /** Drawn before the first server starts. */
  settings = SETTINGS;
  /** Applied entries after which a server saves a snapshot. */
  compactAfter = 40;
  /** Longest time that a write takes, in ms, if the disk does not stall. */
  diskMaxMs = 3;
  /** Longest time that a driver takes to release what a lease protected, in ms. */
  releaseMaxMs = 20;
  /** Longest time that an application takes to find out whether it can use a snapshot, in ms. */
  checkMaxMs = 5;
  /** How often, of a million, an effect is the last thing a process does. */
  crashPerMillion = 0;
  now = 0;
  /** Rare situations that this run has been in. */
  readonly seen = new Set<string>();
  readonly #queue = new EventQueue();

  constructor(seed: number, ids: readonly ServerId[]) {
    this.random = prng(seed);
    this.network = new SimNetwork(this.random, this.#queue);
    ids.forEach((id, i) => {
      const drift = this.random.pick([-DRIFT_MAX, 0, DRIFT_MAX]);
      this.servers.set(id, new SimServer(id, i + 1, 1 + drift, this.random.below(1000)));
    });
  }

  get(id: ServerId): SimServer {
    return this.servers.get(id)!;
  }

  get running(): SimServer[] {
    return [...this.servers.values()].filter(({ node }) => node !== undefined);
  }

  get leaders(): SimServer[] {
    return this.running.filter(({ role }) => role === "leader");
  }

  start(id: ServerId): void {
    const server = this.get(id);
    server.life++;
    server.disk.busyUntil = this.now;
    server.pausedUntil = this.now;
    server.wakeAt = Number.POSITIVE_INFINITY;
    server.isSaving = false;
    server.state = decodeState(server.disk.snapshot.data);
    server.appliedIndex = server.disk.snapshot.index;
    server.isSnapshotWanted = false;
    const initial = server.disk.load();
    const kept = initial.entries.filter((entry) => entry.index > initial.snapshot.index);
    server.log.reset(initial.snapshot.index, kept);
    const options = { ...this.settings, id, randomBelow: (bound: number) => this.random.below(bound) };
    server.node = new RaftNode(options, initial, server.clock(this.now));
    server.role = "follower";
    server.settled = undefined;
    ({ term: server.term, configuration: server.configuration } = server.node.status());
    this.#schedule(server);
  }

  /** The process dies: everything but what is safe on disk is gone. */
  crash(id: ServerId): void {
    const server = this.get(id);
    if (server.node === undefined) return;
    this.#checkManners(server);
    if (server.disk.crash(this.random)) this.seen.add("a write is half done when its server crashes");
    server.life++;
    server.node = undefined;
    server.isWrong = false;
    server.holding = undefined;
    server.writes.length = 0;
    server.reads.clear();
    server.sentSnapshots.clear();
  }

  /** The process stands still for a while; what it would do happens then. */
  pause(id: ServerId, ms: number): void {
    this.get(id).pausedUntil = this.now + ms;
  }

  /** Asks for a linearizable read on a running server. */
  read(id: ServerId): void {
    const server = this.get(id);
    const request = server.reads.size;
    server.reads.set(request, this.checkers.lastApplied);
    this.step(id, { kind: "readIndex", request });
  }

  /** Steps a server if it runs and is not paused. */
  step(id: ServerId, event: RaftEvent): void {
    const server = this.get(id);
    if (server.node === undefined || this.now < server.pausedUntil) return;
    const { life } = server;
    const lease = event.kind === "transferLeadership" ? server.leaseUntil(this.now) : 0;
    for (const effect of server.node.step(event, server.clock(this.now))) {
      if (effect.kind === "leaseGivenUp") server.holding = { transfer: effect.transfer, until: lease };
      this.#carryOut(server, effect);
      if (this.random.below(1_000_000) < this.crashPerMillion) this.crash(id);
      if (server.life !== life) return;
    }
    if (server.disk.isSuspect && !server.node.status().isSuspect) server.disk.isSuspect = false;
    this.checkers.leads(server);
    this.#saveIfDue(server);
    this.checkers.leases(this.#leaseHolders());
    this.#schedule(server);
  }

  /** Runs until `until`; calls `each` every `everyMs`. */
  run(until: number, everyMs: number, each: () => void): void {
    let nextCall = this.now + everyMs;
    while (this.now < until) {
      const at = Math.min(this.#queue.nextAt, nextCall, until);
      this.now = at;
      if (at === nextCall) {
        nextCall += everyMs;
        each();
      } else if (at === this.#queue.nextAt) {
        this.#queue.takeNext()();
      }
    }
  }

  /** Runs until `isDone`, at most until `deadline`. Returns whether it was done. */
  runUntil(deadline: number, isDone: () => boolean): boolean {
    while (!isDone()) {
      if (this.#queue.nextAt > deadline) return false;
      this.now = this.#queue.nextAt;
      this.#queue.takeNext()();
    }
    return true;
  }

  checkLogs(): void {
    this.checkers.logsMatch(new Map([...this.servers].map(([id, server]) => [id, server.log])));
    for (const server of this.running) this.#checkManners(server);
  }

  /** Everyone keeps the rules here: nobody is taken for one who does not. */
  #checkManners({ id, node }: SimServer): void {
    const rejected = node?.status().rejectedMessages ?? 0;
    if (rejected > 0) throw new Error(`${id} takes ${rejected} messages of its peers for nonsense`);
  }

  /** Does something for `server` at `at`: not after a crash, and later if it is paused then. */
  #later(server: SimServer, at: number, action: () => void): void {
    const { life } = server;
    this.#queue.at(at, () => {
      if (server.life !== life) return;
      if (this.now < server.pausedUntil) this.#later(server, server.pausedUntil, action);
      else action();
    });
  }

  #carryOut(server: SimServer, effect: RaftEffect): void {
    const { id } = server;
    switch (effect.kind) {
      case "persist": {
        if (this.#hasLed(server)) this.checkers.leaderWrites(id, effect.entries, server.log);
        server.log.write(effect.entries);
        const { hardState, entries, index, term, sendAfter } = effect;
        const committed = index % COMMIT_NOTED_EVERY === 0 ? server.node?.status().commitIndex : undefined;
        server.disk.begin({ hardState, entries, committed });
        this.#write(server, sendAfter, { kind: "persisted", index, term });
        break;
      }
      case "checkSnapshot":
        this.#later(server, this.now + this.random.below(this.checkMaxMs + 1), () =>
          this.#checked(server, effect),
        );
        break;
      case "restore":
        this.#restore(server, effect);
        break;
      case "send":
        this.#send(server, effect.to, effect.message);
        break;
      case "sendSnapshot":
        this.#sendSnapshot(server, effect);
        break;
      case "apply":
        this.#apply(server, effect.entries);
        break;
      case "roleChanged":
        ({ role: server.role, term: server.term } = effect);
        if (effect.role === "leader") {
          this.checkers.becameLeader(id, effect.term, server.log);
          // A late vote may still elect the leader of a term that is over: it can commit nothing.
          const earlier = this.#leaseHolders().filter(
            (holder) => holder.id !== id && holder.term < effect.term,
          );
          this.checkers.leases([server, ...earlier]);
        }
        break;
      case "configurationChanged":
        server.configuration = effect.configuration;
        break;
      case "leaseGivenUp":
        this.#later(server, this.now + this.random.below(this.releaseMaxMs), () =>
          this.#release(server, effect.transfer),
        );
        break;
      case "readable":
        for (const request of effect.requests) this.#readable(server, request, effect.index);
        break;
      case "diverged":
        // A report from when it was wrong may be late.
        if (!this.get(effect.server).hasBeenWrong)
          throw new Error(`${id}: ${effect.server} diverged at ${effect.index}`);
        if (effect.server === id)
          this.#later(server, this.now, () => this.step(id, { kind: "replaceState" }));
        break;
      case "contradicted":
        throw new Error(`${id}: ${effect.kind} at ${effect.index}`);
      default:
        break;
    }
  }

  #apply(server: SimServer, entries: (RaftEffect & { readonly kind: "apply" })["entries"]): void {
    const { id } = server;
    const last = entries.at(-1);
    const { term } = server.node!.status();
    const disks = new Map([...this.servers].map(([other, { disk }]) => [other, disk]));
    // What came before was perhaps committed by another leader, and a voter that has it may be gone.
    if (this.#hasLed(server) && last !== undefined)
      this.checkers.commits(id, term, last, server.configuration, disks);
    for (const entry of entries) {
      if (entry.index !== server.appliedIndex + 1)
        throw new Error(`${id} applies ${entry.index} out of order`);
      server.appliedIndex = entry.index;
      this.checkers.applies(id, entry, term);
      if (entry.kind === "command") server.state.push(entry.data[0]!);
      if (entry.kind === "configuration") server.settled = decodeConfiguration(entry.data);
      if (entry.index % HASH_EVERY === 0) this.#hash(server, entry.index);
    }
  }

  /** Whether it was the leader when the step began whose effects are being carried out, and none was heard in it. */
  #hasLed({ role, term, node }: SimServer): boolean {
    return role === "leader" && node?.status().term === term;
  }

  #hash(server: SimServer, index: number): void {
    const stateHash = { index, hash: `${server.state.length}:${server.state.slice(-8).join()}` };
    this.#later(server, this.now, () => this.step(server.id, { kind: "stateHash", stateHash }));
  }

  #release(server: SimServer, transfer: number): void {
    if (server.holding?.transfer === transfer) server.holding = undefined;
    else this.seen.add("a lease is released after its transfer has ended and the next has begun");
    this.step(server.id, { kind: "leaseReleased", transfer });
  }

  #readable(server: SimServer, request: number, index: number): void {
    const asked = server.reads.get(request);
    if (asked === undefined) throw new Error(`${server.id} answers read ${request}, which it did not ask`);
    this.seen.add("a read is answered");
    this.checkers.reads(server.id, asked, index, server.appliedIndex);
  }

  #checked(server: SimServer, effect: RaftEffect & { readonly kind: "checkSnapshot" }): void {
    const { check, snapshot } = effect;
    if (server.appliedIndex >= snapshot.index)
      this.seen.add("a log catches up while a snapshot for it is looked at");
    if (server.node?.status().leader !== server.pieceFrom)
      this.seen.add("a snapshot is looked at for longer than its leader leads");
    this.step(server.id, { kind: "snapshotChecked", check, isUsable: true });
  }

  #restore(server: SimServer, effect: RaftEffect & { readonly kind: "restore" }): void {
    const { snapshot, keepsLog, hardState, sendAfter } = effect;
    const { index, term } = snapshot;
    const state = decodeState(snapshot.data);
    this.checkers.restores(server.id, index, state);
    if (!keepsLog) server.log.reset(index, []);
    server.isSaving = false;
    server.disk.begin({ hardState, snapshot, keepsLog });
    this.#write(server, sendAfter, { kind: "restored", index, term }, () => {
      if (server.isWrong) this.seen.add("a wrong state is found and replaced");
      server.isWrong = false;
      server.state = state;
      server.appliedIndex = index;
    });
  }

  #write(
    server: SimServer,
    sendAfter: readonly Outgoing[],
    done: RaftEvent,
    safe: () => void = () => {},
  ): void {
    const { disk } = server;
    // Files must be made before the first write.
    if (disk.isFresh) disk.busyUntil = this.now + this.diskMaxMs * 5;
    // Group commit: what comes while a later flush is waiting already joins it. Else a slow disk never catches up.
    if (disk.busyUntil <= this.now + this.diskMaxMs) {
      const stall = this.random.chance(2) ? this.random.below(this.diskMaxMs * 20 + 1) : 0;
      disk.busyUntil = Math.max(this.now, disk.busyUntil) + this.random.below(this.diskMaxMs + 1) + stall;
    }
    server.writes.push({ sendAfter, done, safe });
    this.#later(server, disk.busyUntil, () => this.#written(server));
  }

  /** The oldest write is safe. */
  #written(server: SimServer): void {
    const { sendAfter, done, safe } = server.writes.shift()!;
    server.disk.complete();
    safe();
    for (const { to, message } of sendAfter) this.#send(server, to, message);
    this.step(server.id, done);
  }

  #send(server: SimServer, to: ServerId, message: RaftMessage): void {
    const { id: from } = server;
    this.checkers.sends(from, to, message, server.disk);
    const target = this.servers.get(to);
    if (target === undefined) return;
    this.network.send(this.now, from, to, message, (received) => this.#receive(target, from, received));
  }

  #receive(server: SimServer, from: ServerId, message: RaftMessage): void {
    if (this.now < server.pausedUntil) {
      this.#later(server, server.pausedUntil, () => this.#receive(server, from, message));
      return;
    }
    if (message.kind === "installSnapshot") {
      const isOther = message.offset > 0 && server.pieceFrom !== undefined && server.pieceFrom !== from;
      if (isOther) this.seen.add("a later piece of a snapshot comes from another leader than the one before");
      server.pieceFrom = from;
    }
    this.step(server.id, { kind: "receive", from, message });
  }

  #sendSnapshot(server: SimServer, effect: RaftEffect & { readonly kind: "sendSnapshot" }): void {
    const { to, term, bytesMax } = effect;
    const begun = server.sentSnapshots.get(to);
    const isThere = begun?.snapshot.index === effect.index && begun?.isKept === true;
    const snapshot = isThere ? begun.snapshot : server.disk.snapshot;
    // Mostly what was begun can be ended, though it is replaced meanwhile: else a long one never arrives.
    if (!isThere) server.sentSnapshots.set(to, { snapshot, isKept: this.random.chance(80) });
    const { data, ...point } = snapshot;
    const offset = effect.index === point.index && effect.offset < data.length ? effect.offset : 0;
    const isUseful = point.index > 0 && point.index >= effect.minIndex;
    if (!isUseful) server.isSnapshotWanted = true;
    const ok = !this.random.chance(20) && isUseful;
    const piece = data.subarray(offset, offset + bytesMax);
    if (ok) {
      const totalBytes = data.length;
      this.#send(server, to, { kind: "installSnapshot", term, point, totalBytes, offset, data: piece });
    }
    this.#later(server, this.now + 5, () => this.step(server.id, { kind: "snapshotSent", to, ok }));
  }

  /** Saves a snapshot when enough was applied since the last. It takes a while; a leader's may come in meanwhile. */
  #saveIfDue(server: SimServer): void {
    const { node, disk, appliedIndex } = server;
    // A state that is wrong is not saved, not even before that is known: so it cannot spread.
    if (node === undefined || server.isSaving || server.isWrong) return;
    const dueIndex = disk.snapshot.index + (server.isSnapshotWanted ? 1 : this.compactAfter);
    if (appliedIndex < dueIndex) return;
    const point = node.snapshotPoint(appliedIndex);
    // Only what is already written: the snapshot goes to the same disk, behind it.
    if (point === undefined || disk.last.index < point.index) return;
    const data = server.encodeState();
    server.isSnapshotWanted = false;
    server.isSaving = true;
    this.#later(server, this.now + this.random.below(this.diskMaxMs + 1), () => {
      if (!server.isSaving || disk.snapshot.index >= point.index) return;
      server.isSaving = false;
      disk.compact({ ...point, data }, this.settings.entriesKept);
      this.step(server.id, { kind: "compacted", point });
    });
  }

  #schedule(server: SimServer): void {
    const { node, life } = server;
    if (node === undefined || node.wakeAt === Number.POSITIVE_INFINITY) {
      server.wakeAt = Number.POSITIVE_INFINITY;
      return;
    }
    const at = Math.max(server.trueTime(node.wakeAt), this.now, server.pausedUntil);
    if (server.wakeAt === at) return;
    server.wakeAt = at;
    this.#queue.at(at, () => {
      if (server.life !== life || server.wakeAt !== at) return;
      server.wakeAt = Number.NaN;
      if (this.now < server.pausedUntil) this.#schedule(server);
      else this.step(server.id, { kind: "wake" });
    });
  }

  #leaseHolders(): SimServer[] {
    return this.running.filter((server) => server.clock(this.now) < server.leaseUntil(this.now));
  }
}
