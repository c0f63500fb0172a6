/** A lone broker whose ports answer when the test says so: the mesh and the retained store in a test's hands. */

import type {
  Broker,
  BrokerOptions,
  BrokerPorts,
  Forwarder,
  Interest,
  RetainedReader,
  RetainedStore,
} from "@skein/broker";
import type { ApplicationMessage, Completion, SharedChoice } from "@skein/kernel";
import { LoneNode } from "./lone-node.ts";
import { World } from "./world.ts";

/** A mesh that answers when the test says so, or at once. */
class HeldMesh implements Forwarder, Interest {
  isHolding = false;
  readonly held: Completion[] = [];
  readonly forwarded: ApplicationMessage[] = [];
  /** Filters added and not removed, with how often. */
  readonly wanted = new Map<string, number>();
  readonly #inner: Forwarder & Interest;

  constructor({ forwarder, interest }: BrokerPorts) {
    this.#inner = {
      forward: (message, done, choice) => forwarder.forward(message, done, choice),
      forwardShared: (message, dealt) => forwarder.forwardShared(message, dealt),
      add: (filter, done) => interest.add(filter, done),
      remove: (filter) => interest.remove(filter),
    };
  }

  forward(
    message: ApplicationMessage,
    done: Completion | undefined,
    choice: SharedChoice | undefined,
  ): number {
    this.forwarded.push(message);
    return this.#inner.forward(message, done, choice) + this.#hold(done);
  }

  forwardShared(message: ApplicationMessage, dealt: readonly string[]): void {
    this.#inner.forwardShared(message, dealt);
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

  get bytes(): number {
    return this.#inner.bytes;
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

export class HeldWorld extends World {
  readonly broker: Broker;
  readonly mesh: HeldMesh;
  readonly store: HeldStore;

  constructor(
    options: Partial<BrokerOptions> = {},
    others: Pick<BrokerPorts, "authenticator" | "sessions"> = {},
  ) {
    let hands: { readonly mesh: HeldMesh; readonly store: HeldStore } | undefined;
    const node = new LoneNode(options, (ports) => {
      hands = { mesh: new HeldMesh(ports), store: new HeldStore(ports.retained) };
      return { ...ports, ...others, forwarder: hands.mesh, interest: hands.mesh, retained: hands.store };
    });
    super(options, node);
    const [broker] = node.brokers;
    if (broker === undefined || hands === undefined) throw new Error("a lone node has a broker");
    this.broker = broker;
    this.mesh = hands.mesh;
    this.store = hands.store;
  }

  /** The mesh answers what it held back, in the order given by `indexes` (all, in order, if left out). */
  answer(reasonCode = 0, indexes?: readonly number[]): void {
    const held = this.mesh.held.splice(0);
    for (const index of indexes ?? held.keys()) held[index]?.settle(reasonCode);
    this.settle();
  }

  /** The store lets those read that wait. */
  letRead(): void {
    this.store.answer();
    this.settle();
  }
}
