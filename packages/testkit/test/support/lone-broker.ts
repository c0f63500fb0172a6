/** A broker on its own with simulated clients around it: virtual time, connections that deliver after a millisecond. */

import { Broker, DEFAULT_BROKER_OPTIONS, loneNodePorts, type RetainedStore } from "@skein/broker";
import {
  type Clock,
  type Log,
  type MonotonicMs,
  SAFE_HERE_ONLY,
  type Stream,
  type StreamHandler,
  seededPrng,
} from "@skein/kernel";
import type { Observation, SimClientHost } from "../../src/observations.ts";
import { EventQueue } from "../../src/world/event-queue.ts";

const SILENT: Log = { error() {}, warn() {}, info() {}, debug() {} };

/** One end of a connection in memory. */
class End implements Stream {
  readonly remoteAddress = "10.0.0.9:1";
  readonly localAddress = "10.0.0.1";
  readonly bufferedBytes = 0;
  readonly #events: EventQueue;
  other: End | undefined;
  handler: StreamHandler | undefined;
  isClosed = false;
  /** Swallows everything: a cable that was pulled. */
  isDead = false;

  constructor(events: EventQueue) {
    this.#events = events;
  }

  start(handler: StreamHandler): void {
    this.handler = handler;
  }

  write(bytes: Uint8Array): boolean {
    const { other } = this;
    this.#events.after(1, () => {
      if (!this.isDead && other?.isClosed === false) other.handler?.received(bytes.slice());
    });
    return true;
  }

  pause(): void {}
  resume(): void {}

  end(): void {
    this.#close();
  }

  reset(): void {
    this.#close();
  }

  #close(): void {
    const { other } = this;
    for (const each of [this, other]) {
      if (each === undefined || each.isClosed || (each !== this && this.isDead)) continue;
      this.#events.after(2, () => {
        if (each.isClosed) return;
        each.isClosed = true;
        each.handler?.closed(undefined);
      });
    }
  }
}

export class LoneBroker {
  readonly events = new EventQueue();
  readonly observations: Observation[] = [];
  /** Connections so far. */
  readonly connections: End[] = [];
  /** When each was dialled, ms. */
  readonly dialledAt: number[] = [];
  isUp = true;
  /** What it retains it says to be safe here only. */
  isAlone = false;
  /** How long its retained store takes to let somebody read. */
  readDelayMs = 0;
  broker: Broker;
  readonly host: SimClientHost;
  readonly #clock: Clock = {
    monotonicMs: () => this.events.now as MonotonicMs,
    wallMs: () => this.events.now,
    after: (delayMs, callback) => this.events.after(delayMs, callback),
    atTurnEnd: (callback) => void this.events.after(0, callback),
  };

  constructor() {
    this.broker = this.#makeBroker();
    this.host = {
      clock: this.#clock,
      prng: seededPrng(1),
      connect: (_target, handler) => this.#connect(handler),
      observe: (observation, node) => {
        this.observations.push({ at: this.events.now, ...observation, node });
      },
    };
    this.#tick();
  }

  run(ms: number): void {
    this.events.runUntil(this.events.now + ms);
  }

  /** The broker dies and a new one, with nothing in it, takes its place. */
  replaceBroker(): void {
    for (const end of this.connections) end.reset();
    this.broker = this.#makeBroker();
  }

  /** What was observed of `kind`, in order. */
  of<Kind extends Observation["kind"]>(kind: Kind): Extract<Observation, { kind: Kind }>[] {
    return this.observations.filter((it) => it.kind === kind) as Extract<Observation, { kind: Kind }>[];
  }

  #connect(handler: StreamHandler & { connected(node: string): void }): Stream {
    const near = new End(this.events);
    const far = new End(this.events);
    near.other = far;
    far.other = near;
    near.start(handler);
    this.connections.push(near);
    this.dialledAt.push(this.events.now);
    this.events.after(1, () => {
      if (!this.isUp) {
        near.isClosed = true;
        handler.closed(new Error("connection refused"));
        return;
      }
      this.broker.accept(far, { name: "test", allowAnonymous: true });
      handler.connected("lone");
    });
    return near;
  }

  #makeBroker(): Broker {
    const ports = loneNodePorts({ clock: this.#clock, prng: seededPrng(2), log: SILENT }, () => broker);
    const store = ports.retained;
    const retained: RetainedStore = {
      get count() {
        return store.count;
      },
      get bytes() {
        return store.bytes;
      },
      put: (message, done) => {
        const parts = store.put(message, done);
        if (!this.isAlone || done === undefined) return parts;
        this.#clock.atTurnEnd(() => done.settle(SAFE_HERE_ONLY));
        return parts + 1;
      },
      read: (reader) => void this.events.after(this.readDelayMs, () => store.read(reader)),
    };
    const broker: Broker = new Broker(DEFAULT_BROKER_OPTIONS, { ...ports, retained });
    return broker;
  }

  #tick(): void {
    this.broker.tick(this.events.now as MonotonicMs);
    this.events.after(250, () => this.#tick());
  }
}
