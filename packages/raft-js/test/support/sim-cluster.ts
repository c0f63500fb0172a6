/**
 * Raft servers in one process under a seed: virtual time, a network that loses, delays, duplicates, reorders and
 * partitions, disks that are slow and forget what was not yet safe, crashes between any two events. It is also a driver
 * written down: each effect is carried out as events.ts demands.
 */

import {
  decodeRaftMessage,
  encodeRaftMessage,
  type HardState,
  type Outgoing,
  type RaftEffect,
  type RaftEvent,
  type RaftMessage,
  RaftNode,
  type RaftOptions,
  type ServerId,
  type Snapshot,
} from "../../src/index.ts";
import { Checkers, LogMirror } from "./checkers.ts";
import { EventQueue } from "./event-queue.ts";
import { type Prng, prng } from "./prng.ts";
import { SimDisk } from "./sim-disk.ts";

export const TIMING = { heartbeatMs: 50, electionMinMs: 250, electionMaxMs: 500 };
const ENTRIES_KEPT = 3;
/** A server notes what is committed with every so many'th write: what it finds after a restart is behind. */
const COMMIT_NOTED_EVERY = 3;
const HASH_EVERY = 10;

export interface Faults {
  lossPercent: number;
  duplicatePercent: number;
  delayMaxMs: number;
  diskMaxMs: number;
  /** Directed pairs "from>to" that are cut. */
  cut: Set<string>;
}

export interface SimServer {
  readonly id: ServerId;
  readonly disk: SimDisk;
  readonly log: LogMirror;
  node: RaftNode | undefined;
  /** Applied commands in order, as numbers; what the state machine is. */
  state: number[];
  appliedIndex: number;
  /** Counts restarts: what an earlier life started must not reach this one. */
  life: number;
  wakeAt: number;
  /** It hands leadership over and still holds, until then, what its lease protected: its driver is at it. */
  holdsUntil: number;
  /** Reads that wait: by request, what had been applied anywhere when it was asked. */
  readonly reads: Map<number, number>;
}

export class SimCluster {
  readonly random: Prng;
  readonly checkers = new Checkers();
  readonly servers = new Map<ServerId, SimServer>();
  readonly faults: Faults = {
    lossPercent: 0,
    duplicatePercent: 0,
    delayMaxMs: 5,
    diskMaxMs: 3,
    cut: new Set(),
  };
  /** Applied entries after which a server saves a snapshot. */
  compactAfter = 40;
  now = 0;
  /** How many reads were answered, and how many transfers went through. */
  answeredReads = 0;
  transfers = 0;
  #requests = 0;
  readonly #queue = new EventQueue();

  constructor(seed: number, ids: readonly ServerId[]) {
    this.random = prng(seed);
    for (const id of ids) {
      const server = { id, disk: new SimDisk(), log: new LogMirror(), node: undefined };
      this.servers.set(id, {
        ...server,
        state: [],
        appliedIndex: 0,
        life: 0,
        wakeAt: Number.POSITIVE_INFINITY,
        holdsUntil: Number.NEGATIVE_INFINITY,
        reads: new Map(),
      });
    }
  }

  get(id: ServerId): SimServer {
    return this.servers.get(id)!;
  }

  get leaders(): SimServer[] {
    return [...this.servers.values()].filter((server) => server.node?.status().role === "leader");
  }

