/** Whole mesh nodes on one simulated network, with subscribers and publishers in place of brokers. */

import {
  type ApplicationMessage,
  type Completion,
  type Disk,
  type DiskContent,
  type DiskDone,
  filterMatches,
  type Incarnation,
  joined,
  type Log,
  type NodeId,
  type PublishBytes,
  parseSharedFilter,
  type QoS,
  type SharedChoice,
  seededPrng,
} from "@skein/kernel";
import type { Member } from "../../src/index.ts";
import { Mesh, type MeshOptions, type Outrun, type Rightful } from "../../src/index.ts";
import { SimNetwork } from "./sim-network.ts";
import { VirtualClock } from "./virtual-clock.ts";

export interface NodeSettings extends Partial<MeshOptions> {
  readonly key?: string;
  readonly hasMdns?: boolean;
  readonly host?: string;
  /** Content of peers.json at the start. */
  readonly peersFile?: Uint8Array;
}

/** Counts what a Completion was told. */
export class Awaited implements Completion {
  readonly codes: number[] = [];
  expected = 0;

  settle(reasonCode: number): void {
    this.codes.push(reasonCode);
  }

  get isComplete(): boolean {
    return this.codes.length === this.expected;
  }
}

export class World {
  readonly clock = new VirtualClock();
  readonly network: SimNetwork;
  readonly nodes: SimNode[] = [];
  readonly #seed: number;

  constructor(seed = 1) {
    this.#seed = seed;
    this.network = new SimNetwork(this.clock, seededPrng(seed));
  }

  /** Adds node number `index` (host 10.0.0.index) and starts it. */
  start(index: number, settings: NodeSettings = {}): SimNode {
    const node = new SimNode(this, index, settings, this.#seed);
    const past = this.nodes.findIndex((one) => one.id === node.id);
    if (past === -1) this.nodes.push(node);
    else this.nodes[past] = node;
    node.mesh.start();
    return node;
  }

  /** Starts `count` nodes and runs until each is linked with each. */
  formed(count: number, settings: NodeSettings = {}): SimNode[] {
    const nodes = Array.from({ length: count }, (_, at) => this.start(at + 1, settings));
    this.untilFormed();
    return nodes;
  }

  untilFormed(limitMs = 20_000): number {
    return this.clock.runUntil(() => this.isFormed(), limitMs, "every node linked with every other");
  }

  isFormed(): boolean {
    return this.nodes.every((node) => node.linked.length === this.nodes.length - 1);
  }

  /** Stops all nodes and checks that nothing is left behind. */
  close(): void {
    for (const node of this.nodes) node.stop();
    this.clock.run(3000);
    if (this.network.open.size > 0) throw new Error(`${this.network.open.size} streams left open`);
    if (this.clock.pendingCount > 0) throw new Error(`${this.clock.pendingCount} timers left running`);
  }
}

export class SimNode {
  readonly world: World;
  readonly id: NodeId;
  readonly host: string;
  readonly mesh: Mesh;
  readonly disk: MemoryDisk;
  readonly logged: string[] = [];
  readonly control: [from: NodeId, bytes: Uint8Array][] = [];
  readonly address: [from: NodeId, bytes: Uint8Array][] = [];
  /** Whom this node was told to leave its identity to. */
  readonly taken: Rightful[] = [];
  /** What it was told of copies that have been started more often. */
  readonly outrun: Outrun[] = [];
  memberCalls = 0;
  readyError: Error | undefined | "none yet" = "none yet";
  /** Packets as they came from other nodes. */
  readonly runs: PublishBytes[] = [];
  #read = new Uint8Array(0);
  #readAt = 0;
  /** What ordinary subscribers got: one entry per message that matches any local filter. */
  readonly got: ApplicationMessage[] = [];
  /** Messages for which no node had a member any more. */
  readonly unserved: ApplicationMessage[] = [];
  readonly gotShared: [sharedFilter: string, message: ApplicationMessage][] = [];
  readonly filters = new Map<string, number>();
  #isStopped = false;

  constructor(world: World, index: number, settings: NodeSettings, seed: number) {
    const { key = "key", hasMdns = true, host = `10.0.0.${index}`, peersFile, ...options } = settings;
    this.world = world;
    this.host = host;
    this.id = (options.node ?? nodeId(index)) as NodeId;
    this.disk = new MemoryDisk();
    if (peersFile !== undefined) this.disk.files.set("peers.json", peersFile);
    const { clock, network } = world;
    this.mesh = new Mesh(
      {
        node: this.id,
        incarnation: 1 as Incarnation,
        mesh: "home",
        name: `node-${index}`,
        linkListen: "0.0.0.0:7883",
        peers: [],
        excludedAddresses: ["10.0.0.200"],
        ...options,
      },
      {
        clock,
        prng: seededPrng(seed * 1000 + index + (options.incarnation ?? 1) * 7919),
        transport: network.transport(host, key),
        mdns: hasMdns ? network.mdns(host) : undefined,
        disk: this.disk,
        log: this.#log(),
        delivery: {
          deliver: (message) => this.#deliver(message),
          deliverPackets: (packets) => this.#deliverPackets(packets),
          deliverShared: (filter, message) => this.#deliverShared(filter, message),
          unserved: (_, message) => {
            this.unserved.push(message);
            return 0;
          },
        },
        receiveAddress: (from, bytes) => this.address.push([from, bytes.slice()]),
        receiveControl: (from, bytes) => this.control.push([from, bytes.slice()]),
        membersChanged: () => {
          this.memberCalls++;
        },
        identityTaken: (rightful) => this.taken.push(rightful),
        identityOutrun: (by) => this.outrun.push(by),
        ready: (error) => {
          this.readyError = error;
        },
      },
    );
  }

