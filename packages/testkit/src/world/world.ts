/**
 * A whole mesh in one thread: machines with the shipped nodes on them, the network between them, clients, and one time.
 *
 * Everything random comes from one seed, so the same options and the same calls give the same history to the last event;
 * `hash` is a digest of that history. Every observation goes to every checker in order, as it happens.
 *
 * Prior art: FoundationDB's simulation, TigerBeetle's VOPR (reference design, section 5.1).
 */

import type { Authenticator, BrokerOptions } from "@skein/broker";
import type { OnQuorumLoss, ReplicaSizes } from "@skein/coordinator";
import type { Prng } from "@skein/kernel";
import type { Checker, Observation, SimClientHost } from "../observations.ts";
import { OTHER_MESHES } from "./allegiance.ts";
import { mixValues } from "./digest.ts";
import { Disturbances } from "./disturbances.ts";
import { EventQueue } from "./event-queue.ts";
import { FloatingKernel } from "./floating-kernel.ts";
import { Multicast, type MulticastOptions } from "./multicast.ts";
import { Network, type NetworkOptions } from "./network.ts";
import { OracleLog } from "./oracle-log.ts";
import { mix, randomStream } from "./random-streams.ts";
import { ClientHost } from "./sim-client-host.ts";
import { SimNode } from "./sim-node.ts";

export interface WorldOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly clients: number;
  readonly network: NetworkOptions;
  readonly multicast: MulticastOptions;
  /** Nodes know each other's addresses from their settings, besides mDNS. */
  readonly hasStaticPeers: boolean;
  readonly durability: "replicated" | "disk";
  readonly timing: "lan" | "wired";
  /** What the nodes do with writes without a quorum. Default: `outbox`. */
  readonly onQuorumLoss?: OnQuorumLoss;
  /** Small sizes make snapshots, full windows, new segments and batches in pieces frequent. */
  readonly sizes: Partial<ReplicaSizes>;
  /** A household's log is as short as `sizes` says, too: who was away gets a snapshot. */
  readonly isLogShort?: boolean;
  /** Other limits of the brokers than the usual ones. */
  readonly limits?: Partial<BrokerOptions>;
  /** Enhanced authentication, on every node alike. Default: none. */
  readonly authenticator?: Authenticator | undefined;
  /** So many nodes of other meshes (allegiance.ts) are on the network as well. Default: none. */
  readonly strangers?: number;
  /** Nodes that begin with the program of the version before. Default: none. */
  readonly outdated?: readonly number[];
  /** Message Expiry Interval of retained messages; undefined: they never expire. */
  readonly retainedExpirySeconds?: number;
  /** Monotonic clocks run this much too fast or too slow at most. */
  readonly driftPerMillionMax: number;
}

const FLOATING_ADDRESS = "10.0.0.250";
const MEMORY_EVERY_MS = 5000;

export class World {
  readonly seed: number;
  readonly options: WorldOptions;
  readonly events = new EventQueue();
  readonly prng: Prng;
  readonly nodes: readonly SimNode[];
  /** Nodes of other meshes, on machines of their own behind those of the clients. */
  readonly strangers: readonly SimNode[];
  /** Where all of them were when the world began: what an operator wrote into the settings. */
  readonly hosts: readonly string[];
  readonly network: Network;
  readonly multicast: Multicast;
  readonly floating: FloatingKernel;
  readonly disturbances = new Disturbances(this);
  readonly #oracles = new Map<string, OracleLog>();
  readonly #checkers: readonly Checker[];
  readonly #machines: number;
  #clientCount = 0;
  #watcher: (observation: Observation) => void = () => {};
  #hash = 0x811c9dc5;
  /** Observations so far. */
  observations = 0;
  /** Bytes carried over the network. */
  bytesDelivered = 0;
  /** Sees each piece that is carried. It must only count. */
  carried: (from: number, to: number, bytes: number) => void = () => {};

  constructor(options: WorldOptions, checkers: readonly Checker[]) {
    const { seed, nodes, clients, strangers = 0 } = options;
    this.seed = seed;
    this.options = options;
    this.#checkers = checkers;
    this.#machines = nodes + clients + strangers;
    this.prng = randomStream(seed, "world");
    this.network = this.#makeNetwork();
    this.multicast = new Multicast(
      this.events,
      randomStream(seed, "multicast"),
      options.multicast,
      (from, to) => this.network.isBlocked(from, to),
    );
    this.floating = this.#makeFloating();
    const { driftPerMillionMax } = options;
    const drift = (): number => this.prng.below(2 * driftPerMillionMax + 1) - driftPerMillionMax;
    this.nodes = Array.from({ length: nodes }, (_, index) => new SimNode(this, index, drift()));
    this.strangers = OTHER_MESHES.slice(0, strangers).map((allegiance, at) => {
      return new SimNode(this, nodes + clients + at, drift(), allegiance);
    });
    this.hosts = [...this.nodes, ...this.strangers].map(({ host }) => host);
    this.#measureMemory();
  }