  start(id: ServerId): void {
    const server = this.get(id);
    server.life++;
    server.disk.busyUntil = this.now;
    server.state = [...server.disk.snapshot.data];
    server.appliedIndex = server.disk.snapshot.index;
    const initial = server.disk.load();
    const kept = initial.entries.filter((entry) => entry.index > initial.snapshot.index);
    server.log.reset(initial.snapshot.index, kept);
    server.node = new RaftNode(this.#options(id), initial, this.now);
    this.#schedule(server);
  }

  /** Power loss: everything but what is safe on disk is gone. */
  crash(id: ServerId): void {
    const server = this.get(id);
    server.life++;
    server.node = undefined;
    server.holdsUntil = Number.NEGATIVE_INFINITY;
    server.reads.clear();
  }

  /** Asks for a linearizable read on a running server. */
  read(id: ServerId): void {
    const server = this.get(id);
    if (server.node === undefined) return;
    server.reads.set(++this.#requests, this.checkers.lastApplied);
    this.step(id, { kind: "readIndex", request: this.#requests });
  }

  step(id: ServerId, event: RaftEvent): void {
    const server = this.get(id);
    if (server.node === undefined) return;
    const lease = event.kind === "transferLeadership" ? server.node.status(this.now).leaseUntil : undefined;
    const effects = server.node.step(event, this.now);
    if (effects.some(({ kind }) => kind === "leaseGivenUp")) server.holdsUntil = lease ?? this.now;
    for (const effect of effects) this.#carryOut(server, effect);
    if (server.disk.isSuspect && !server.node.status().isSuspect) server.disk.isSuspect = false;
    this.#compactIfDue(server);
    this.#checkLeases();
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
  }

  #options(id: ServerId): RaftOptions {
    return {
      ...TIMING,
      id,
      randomBelow: (bound) => this.random.below(bound),
      appendBytesMax: 200,
      inflightMax: 4,
      uncommittedBytesMax: 4000,
      entriesKept: ENTRIES_KEPT,
      inflightBytesMax: 500,
      snapshotChunkBytes: 16,
      leaseGuardMs: 1,
    };
  }

  #carryOut(server: SimServer, effect: RaftEffect): void {
    const { life } = server;
    switch (effect.kind) {
      case "persist": {
        if (server.node?.status().role === "leader")
          this.checkers.leaderWrites(server.id, effect.entries, server.log);
        server.log.write(effect.entries);
        const { index, term, sendAfter } = effect;
        const { commitIndex = 0 } = server.node?.status() ?? {};
        const safe = () => {
          server.disk.write(effect.hardState, effect.entries);
          if (index % COMMIT_NOTED_EVERY === 0) server.disk.commitIndex = commitIndex;
        };
        this.#write(server, safe, sendAfter, { kind: "persisted", index, term });
        break;
      }
      case "restore":
        this.#restore(server, effect.snapshot, effect.hardState, effect.sendAfter);
        break;
      case "send":
        this.#send(server.id, effect.to, effect.message);
        break;
      case "sendSnapshot":
        this.#sendSnapshot(server, effect);
        break;
      case "apply":
        for (const entry of effect.entries) {
          if (entry.index !== server.appliedIndex + 1)
            throw new Error(`${server.id} applies ${entry.index} out of order`);
          server.appliedIndex = entry.index;
          this.checkers.applies(server.id, entry);
          if (entry.kind === "command") server.state.push(entry.data[0]!);
          if (entry.index % HASH_EVERY === 0) this.#hash(server, entry.index);
        }
        break;
      case "roleChanged":
        if (effect.role === "leader") {
          this.checkers.becameLeader(server.id, effect.term, server.log);
          this.checkers.leases([server.id, ...this.#leaseHolders().filter((id) => id !== server.id)]);
        }
        break;
      case "leaseGivenUp":
        this.#queue.at(this.now + this.random.below(20), () => this.#release(server, life));
        break;
      case "readable":
        for (const request of effect.requests) this.#readable(server, request, effect.index);
        break;
      case "diverged":
      case "contradicted":
        throw new Error(`${server.id}: ${effect.kind} at ${effect.index}`);
      default:
        break;
    }
  }

  #hash(server: SimServer, index: number): void {
    const { life } = server;
    const stateHash = { index, hash: `${server.state.length}:${server.state.slice(-8).join()}` };
    this.#queue.at(this.now, () => {
      if (server.life === life) this.step(server.id, { kind: "stateHash", stateHash });
    });
  }

  #release(server: SimServer, life: number): void {
    if (server.life !== life) return;
    server.holdsUntil = Number.NEGATIVE_INFINITY;
    if (server.node?.status().transferringTo !== undefined) this.transfers++;
    this.step(server.id, { kind: "leaseReleased" });
  }

