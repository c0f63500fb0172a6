/**
 * Whole coordinators on virtual time: a network of ordered links, a member list like the mesh's, disks that take time.
 *
 * Links lose what is under way when an end dies or the link is cut, and deliver in order otherwise, as TCP does. Every
 * choice comes from one seed.
 */

import {
  type ApplicationMessage,
  type Clock,
  type ClusterId,
  type Log,
  type LogFields,
  type NodeId,
  type Prng,
  seededPrng,
} from "@skein/kernel";
import {
  Coordinator,
  type CoordinatorStatus,
  loadIdentity,
  type MergeNews,
  type OnQuorumLoss,
  type PeerView,
} from "../../src/index.ts";
import type { ReplicaSizes } from "../../src/replica/replica-sizes.ts";
import { MemoryDisk } from "./memory-disk.ts";
import { UNKNOWN_MACHINE } from "./peer-view.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** As the mesh: suspect at once when the link goes, dead after this long, in ms. */
const DEAD_AFTER_MS = 6000;

export interface LogLine {
  readonly level: "error" | "warn" | "info" | "debug";
  readonly fields: LogFields;
  readonly message: string;
}

export class SimNode {
  disk = new MemoryDisk();
  readonly logs: LogLine[] = [];
  readonly statuses: CoordinatorStatus[] = [];
  id: NodeId = "" as NodeId;
  /** As people call it. */
  readonly name: string;
  coordinator: Coordinator | undefined;
  /** Grows with every start; what an earlier life has scheduled does not happen. */
  life = 0;
  downSince = 0;
  isDiskBusy = false;
  fatal: Error | undefined;
  /** Why it became a new node, each time. */
  readonly rebirths: string[] = [];
  /** What its live subscribers were given of what goes to everybody. */
  readonly heard: ApplicationMessage[] = [];
  /** Merges that it has told of. */
  readonly merged: MergeNews[] = [];
  /** Topics that had two values after a loss of the quorum, as it has told of them. */
  readonly outdated: string[] = [];
  /** How often it was told to release what only a leader may hold. */
  leasesGivenUp = 0;
  /** Each time its clients were told to go, or could come again. */
  readonly partings: boolean[] = [];
  parting: ((isParting: boolean) => void) | undefined;
  /** Bytes of owed messages that it has room for; undefined: it does not say. */
  owedBytesMax: number | undefined;
  /** How long that takes, in ms. */
  releaseMs = 0;
  /** Another text after the machine has stopped. */
  bootId: string | undefined = "boot-1";
  /** What it tells about itself and what the others measure. */
  qualities: typeof UNKNOWN_MACHINE = UNKNOWN_MACHINE;

  constructor(name: string) {
    this.name = name;
  }

  get running(): Coordinator {
    if (this.coordinator === undefined) throw new Error(`${this.id} is not running`);
    return this.coordinator;
  }

  get status(): CoordinatorStatus {
    return this.running.status;
  }

  get log(): Log {
    const line = (level: LogLine["level"]) => (fields: LogFields, message: string) => {
      this.logs.push({ level, fields, message });
    };
    return { error: line("error"), warn: line("warn"), info: line("info"), debug: line("debug") };
  }
}

export class World {
  readonly clock = new VirtualClock();
  readonly prng: Prng;
  readonly nodes: SimNode[] = [];
  readonly #cuts = new Set<string>();
  readonly #lastDelivery = new Map<string, number>();
  readonly #linkedSince = new Map<string, number>();
  #isRefreshScheduled = false;
  /** Sees every control frame that gets onto a link. */
  watch: (bytes: Uint8Array, from: SimNode) => void = () => {};
  /** Whether a control frame does not arrive. */
  isLost: (bytes: Uint8Array) => boolean = () => false;
  readonly #sizes: Partial<ReplicaSizes>;
  readonly #onQuorumLoss: OnQuorumLoss;

  /** `sizes`: of all nodes' replicas, where they are not the usual ones. */
  constructor(seed: number, sizes: Partial<ReplicaSizes> = {}, onQuorumLoss: OnQuorumLoss = "outbox") {
    this.#sizes = sizes;
    this.#onQuorumLoss = onQuorumLoss;
    this.prng = seededPrng(seed);
    this.clock.afterTurn = () => this.#runDisks();
  }

  /** Adds `count` nodes, not started. */
  add(count: number): SimNode[] {
    const added = Array.from({ length: count }, (_, i) => new SimNode(`pi${this.nodes.length + i + 1}`));
    this.nodes.push(...added);
    return added;
  }

