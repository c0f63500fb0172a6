/**
 * A retained store for one node, in memory: for tests and for embedding the broker without a mesh.
 *
 * Expired messages are dropped when they are looked at; what does not fit is refused. Source: MQTT 5 sections 3.3.1.3 and 3.3.2.3.3.
 */

import {
  type ApplicationMessage,
  type Clock,
  type Completion,
  filterMatches,
  type MonotonicMs,
  messageSize,
} from "@skein/kernel";
import { ownedCopy } from "./codec/publish-encoder.ts";
import { ReasonCode } from "./codec/reason-codes.ts";
import type { RetainedReader, RetainedStore, RetainedView } from "./ports.ts";

interface Kept {
  readonly message: ApplicationMessage;
  readonly since: MonotonicMs;
}

/** The same bounds as in a mesh. */
const TOPICS_MAX = 200_000;
const BYTES_MAX = 67_108_864;

export class InMemoryRetained implements RetainedStore, RetainedView {
  readonly #clock: Pick<Clock, "monotonicMs" | "atTurnEnd">;
  readonly #topicsMax: number;
  readonly #bytesMax: number;
  readonly #byTopic = new Map<string, Kept>();
  #bytes = 0;

  constructor(
    clock: Pick<Clock, "monotonicMs" | "atTurnEnd">,
    topicsMax: number = TOPICS_MAX,
    bytesMax: number = BYTES_MAX,
  ) {
    this.#clock = clock;
    this.#topicsMax = topicsMax;
    this.#bytesMax = bytesMax;
  }

  get count(): number {
    return this.#byTopic.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  put(message: ApplicationMessage, done: Completion | undefined): number {
    const { topic, payload } = message;
    const before = this.#byTopic.get(topic);
    const bytes =
      this.#bytes + messageSize(message) - (before === undefined ? 0 : messageSize(before.message));
    // Who makes it smaller is always let, so that a full store can be worked off.
    const isTooLarge = bytes > this.#bytesMax && bytes > this.#bytes;
    const isTooMany = before === undefined && this.#byTopic.size >= this.#topicsMax;
    if (payload.length === 0) this.#delete(topic);
    else if (isTooLarge || isTooMany) return this.#refuse(done);
    else {
      this.#byTopic.set(topic, { message: ownedCopy(message), since: this.#clock.monotonicMs() });
      this.#bytes = bytes;
    }
    return 0;
  }

  read(reader: RetainedReader): void {
    reader.mayRead(this);
  }

  match(filter: string, visit: (message: ApplicationMessage) => void): void {
    if (!filter.includes("+") && !filter.includes("#")) {
      const kept = this.#byTopic.get(filter);
      if (kept !== undefined) this.#visit(kept, visit);
      return;
    }
    for (const kept of this.#byTopic.values()) {
      if (filterMatches(filter, kept.message.topic)) this.#visit(kept, visit);
    }
  }

  #delete(topic: string): void {
    const kept = this.#byTopic.get(topic);
    if (kept === undefined) return;
    this.#byTopic.delete(topic);
    this.#bytes -= messageSize(kept.message);
  }

  /** The publisher hears 0x97, but not before `put` has returned. With QoS 0 nobody waits. */
  #refuse(done: Completion | undefined): number {
    if (done === undefined) return 0;
    this.#clock.atTurnEnd(() => done.settle(ReasonCode.QuotaExceeded));
    return 1;
  }

  #visit(kept: Kept, visit: (message: ApplicationMessage) => void): void {
    const { message, since } = kept;
    const lifetime = message.properties?.messageExpirySeconds;
    if (lifetime === undefined) {
      visit(message);
      return;
    }
    const left = lifetime - Math.floor((this.#clock.monotonicMs() - since) / 1000);
    if (left <= 0) this.#delete(message.topic);
    else visit({ ...message, properties: { ...message.properties, messageExpirySeconds: left } });
  }
}