  #readable(server: SimServer, request: number, index: number): void {
    const asked = server.reads.get(request);
    if (asked === undefined) return;
    server.reads.delete(request);
    this.answeredReads++;
    this.checkers.reads(server.id, asked, index, server.appliedIndex);
  }

  #restore(
    server: SimServer,
    snapshot: Snapshot,
    hardState: HardState,
    sendAfter: readonly Outgoing[],
  ): void {
    server.log.reset(snapshot.index, []);
    const { index, term } = snapshot;
    const safe = () => {
      server.disk.restore(snapshot, hardState);
      server.state = [...snapshot.data];
      server.appliedIndex = index;
    };
    this.#write(server, safe, sendAfter, { kind: "restored", index, term });
  }

  #write(server: SimServer, safe: () => void, sendAfter: readonly Outgoing[], done: RaftEvent): void {
    const { life, disk } = server;
    const { diskMaxMs } = this.faults;
    // Group commit: what comes while a later flush is waiting already joins it. Else a slow disk never catches up.
    if (disk.busyUntil <= this.now + diskMaxMs) {
      const stall = this.random.chance(2) ? this.random.below(diskMaxMs * 20 + 1) : 0;
      disk.busyUntil = Math.max(this.now, disk.busyUntil) + this.random.below(diskMaxMs + 1) + stall;
    }
    this.#queue.at(disk.busyUntil, () => {
      if (server.life !== life) return;
      safe();
      for (const { to, message } of sendAfter) this.#send(server.id, to, message);
      this.step(server.id, done);
    });
  }

  #send(from: ServerId, to: ServerId, message: RaftMessage): void {
    const { random, faults } = this;
    const bytes = encodeRaftMessage(message);
    const copies = random.chance(faults.duplicatePercent) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      if (random.chance(faults.lossPercent)) continue;
      const late = random.chance(1) ? faults.delayMaxMs * 20 : 0;
      this.#queue.at(this.now + 1 + random.below(faults.delayMaxMs) + late, () => {
        if (faults.cut.has(`${from}>${to}`) || !this.servers.has(to)) return;
        this.step(to, { kind: "receive", from, message: decodeRaftMessage(bytes) });
      });
    }
  }

  #sendSnapshot(server: SimServer, effect: RaftEffect & { readonly kind: "sendSnapshot" }): void {
    const { life } = server;
    const { to, term, bytesMax } = effect;
    const { data, ...point } = server.disk.snapshot;
    const offset = effect.index === point.index ? effect.offset : 0;
    const ok = !this.random.chance(20);
    const piece = data.subarray(offset, offset + bytesMax);
    const message = { kind: "installSnapshot", term, point, totalBytes: data.length, offset, data: piece };
    if (ok) this.#send(server.id, to, message as RaftMessage);
    this.#queue.at(this.now + 5, () => {
      if (server.life === life) this.step(server.id, { kind: "snapshotSent", to, ok });
    });
  }

  #compactIfDue(server: SimServer): void {
    const { node, disk, appliedIndex } = server;
    // Only what is already written: a snapshot goes to the same disk, behind it.
    const safeIndex = disk.entries.at(-1)?.index ?? 0;
    if (node === undefined || disk.busyUntil > this.now || appliedIndex > safeIndex) return;
    if (appliedIndex < disk.snapshot.index + this.compactAfter) return;
    const point = node.snapshotPoint(appliedIndex);
    if (point === undefined) return;
    disk.compact({ ...point, data: Uint8Array.from(server.state) }, ENTRIES_KEPT);
    for (const effect of node.step({ kind: "compacted", point }, this.now)) this.#carryOut(server, effect);
  }

  #schedule(server: SimServer): void {
    const { node, life } = server;
    if (node === undefined) return;
    const at = Math.max(node.wakeAt, this.now);
    server.wakeAt = at;
    if (at === Number.POSITIVE_INFINITY) return;
    this.#queue.at(at, () => {
      if (server.life === life && server.wakeAt === at && this.now === at)
        this.step(server.id, { kind: "wake" });
    });
  }

  #checkLeases(): void {
    this.checkers.leases(this.#leaseHolders());
  }

  #leaseHolders(): ServerId[] {
    const running = [...this.servers.values()].filter(({ node }) => node !== undefined);
    const holders = running.filter(({ node, holdsUntil }) => {
      const until = node!.status(this.now).leaseUntil ?? Number.NEGATIVE_INFINITY;
      return this.now < Math.max(until, holdsUntil);
    });
    return holders.map((server) => server.id);
  }
}
