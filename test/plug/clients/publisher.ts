/** A publisher: numbers its messages, and tells the ledger what it sent and what was acknowledged. */

import type { MessageLedger, PublisherEntry } from "../ledger/message-ledger.ts";
import { Outgoing } from "./outgoing.ts";
import { RoamingClient, type RoamingOptions, type Surroundings } from "./roaming-client.ts";

/** Topics of one publisher: order holds across them. */
const TOPICS = 4;

export class Publisher {
  readonly client: RoamingClient;
  readonly #number: number;
  readonly #entry: PublisherEntry;
  readonly #topics: readonly string[];
  readonly #filling: string;
  readonly #outgoing: Outgoing<number>;
  #next = 0;

  /** `number`: its place in the ledger. `prefix`: of all topics of the run. */
  constructor(
    number: number,
    entry: PublisherEntry,
    options: RoamingOptions,
    prefix: string,
    payloadBytes: number,
    ledger: MessageLedger,
    around: Surroundings,
  ) {
    this.#number = number;
    this.#entry = entry;
    this.#topics = Array.from({ length: TOPICS }, (_, at) => topicOf(prefix, entry.name, String(at)));
    this.#filling = ".".repeat(payloadBytes);
    this.client = new RoamingClient(options, around);
    this.#outgoing = new Outgoing(this.client);
    this.#outgoing.onSent = (message) => ledger.sent(number, message, around.now());
    this.#outgoing.onAcknowledged = (message) => ledger.acknowledged(number, message, around.now());
    this.#outgoing.onRefused = (message, code) => ledger.refused(number, message, code, around.now());
  }

  /** Sends the next message if it can. */
  send(): boolean {
    if (!this.#outgoing.canPublish) return false;
    const message = this.#next++;
    const topic = this.#topics[message % TOPICS] ?? "";
    const payload = `${this.#number} ${message} ${this.#filling}`;
    this.#outgoing.publish(topic, payload, { qos: this.#entry.qos }, message);
    return true;
  }

  /** Messages that are on their way. */
  get unanswered(): number {
    return this.#outgoing.size;
  }
}

/** A topic of the publisher with this name; `+`: all of them. */
export function topicOf(prefix: string, publisher: string, topic: string): string {
  return `${prefix}/m/${publisher}/${topic}`;
}
