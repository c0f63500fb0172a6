/** A client with a will: it lives, takes its leave or is cut off, stays away for a moment or for good, and comes back. */

import type { WillLedger } from "../ledger/will-ledger.ts";
import { Outgoing } from "./outgoing.ts";
import { RoamingClient, type RoamingOptions, type Surroundings } from "./roaming-client.ts";

/** At least this long, at most twice as long. */
const LIFE_MS = 5000;
const MOMENT_MS = 500;

export class Mortal {
  readonly client: RoamingClient;
  readonly #ledger: WillLedger;
  readonly #around: Surroundings;
  /** Longer than a broker may wait with its will. */
  readonly #longMs: number;
  #life = 0;
  #isLeaving = false;
  #isSettled = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    options: RoamingOptions,
    prefix: string,
    longMs: number,
    ledger: WillLedger,
    around: Surroundings,
  ) {
    const { id } = options;
    const topic = `${willPrefix(prefix)}/${id}`;
    this.#ledger = ledger;
    this.#around = around;
    this.#longMs = longMs;
    const client = new RoamingClient(options, around);
    this.client = client;
    const outgoing = new Outgoing<number>(client);
    outgoing.onAcknowledged = (life) => ledger.known(id, life, around.now());
    client.onAttempt = () => {
      this.#life = ledger.began(id, around.now());
      client.will = { topic, payload: Buffer.from(`will ${this.#life}`), qos: 2, retain: false };
    };
    client.onConnected = () => ledger.accepted(id, this.#life);
    client.onReady = () => {
      if (outgoing.canPublish) outgoing.publish(topic, `back ${this.#life}`, { qos: 2 }, this.#life);
      this.#timer = setTimeout(() => this.#die(), LIFE_MS + around.random.below(LIFE_MS));
    };
    client.onClosed = () => this.#closed();
  }

  start(): void {
    this.client.come();
  }

  /** Ends for good: by DISCONNECT or without. */
  async settle(isLeaving: boolean): Promise<void> {
    this.#isSettled = true;
    clearTimeout(this.#timer);
    if (isLeaving) await this.#leave();
    else this.client.cut();
  }

  #die(): void {
    switch (this.#around.random.below(3)) {
      case 0:
        void this.#leave().then(() => this.#comeAfter(MOMENT_MS));
        return;
      case 1:
        this.client.cut();
        this.#comeAfter(MOMENT_MS);
        return;
      default:
        this.client.cut();
        this.#comeAfter(this.#longMs);
    }
  }

  async #leave(): Promise<void> {
    this.#isLeaving = true;
    const isRead = await this.client.leave();
    this.#isLeaving = false;
    this.#ledger.ended(this.client.id, this.#life, isRead ? "read" : "sent", this.#around.now());
  }

  #closed(): void {
    const isAlive = this.#timer !== undefined;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#isLeaving) return;
    this.#ledger.ended(this.client.id, this.#life, "cut", this.#around.now());
    // Its broker is gone, or seems to be. Half of them stay away.
    if (!isAlive || !this.client.isWanted || this.#around.random.below(2) === 0) return;
    this.client.cut();
    this.#comeAfter(this.#longMs);
  }

  #comeAfter(ms: number): void {
    if (this.#isSettled) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.client.come(), ms + this.#around.random.below(MOMENT_MS));
  }
}

/** What all topics of wills of a run begin with. */
export function willPrefix(prefix: string): string {
  return `${prefix}/will`;
}
