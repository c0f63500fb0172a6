/** What a test sees of a broker, or of a whole mesh: time, counters, and clients. */

import type { Authenticator, Broker, BrokerOptions, Counters } from "@skein/broker";
import type { IConnectPacket } from "mqtt-packet";
import { Client, connectPacket } from "./client.ts";
import { LoneNode } from "./lone-node.ts";
import { makeNodes } from "./make-nodes.ts";
import type { Nodes } from "./nodes.ts";
import type { NoMeshReason, OneNodeReason } from "./placement.ts";

/** What a connection may differ in. */
export interface ConnectOptions extends Partial<IConnectPacket> {
  readonly version?: 3 | 4 | 5;
  readonly localAddress?: string;
}

/** The node that a connection comes to: the next one, the one its client was on before, or always the first. */
type ComeTo = "next" | "home" | "first";

export class World {
  allowAnonymous = true;
  /** See ListenerOptions. */
  isPlain = true;
  acknowledges: "local" | "mesh" = "mesh";
  readonly #nodes: Nodes;
  readonly #comeTo: ComeTo;
  /** The node of each client identifier seen so far. */
  readonly #homes = new Map<string, number>();
  #opened = 0;

  constructor(
    options: Partial<BrokerOptions> = {},
    nodes: Nodes = makeNodes(options),
    comeTo: ComeTo = "next",
  ) {
    this.#nodes = nodes;
    this.#comeTo = comeTo;
  }

  /** All clients are on one node of the mesh, because of `_reason`. */
  static onOneNode(
    _reason: OneNodeReason,
    options: Partial<BrokerOptions> = {},
    authenticator?: Authenticator,
  ): World {
    return new World(options, makeNodes(options, authenticator), "first");
  }

  /** One broker, in the mesh run, too, because of `_reason`. */
  static withoutMesh(_reason: NoMeshReason, options: Partial<BrokerOptions> = {}): World {
    return new World(options, new LoneNode(options));
  }

  get clientCount(): number {
    return sum(this.#nodes.brokers, (broker) => broker.clientCount);
  }

  get sessionCount(): number {
    return this.#nodes.sessionCount;
  }

  get retainedCount(): number {
    return this.#nodes.retainedCount;
  }

  /** How often something has happened since the start, on all nodes. */
  count(what: keyof Counters): number {
    return sum(this.#nodes.brokers, ({ counters }) => counters[what]);
  }

  /** A connection that has said nothing yet. */
  open(version: 3 | 4 | 5 = 5, localAddress = "192.0.2.1", at = this.#nextNode()): Client {
    const client = new Client(version, localAddress, () => this.settle());
    const { allowAnonymous, isPlain, acknowledges } = this;
    this.#nodes.brokers[at]?.accept(client.stream, {
      name: "test",
      allowAnonymous,
      isPlain,
      acknowledges,
    });
    return client;
  }

  /** A connection that has sent CONNECT; the answer is the first of its packets. */
  attempt(clientId: string, options: ConnectOptions = {}): Client {
    const { version = 5, localAddress, ...fields } = options;
    const client = this.open(version, localAddress, this.#nodeFor(clientId));
    return client.send(connectPacket(version, clientId, fields));
  }

  /** A connected client; its CONNACK is taken. */
  connect(clientId: string, options: ConnectOptions = {}): Client {
    const client = this.attempt(clientId, options);
    const connack = client.take("connack");
    if ((connack.reasonCode ?? connack.returnCode) !== 0) throw new Error("CONNECT was refused");
    return client;
  }

  settle(): void {
    this.#nodes.settle();
  }

  pass(ms: number): void {
    this.#nodes.pass(ms);
  }

  /** Time passes, but no node runs meanwhile. */
  standStill(ms: number): void {
    this.#nodes.standStill(ms);
    this.settle();
  }

  /** Does something to every broker, and lets them come to rest. */
  onEveryBroker(act: (broker: Broker) => void): void {
    for (const broker of this.#nodes.brokers) act(broker);
    this.settle();
  }

  #nodeFor(clientId: string): number {
    if (this.#comeTo !== "home") return this.#nextNode();
    const home = this.#homes.get(clientId) ?? this.#nextNode();
    this.#homes.set(clientId, home);
    return home;
  }

  #nextNode(): number {
    return this.#comeTo !== "first" ? this.#opened++ % this.#nodes.brokers.length : 0;
  }
}

function sum(brokers: readonly Broker[], count: (broker: Broker) => number): number {
  return brokers.reduce((total, broker) => total + count(broker), 0);
}