  start(node: SimNode): void {
    const random = { bytes: (n: number) => Uint8Array.from({ length: n }, () => this.prng.below(256)) };
    const identity = loadIdentity(node.disk, random, node.log);
    const life = ++node.life;
    node.id = identity.node;
    const { owedBytesMax, qualities } = node;
    const { protocolVersion } = qualities;
    const sizes = this.#sizes;
    const onQuorumLoss = this.#onQuorumLoss;
    node.coordinator = new Coordinator(
      { identity, mesh: "home", timing: "lan", onQuorumLoss, owedBytesMax, protocolVersion, sizes },
      {
        clock: this.#clockOf(node, life),
        prng: seededPrng(this.prng.below(2 ** 31)),
        random,
        disk: node.disk,
        log: node.log,
        bootId: node.bootId,
        send: (to, bytes) => this.#send(node, to, bytes),
        publishFromLog: ({ message }) => node.heard.push(message),
        publishEarly: (message, _publisher, _name, isForEverybody) => {
          if (isForEverybody) node.heard.push(message);
        },
        merged: (news) => node.merged.push(news),
        outdated: ({ topic }) => node.outdated.push(topic),
        statusChanged: (status) => {
          node.statuses.push(status);
          this.#scheduleRefresh();
        },
        // The others hear of a node now and then, also where nothing changes.
        quorumAnswered: () => this.#scheduleRefresh(),
        giveUpLease: (released) => {
          node.leasesGivenUp++;
          this.clock.after(node.releaseMs, released);
        },
        parting: (isParting) => {
          node.partings.push(isParting);
          node.parting?.(isParting);
        },
        fatal: (error) => {
          node.fatal = error;
        },
        startAgain: (reason) => {
          node.rebirths.push(reason);
          this.clock.after(0, () => this.restart(node));
        },
      },
    );
    node.coordinator.start();
    this.#scheduleRefresh();
  }

  startAll(nodes: readonly SimNode[] = this.nodes): void {
    for (const node of nodes) this.start(node);
  }

  /** The process dies; the operating system keeps what it has. */
  kill(node: SimNode): void {
    node.coordinator = undefined;
    node.life++;
    node.disk.kill();
    node.downSince = this.clock.monotonicMs();
    this.#scheduleRefresh();
  }

  restart(node: SimNode): void {
    this.kill(node);
    this.start(node);
  }

  /** Cuts or mends all links between `some` and the others. */
  isolate(some: readonly SimNode[], isCut: boolean): void {
    for (const a of some) {
      for (const b of this.nodes) {
        if (some.includes(b)) continue;
        if (isCut) this.#cuts.add(pair(a.id, b.id));
        else this.#cuts.delete(pair(a.id, b.id));
      }
    }
    this.#scheduleRefresh();
  }

  run(ms: number): void {
    this.clock.advance(ms);
  }

  until(condition: () => boolean, limitMs: number, what?: string): void {
    this.clock.advanceUntil(condition, limitMs, what);
  }

  get running(): SimNode[] {
    return this.nodes.filter((node) => node.coordinator !== undefined);
  }

  get leader(): SimNode | undefined {
    const leaders = this.running.filter((node) => node.status.role === "leader" && node.status.hasQuorum);
    return leaders.sort((a, b) => b.status.term - a.status.term)[0];
  }

  clusters(): Set<ClusterId | undefined> {
    return new Set(this.running.map((node) => node.status.cluster));
  }

  /** All running nodes agree on one cluster and one leader, with `voters` voters. */
  isFormed(voters: number): boolean {
    const [first] = this.running;
    if (first?.status.coordinator === undefined) return false;
    return this.running.every(
      ({ status }) =>
        status.cluster !== undefined &&
        status.cluster === first.status.cluster &&
        status.coordinator === first.status.coordinator &&
        status.hasQuorum &&
        status.voters.length === voters &&
        status.voters.length + status.learners.length >= this.running.length,
    );
  }

  isConverged(): boolean {
    const digests = new Set(this.running.map((node) => node.running.retained.digest()));
    return digests.size === 1 && this.running.every((node) => node.status.pendingProposals === 0);
  }

  isConnected(a: SimNode, b: SimNode): boolean {
    return a.coordinator !== undefined && b.coordinator !== undefined && !this.#cuts.has(pair(a.id, b.id));
  }

