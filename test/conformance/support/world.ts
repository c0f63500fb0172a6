/** One broker with its ports in a test's hands: time, the mesh's answers, and clients. */

import {
  Broker,
  type BrokerOptions,
  DEFAULT_BROKER_OPTIONS,
  type Forwarder,
  type Interest,
  loneNodePorts,
  type RetainedReader,
  type RetainedStore,
} from "@skein/broker";
import { type ApplicationMessage, type Completion, type Log, seededPrng } from "@skein/kernel";
import type { IConnectPacket } from "mqtt-packet";
import { Client, connectPacket } from "./client.ts";
import { VirtualClock } from "./virtual-clock.ts";

const SILENT: Log = { error() {}, warn() {}, info() {}, debug() {} };

/** What a connection may differ in. */
export interface ConnectOptions extends Partial<IConnectPacket> {
  readonly version?: 3 | 4 | 5;
  readonly localAddress?: string;
}

/** A mesh that answers when the test says so, or at once. */
export class HeldMesh implements Forwarder, Interest {
  isHolding = false;
  readonly held: Completion[] = [];
  readonly forwarded: ApplicationMessage[] = [];
  /** Filters added and not removed, with how often. */
  readonly wanted = new Map<string, number>();
  readonly #inner: Forwarder & Interest;

  constructor(forwarder: Forwarder, interest: Interest) {
    this.#inner = {
      forward: (message, done) => forwarder.forward(message, done),
      add: (filter, done) => interest.add(filter, done),
      remove: (filter) => interest.remove(filter),
    };
  }

  forward(message: ApplicationMessage, done: Completion | undefined): number {
    this.forwarded.push(message);
    return this.#inner.forward(message, done) + this.#hold(done);
  }

  add(filter: string, done: Completion): number {
    this.wanted.set(filter, (this.wanted.get(filter) ?? 0) + 1);
    return this.#inner.add(filter, done) + this.#hold(done);
  }

  remove(filter: string): void {
    const left = (this.wanted.get(filter) ?? 0) - 1;
    if (left < 0) throw new Error(`interest in ${filter} removed more often than added`);
    if (left === 0) this.wanted.delete(filter);
    else this.wanted.set(filter, left);
    this.#inner.remove(filter);
  }

  #hold(done: Completion | undefined): number {
    if (!this.isHolding || done === undefined) return 0;
    this.held.push(done);
    return 1;
  }
}

/** A store that lets nobody read before the test says so, or lets everybody read at once. */
class HeldStore implements RetainedStore {
  isHolding = false;
  /** Who waits, in order. */
  readonly held: RetainedReader[] = [];
  readonly #inner: RetainedStore;

  constructor(inner: RetainedStore) {
    this.#inner = inner;
  }

  get count(): number {
    return this.#inner.count;
  }

  put(message: ApplicationMessage, done: Completion | undefined): number {
    return this.#inner.put(message, done);
  }

  read(reader: RetainedReader): void {
    if (this.isHolding) this.held.push(reader);
    else this.#inner.read(reader);
  }

  /** Lets those read that wait. */
  answer(): void {
    for (const reader of this.held.splice(0)) this.#inner.read(reader);
  }
}

export class World {
  readonly clock = new VirtualClock();
  readonly broker: Broker;
  readonly mesh: HeldMesh;
  readonly store: HeldStore;
  allowAnonymous = true;

  constructor(options: Partial<BrokerOptions> = {}) {
    const environment = { clock: this.clock, prng: seededPrng(7), log: SILENT };
    const ports = loneNodePorts(environment, () => this.broker);
    this.mesh = new HeldMesh(ports.forwarder, ports.interest);
    this.store = new HeldStore(ports.retained);
    this.broker = new Broker(
      { ...DEFAULT_BROKER_OPTIONS, ...options },
      { ...ports, forwarder: this.mesh, interest: this.mesh, retained: this.store },
    );
  }

  get retainedCount(): number {
    return this.store.count;
  }

  /** A connection that has said nothing yet. */
  open(version: 3 | 4 | 5 = 5, localAddress = "192.0.2.1"): Client {
    const client = new Client(version, localAddress, () => this.clock.settle());
    this.broker.accept(client.stream, { name: "test", allowAnonymous: this.allowAnonymous });
    return client;
  }

  /** A connection that has sent CONNECT; the answer is the first of its packets. */
  attempt(clientId: string, options: ConnectOptions = {}): Client {
    const { version = 5, localAddress, ...fields } = options;
    const client = this.open(version, localAddress);
    return client.send(connectPacket(version, clientId, fields));
  }

  /** A connected client; its CONNACK is taken. */
  connect(clientId: string, options: ConnectOptions = {}): Client {
    const client = this.attempt(clientId, options);
    const connack = client.take("connack");
    if ((connack.reasonCode ?? connack.returnCode) !== 0) throw new Error("CONNECT was refused");
    return client;
  }

  /** The mesh answers what it held back, in the order given by `indexes` (all, in order, if left out). */
  answer(reasonCode = 0, indexes?: readonly number[]): void {
    const held = this.mesh.held.splice(0);
    for (const index of indexes ?? held.keys()) held[index]?.settle(reasonCode);
    this.clock.settle();
  }

  /** The store lets those read that wait. */
  letRead(): void {
    this.store.answer();
    this.clock.settle();
  }

  /** Lets time pass, with a tick every quarter second. */
  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 250) {
      this.broker.tick(this.clock.pass(Math.min(250, left)));
      this.clock.settle();
    }
  }
}
