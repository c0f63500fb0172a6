/**
 * Reads retained messages the only way MQTT has: subscribe, take the replay, unsubscribe.
 *
 * A replay has no end mark, and a broker may begin it long after the SUBACK, so the client brings a mark of its own: a
 * second filter in the same SUBSCRIBE, for a topic that always has a retained message. The filters are served in their
 * order, so when the mark comes, what the broker had for the topic has come. A live message meanwhile makes the read
 * say nothing, because a broker may then leave the replay out. The client subscribes with QoS 0 and to nothing else,
 * so that nothing holds its replay back. It stays subscribed to the mark: subscribing again replays it again.
 */

import type { Timer } from "@skein/kernel";
import type { ClientTarget, SimClientHost } from "../observations.ts";
import type { ClientProfile } from "./profiles.ts";
import { SimClient } from "./sim-client.ts";
import type { ReceivedMessage } from "./sim-client-options.ts";

/** Somebody has to keep a retained message here. */
export const MARK_TOPIC = "home/mark";
/** Without a mark by then there is none: a read is answered within a second. */
const GIVE_UP_MS = 10_000;

export class RetainedReader {
  readonly client: SimClient;
  readonly #host: SimClientHost;
  /** The read under way, and when it began. */
  #topic: string | undefined;
  #askedAt = 0;
  #payloadId: string | null = null;
  #isSpoiled = false;
  #patience: Timer | undefined;

  constructor(host: SimClientHost, clientId: string, target: ClientTarget, profile: ClientProfile) {
    this.#host = host;
    this.client = new SimClient(
      host,
      { clientId, target, profile },
      {
        message: (message) => this.#message(message),
        unsubscribed: (filter) => this.#unsubscribed(filter),
        disconnected: () => {
          this.#end();
          this.#topic = undefined;
        },
      },
    );
  }

  /** Begins to read `topic`, unless a read is under way or there is no connection. */
  read(topic: string): void {
    if (this.#topic !== undefined || !this.client.isConnected) return;
    const { clock } = this.#host;
    this.#topic = topic;
    this.#askedAt = clock.monotonicMs();
    this.#payloadId = null;
    this.#isSpoiled = false;
    this.#patience = clock.after(GIVE_UP_MS, () => this.#end());
    this.client.subscribe([topic, MARK_TOPIC], 0);
  }

  #message({ topic, payloadId, retain }: ReceivedMessage): void {
    if (this.#patience === undefined) return;
    if (!retain) this.#isSpoiled = true;
    else if (topic === this.#topic) this.#payloadId = payloadId;
    if (topic === MARK_TOPIC) this.#answered();
  }

  #answered(): void {
    const { clientId, node } = this.client;
    const [topic, askedAt, payloadId] = [this.#topic, this.#askedAt, this.#payloadId];
    if (this.#isSpoiled) {
      this.#end();
    } else if (topic !== undefined) {
      this.#host.observe({ kind: "retainedRead", client: clientId, topic, payloadId, askedAt }, node);
      this.#unsubscribe();
    }
  }

  /** When that is answered, the next read may begin. */
  #unsubscribe(): void {
    this.#patience?.cancel();
    this.#patience = undefined;
    if (this.#topic !== undefined) this.client.unsubscribe(this.#topic);
  }

  #unsubscribed(filter: string): void {
    if (filter === this.#topic) this.#topic = undefined;
  }

  /** No mark came, or a live one, or the connection is gone: one that is still on its way must not end the next read. */
  #end(): void {
    this.client.unsubscribe(MARK_TOPIC);
    this.#unsubscribe();
  }
}
