/** Writes retained messages to topics of its own, in turns, and deletes some. */

import { DELETED, type RetainedLedger } from "../ledger/retained-ledger.ts";
import { Outgoing } from "./outgoing.ts";
import { RoamingClient, type RoamingOptions, type Surroundings } from "./roaming-client.ts";

const TOPICS = 25;
/** Every so many writes of a topic it is deleted. */
const DELETE_EVERY = 7;

interface Write {
  readonly topic: string;
  readonly number: number;
  readonly value: string;
}

export class RetainedWriter {
  readonly client: RoamingClient;
  readonly #prefix: string;
  readonly #outgoing: Outgoing<Write>;
  #writes = 0;

  constructor(options: RoamingOptions, prefix: string, ledger: RetainedLedger, around: Surroundings) {
    this.#prefix = `${keptPrefix(prefix)}/${options.id}`;
    this.client = new RoamingClient(options, around);
    this.#outgoing = new Outgoing(this.client);
    this.#outgoing.onSent = ({ topic, number, value }) => ledger.sent(topic, number, value, around.now());
    this.#outgoing.onAcknowledged = ({ topic, number }) => {
      ledger.answered(topic, number, false, around.now());
    };
    this.#outgoing.onRefused = ({ topic, number }) => ledger.answered(topic, number, true, around.now());
  }

  /** Writes once if it can. */
  write(): boolean {
    if (!this.#outgoing.canPublish) return false;
    const at = this.#writes % TOPICS;
    const number = Math.floor(this.#writes / TOPICS);
    this.#writes += 1;
    const topic = `${this.#prefix}/${at}`;
    const value = (number + at) % DELETE_EVERY === DELETE_EVERY - 1 ? DELETED : `${this.client.id} ${number}`;
    this.#outgoing.publish(topic, value, { qos: 1, retain: true }, { topic, number, value });
    return true;
  }

  get unanswered(): number {
    return this.#outgoing.size;
  }
}

/** What all retained topics of a run begin with. */
export function keptPrefix(prefix: string): string {
  return `${prefix}/kept`;
}