  #clockOf(node: SimNode, life: number): Clock {
    const guard = (callback: () => void) => () => {
      if (node.life === life) callback();
    };
    return {
      monotonicMs: () => this.clock.monotonicMs(),
      wallMs: () => this.clock.wallMs(),
      after: (delayMs, callback) => this.clock.after(delayMs, guard(callback)),
      atTurnEnd: (callback) => this.clock.atTurnEnd(guard(callback)),
    };
  }

  #send(from: SimNode, to: NodeId, bytes: Uint8Array): void {
    const target = this.nodes.find((node) => node.id === to);
    if (target === undefined || !this.isConnected(from, target)) return;
    this.watch(bytes, from);
    if (this.isLost(bytes)) return;
    const route = `${from.id}>${to}`;
    const now = this.clock.monotonicMs();
    const at = Math.max(now + 1 + this.prng.below(4), this.#lastDelivery.get(route) ?? 0);
    this.#lastDelivery.set(route, at);
    const [life, targetLife] = [from.life, target.life];
    this.clock.after(at - now, () => {
      if (from.life !== life || target.life !== targetLife || !this.isConnected(from, target)) return;
      // As a link's read buffer: what is kept of it must have been copied.
      const given = bytes.slice();
      target.coordinator?.receive(from.id, given);
      given.fill(0xee);
    });
  }

  #scheduleRefresh(): void {
    if (this.#isRefreshScheduled) return;
    this.#isRefreshScheduled = true;
    this.clock.after(10, () => {
      this.#isRefreshScheduled = false;
      for (const node of this.running) {
        node.running.membersChanged(this.#viewOf(node));
      }
      const isSomeoneFading = this.nodes.some(
        (node) =>
          node.coordinator === undefined && this.clock.monotonicMs() - node.downSince <= DEAD_AFTER_MS,
      );
      if (isSomeoneFading) this.clock.after(500, () => this.#scheduleRefresh());
    });
  }

  #viewOf(viewer: SimNode): PeerView[] {
    const now = this.clock.monotonicMs();
    const views: PeerView[] = [];
    for (const node of this.nodes) {
      if (node.life === 0 || node.id === "") continue;
      const key = `${viewer.id}>${node.id}`;
      const { id, name, qualities } = node;
      const cluster = node.coordinator?.status.cluster;
      if (node === viewer) {
        views.push({ id, name, state: "alive", cluster, isLinked: false, ...qualities });
      } else if (this.isConnected(viewer, node)) {
        this.#linkedSince.set(key, now);
        views.push({ id, name, state: "alive", cluster, isLinked: true, ...qualities });
      } else {
        const lastSeen = this.#linkedSince.get(key);
        if (lastSeen === undefined) continue;
        const state = now - lastSeen > DEAD_AFTER_MS ? "dead" : "suspect";
        views.push({ id, name, state, cluster, isLinked: false, ...qualities });
      }
    }
    return views;
  }

  /** One operation at a time per disk, each 0-2 ms after the one before. */
  #runDisks(): void {
    for (const node of this.nodes) {
      if (node.isDiskBusy || node.disk.pending === 0) continue;
      node.isDiskBusy = true;
      this.clock.after(this.prng.below(3), () => {
        node.isDiskBusy = false;
        node.disk.step();
      });
    }
  }
}

/** A retained message; an empty text deletes. */
export function retained(topic: string, text: string, qos: 0 | 1 | 2 = 1): ApplicationMessage {
  const payload = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  return { topic, payload, qos, retain: true, properties: undefined };
}

export function textOf(message: ApplicationMessage | undefined): string | undefined {
  return message === undefined ? undefined : String.fromCharCode(...message.payload);
}

/** What the replica of `node` holds of `topic`. */
export function replicated(node: SimNode, topic: string): string | undefined {
  for (const message of node.running.retained.entries()) if (message.topic === topic) return textOf(message);
  return undefined;
}

/** A read of `filter` on `node` as its broker does it; `values` is undefined until it may read. */
export function ask(node: SimNode, filter: string): { values: (string | undefined)[] | undefined } {
  const answer: { values: (string | undefined)[] | undefined } = { values: undefined };
  node.running.retained.read({
    mayRead: (view) => {
      const values: (string | undefined)[] = [];
      view.match(filter, (message) => values.push(textOf(message)));
      answer.values = values;
    },
  });
  return answer;
}

/** A completion that remembers what it was settled with. */
export function completion(): { readonly codes: number[]; settle(reasonCode: number): void } {
  const codes: number[] = [];
  return { codes, settle: (reasonCode) => codes.push(reasonCode) };
}

function pair(a: string, b: string): string {
  return a < b ? `${a}|${b}` : `${b}|${a}`;
}
