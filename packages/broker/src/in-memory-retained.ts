/**
 * A retained store for one node, in memory: for tests and for embedding the broker without a mesh.
 *
 * Expired messages are dropped when they are looked at. Source: MQTT 5 sections 3.3.1.3 and 3.3.2.3.3.
 */

import {
  type ApplicationMessage,
  type Clock,
  type Completion,
  filterMatches,
  type MonotonicMs,
} from "@skein/kernel";
import { ownedCopy } from "./codec/publish-encoder.ts";
import type { RetainedReader, RetainedStore, RetainedView } from "./ports.ts";

interface Kept {
  readonly message: ApplicationMessage;
  readonly since: MonotonicMs;
}

export class InMemoryRetained implements RetainedStore, RetainedView {
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #byTopic = new Map<string, Kept>();

  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
  }

  get count(): number {
    return this.#byTopic.size;
  }

  put(message: ApplicationMessage, _done: Completion | undefined): number {
    if (message.payload.length === 0) this.#byTopic.delete(message.topic);
    else this.#byTopic.set(message.topic, { message: ownedCopy(message), since: this.#clock.monotonicMs() });
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

  #visit(kept: Kept, visit: (message: ApplicationMessage) => void): void {
    const { message, since } = kept;
    const lifetime = message.properties?.messageExpirySeconds;
    if (lifetime === undefined) {
      visit(message);
      return;
    }
    const left = lifetime - Math.floor((this.#clock.monotonicMs() - since) / 1000);
    if (left <= 0) this.#byTopic.delete(message.topic);
    else visit({ ...message, properties: { ...message.properties, messageExpirySeconds: left } });
  }
}
