/**
 * Gives a message to the subscribers of this node, each once, at the lower QoS of message and subscription.
 *
 * Source: MQTT 5 sections 3.3.1.3 (RETAIN), 3.8.3.1 (options), 3.8.4 (QoS).
 */

import type { ApplicationMessage, PublishBytes, QoS } from "@skein/kernel";
import type { PublishFrames } from "../codec/publish-encoder.ts";
import { PacketsFromPeers } from "../inbound/packets-from-peers.ts";
import type { ClientSession } from "../sessions/client-session.ts";
import { StoredSession } from "../sessions/stored-session.ts";
import type { Subscriptions } from "../subscriptions/subscriptions.ts";

export class LocalDelivery {
  readonly #subscriptions: Subscriptions;
  readonly #frames: PublishFrames;
  readonly #fromPeers = new PacketsFromPeers((message) => this.deliver(message, undefined));

  constructor(subscriptions: Subscriptions, frames: PublishFrames) {
    this.#subscriptions = subscriptions;
    this.#frames = frames;
  }

  /** To each its messages in `packets` of another node. Returns how many they were. @throws {SkeinError} ERR_SKEIN_MALFORMED */
  deliverPackets(packets: PublishBytes): number {
    return this.#fromPeers.deliver(packets);
  }

  deliver(message: ApplicationMessage, publisher: ClientSession | undefined): void {
    for (const any of this.#subscriptions.routes(message.topic)) {
      const route = any.subscriber === publisher ? any.ofOwn : any;
      if (route === undefined) continue; // [MQTT-3.8.3-3]
      const qos = Math.min(message.qos, route.qos) as QoS; // [MQTT-3.8.4-8]
      // [MQTT-3.3.1-12] [MQTT-3.3.1-13]
      route.subscriber.deliver(message, qos, route.retainAsPublished && message.retain, route.identifiers);
    }
  }

  /** To sessions that the mesh keeps, or only to one of them: what the log will bring them with QoS 1 or 2. */
  deliverEarly(
    message: ApplicationMessage,
    publisher: ClientSession | undefined,
    name: string,
    onlyFor?: ClientSession,
  ): void {
    for (const any of this.#subscriptions.routes(message.topic)) {
      const route = any.subscriber === publisher ? any.ofOwn : any;
      const qos = Math.min(message.qos, route?.qos ?? 0) as QoS;
      if (route === undefined || qos === 0 || !(route.subscriber instanceof StoredSession)) continue;
      if (onlyFor !== undefined && route.subscriber !== onlyFor) continue;
      const { subscriber, retainAsPublished, identifiers } = route;
      const retain = retainAsPublished && message.retain;
      subscriber.deliverEarly({ name, message: this.#frames.owned(message), qos, retain, identifiers });
    }
  }
}