  get linked(): readonly Member[] {
    return this.mesh.members.filter((member) => member.isLinked);
  }

  stateOf(other: SimNode): string | undefined {
    return this.mesh.members.find((member) => member.id === other.id)?.state;
  }

  subscribe(filter: string): Awaited {
    this.filters.set(filter, (this.filters.get(filter) ?? 0) + 1);
    const awaited = new Awaited();
    awaited.expected = this.mesh.add(filter, awaited);
    if (awaited.codes.length > 0) throw new Error("settled before add returned");
    return awaited;
  }

  unsubscribe(filter: string): void {
    const count = this.filters.get(filter)!;
    if (count === 1) this.filters.delete(filter);
    else this.filters.set(filter, count - 1);
    this.mesh.remove(filter);
  }

  publish(
    topic: string,
    payload: number | string | Uint8Array,
    qos: QoS = 1,
    choice?: SharedChoice,
  ): Awaited {
    const awaited = new Awaited();
    const bytes =
      payload instanceof Uint8Array
        ? payload
        : Uint8Array.from(String(payload), (char) => char.charCodeAt(0));
    const message: ApplicationMessage = { topic, payload: bytes, qos, retain: false, properties: undefined };
    awaited.expected = this.mesh.forward(message, qos === 0 ? undefined : awaited, choice);
    if (awaited.codes.length > 0) throw new Error("settled before forward returned");
    return awaited;
  }

  /** Publishes with QoS 0 what has come as a packet, which stands behind the one before it. To the mesh it is bytes like any others. */
  passOn(topic: string, payload: string, version: 4 | 5 = 4): void {
    const text = `${topic} ${payload}\n`;
    if (this.#readAt + text.length > this.#read.length) {
      this.#read = new Uint8Array(1000);
      this.#readAt = 0;
    }
    const at = this.#readAt;
    this.#readAt += text.length;
    for (let i = 0; i < text.length; i++) this.#read[at + i] = text.charCodeAt(i);
    const packet = { version, bytes: this.#read, at, end: this.#readAt };
    const payloadAt = at + topic.length + 1;
    const message = {
      topic,
      payload: this.#read.subarray(payloadAt, this.#readAt - 1),
      qos: 0 as const,
      retain: false,
    };
    this.mesh.forward({ ...message, properties: undefined, packet }, undefined, undefined);
  }

  /** Payloads that came to ordinary subscribers on `topic`. */
  payloads(topic: string): string[] {
    return this.got.filter((message) => message.topic === topic).map(textOf);
  }

  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.mesh.stop(() => {});
  }

  /** Power cut: no goodbye, no reset; the host is silent from now on. */
  crash(): void {
    for (const other of this.world.nodes) if (other !== this) this.world.network.block(this.host, other.host);
  }

  #deliver(message: ApplicationMessage): void {
    for (const filter of this.filters.keys()) {
      if (parseSharedFilter(filter) !== undefined || !filterMatches(filter, message.topic)) continue;
      this.got.push(message);
      return;
    }
  }

  #deliverPackets(packets: PublishBytes): number {
    this.runs.push(packets);
    const text = String.fromCharCode(...packets.bytes.subarray(packets.at, packets.end));
    const lines = text.split("\n").slice(0, -1);
    for (const line of lines) {
      const [topic = "", payload = ""] = line.split(" ");
      const bytes = Uint8Array.from(payload, (char) => char.charCodeAt(0));
      this.#deliver({ topic, payload: bytes, qos: 0, retain: false, properties: undefined });
    }
    return lines.length;
  }

  #deliverShared(filter: string, message: ApplicationMessage): boolean {
    if (!this.filters.has(filter)) return false;
    this.gotShared.push([filter, message]);
    return true;
  }

  #log(): Log {
    const line = (level: string) => (fields: object, message: string) => {
      this.logged.push(`${level} ${message} ${JSON.stringify(fields)}`);
    };
    return { error: line("error"), warn: line("warn"), info: line("info"), debug: line("debug") };
  }
}

/** Only what the mesh uses: whole small files. */
export class MemoryDisk implements Disk {
  readonly files = new Map<string, Uint8Array>();
  replacements = 0;

  read(path: string): Uint8Array | undefined {
    return this.files.get(path);
  }

  replace(path: string, content: DiskContent, done: DiskDone): void {
    this.replacements++;
    this.files.set(path, joined(content).slice());
    done(undefined);
  }

  list(): readonly string[] {
    return [...this.files.keys()];
  }
  open(): never {
    throw new Error("not used by the mesh");
  }
  replaceNow(): never {
    throw new Error("not used by the mesh");
  }
  freeBytes(): never {
    throw new Error("not used by the mesh");
  }
  move(): never {
    throw new Error("not used by the mesh");
  }
  rename(): never {
    throw new Error("not used by the mesh");
  }
  remove(): never {
    throw new Error("not used by the mesh");
  }
}

export function nodeId(index: number): NodeId {
  return index.toString(16).padStart(16, "0") as NodeId;
}

export function textOf(message: ApplicationMessage): string {
  return String.fromCharCode(...message.payload);
}
