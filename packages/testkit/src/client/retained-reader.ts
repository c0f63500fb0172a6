/**
 * Reads retained messages the only way MQTT has: subscribe, take the replay, unsubscribe.
 *
 * A replay has no end mark, so a PINGREQ follows the SUBACK: what the broker had for the topic has come before its
 * PINGRESP. A live message on the topic meanwhile makes the read say nothing, because a broker may then leave the replay
 * out. The client subscribes with QoS 0 and to nothing else, so that nothing holds its replay back.
 */

import type { ClientTarget, SimClientHost } from "../observations.ts";
import type { ClientProfile } from "./profiles.ts";
import { type ReceivedMessage, SimClient } from "./sim-client.ts";

export class RetainedReader {
  readonly client: SimClient;
  readonly #host: SimClientHost;
  /** The read under way. */
  #topic: string | undefined;
  #payloadId: string | null = null;
  #isSpoiled = false;

  constructor(host: SimClientHost, clientId: string, target: ClientTarget, profile: ClientProfile) {
    this.#host = host;
    this.client = new SimClient(
      host,
      { clientId, target, profile },
      {
        message: (message) => this.#message(message),
        subscribed: (filter) => this.client.ping(() => this.#answered(filter)),
        unsubscribed: (filter) => this.#unsubscribed(filter),
        disconnected: () => this.#abandon(),
      },
    );
  }

  /** Begins to read `topic`, unless a read is under way or there is no connection. */
  read(topic: string): void {
    if (this.#topic !== undefined || !this.client.isConnected) return;
    this.#topic = topic;
    this.#payloadId = null;
    this.#isSpoiled = false;
    this.client.subscribe(topic, 0);
  }

  #message({ topic, payloadId, retain }: ReceivedMessage): void {
    if (topic !== this.#topic) return;
    if (retain) this.#payloadId = payloadId;
    else this.#isSpoiled = true;
  }

  #answered(topic: string): void {
    if (topic !== this.#topic) return;
    if (!this.#isSpoiled) {
      const { clientId, node } = this.client;
      const payloadId = this.#payloadId;
      this.#host.observe({ kind: "retainedRead", client: clientId, topic, payloadId }, node);
    }
    this.client.unsubscribe(topic);
  }

  #unsubscribed(topic: string): void {
    if (topic === this.#topic) this.#topic = undefined;
  }

  #abandon(): void {
    if (this.#topic !== undefined) this.client.unsubscribe(this.#topic);
    this.#topic = undefined;
  }
}
