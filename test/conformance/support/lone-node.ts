/** One broker on its own, in virtual time. */

import {
  Broker,
  type BrokerOptions,
  type BrokerPorts,
  DEFAULT_BROKER_OPTIONS,
  loneNodePorts,
  type RetainedStore,
} from "@skein/broker";
import { type Log, seededPrng } from "@skein/kernel";
import type { Nodes } from "./nodes.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** All clients of a test come from there, at one moment. */
export const FROM_ONE_ADDRESS = { connectsPerSecondMax: 0 } as const;
const SILENT: Log = { error() {}, warn() {}, info() {}, debug() {} };
const TICK_MS = 250;

export class LoneNode implements Nodes {
  readonly brokers: readonly Broker[];
  readonly #broker: Broker;
  readonly #retained: RetainedStore;
  readonly #clock = new VirtualClock();

  /** `held` may put a test's hand between the broker and its ports. */
  constructor(options: Partial<BrokerOptions>, held: (ports: BrokerPorts) => BrokerPorts = (ports) => ports) {
    const environment = { clock: this.#clock, prng: seededPrng(7), log: SILENT };
    const ports = held(loneNodePorts(environment, () => this.#broker));
    this.#retained = ports.retained;
    this.#broker = new Broker({ ...DEFAULT_BROKER_OPTIONS, ...FROM_ONE_ADDRESS, ...options }, ports);
    this.brokers = [this.#broker];
  }

  get retainedCount(): number {
    return this.#retained.count;
  }

  get sessionCount(): number {
    return this.#broker.sessionCount;
  }

  settle(): void {
    this.#clock.settle();
  }

  /** With a tick every quarter second. */
  pass(ms: number): void {
    for (let left = ms; left > 0; left -= TICK_MS) {
      this.#broker.tick(this.#clock.pass(Math.min(TICK_MS, left)));
      this.#clock.settle();
    }
  }

  standStill(ms: number): void {
    this.#broker.tick(this.#clock.pass(ms));
  }
}