  /** Digest of everything observable so far. */
  get hash(): number {
    return this.#hash;
  }

  /** The one true log of `cluster`. */
  oracle(cluster: string): OracleLog {
    let oracle = this.#oracles.get(cluster);
    if (oracle === undefined) {
      oracle = new OracleLog();
      this.#oracles.set(cluster, oracle);
    }
    return oracle;
  }

  /** Every machine has lost its power: in the `replicated` profile history goes on from what the disks have. */
  blackedOut(): void {
    this.observe({ at: this.events.now, kind: "blackout" });
    if (this.options.durability !== "replicated") return;
    for (const oracle of this.#oracles.values()) oracle.beginAnew();
  }

  /** Adds a client machine. At most as many as the options say. */
  addClient(name: string): SimClientHost {
    const { nodes, clients } = this.options;
    const machine = nodes + this.#clientCount++;
    if (machine >= nodes + clients) throw new Error("more clients than the world was made for");
    return new ClientHost(this, machine, name);
  }

  /** The machine that `host` leads to, as seen from `from`. */
  locate(from: number, host: string): number | undefined {
    if (host === FLOATING_ADDRESS) return this.floating.locate(from);
    const isThere = (node: SimNode): boolean => node.host === host;
    return (this.nodes.find(isThere) ?? this.strangers.find(isThere))?.index;
  }

  /** Whether two nodes have a link and reach each other: each knows of the other what it ought to. */
  areLinked(a: string, b: string): boolean {
    const [first, second] = [a, b].map((id) => this.nodes.find((node) => node.id === id));
    if (first === undefined || second === undefined) return false;
    // A machine that sleeps answers nobody, whatever its kernel will go on with.
    if (first.machine.asleepSince !== undefined || second.machine.asleepSince !== undefined) return false;
    if (!this.network.isSound(first.index, second.index)) return false;
    return first.isLinkedTo(b) && second.isLinkedTo(a);
  }

  observe(observation: Observation): void {
    this.observations++;
    this.#hash = mixValues(this.#hash, observation);
    for (const checker of this.#checkers) checker.observe(observation);
    this.#watcher(observation);
  }

  /** `watcher` sees every observation after the checkers, in the middle of what is observed: it must only plan ahead. */
  watch(watcher: (observation: Observation) => void): void {
    this.#watcher = watcher;
  }

  /** Tells the checkers that nothing more comes. @throws {CheckFailure} */
  finish(): void {
    this.observe({ at: this.events.now, kind: "end" });
    for (const checker of this.#checkers) checker.finish?.();
  }

  #nodeOn(machine: number): SimNode | undefined {
    const { nodes, clients } = this.options;
    return this.nodes[machine] ?? this.strangers[machine - nodes - clients];
  }

  #makeNetwork(): Network {
    const { seed, network } = this.options;
    return new Network(this.#machines, network, {
      events: this.events,
      prng: randomStream(seed, "network"),
      // Those of the clients always are.
      isUp: (machine) => this.#nodeOn(machine)?.isPowered ?? true,
      hasAddress: (machine, address) => address !== FLOATING_ADDRESS || this.floating.isOn(machine),
      answers: (from, host) => this.#answers(from, host),
      delivered: (from, to, bytes) => {
        this.bytesDelivered += bytes.length;
        this.carried(from, to, bytes.length);
        this.#hash = mix(mix(mix(this.#hash, this.events.now * 64), from * 64 + to), bytes.length);
      },
    });
  }

  #answers(from: number, host: string): number | undefined {
    const to = this.locate(from, host);
    if (to === undefined || !(this.#nodeOn(to)?.isPowered ?? false)) return undefined;
    const isReached = !this.network.isBlocked(from, to) && !this.network.isBlocked(to, from);
    return isReached && (host !== FLOATING_ADDRESS || this.floating.isOn(to)) ? to : undefined;
  }

  #makeFloating(): FloatingKernel {
    return new FloatingKernel(FLOATING_ADDRESS, this.#machines, {
      events: this.events,
      prng: randomStream(this.seed, "kernel"),
      isReachable: (from, to) => !this.network.isBlocked(from, to),
      changed: (machine, isAdded) => {
        const node = this.nodes[machine]?.id ?? "";
        this.observe({ at: this.events.now, node, kind: isAdded ? "addressAdded" : "addressRemoved" });
        if (isAdded) this.network.moveTo(machine);
      },
      tickle: (machine, host, port) => this.network.tickle(machine, `${host}:${port}`),
    });
  }

  #measureMemory(): void {
    this.events.after(MEMORY_EVERY_MS, () => {
      for (const node of this.nodes) {
        if (node.process === undefined) continue;
        const at = this.events.now;
        let bytes = 0;
        for (const stream of this.network.open)
          if (stream.process === node.process) bytes += stream.bufferedBytes;
        this.observe({ at, node: node.id, kind: "memory", queueName: "streams", bytes });
      }
      this.#measureMemory();
    });
  }
}
