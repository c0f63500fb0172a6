/**
 * The publishes of a client between its call and the end of their QoS handshake.
 *
 * They wait until the window has room, keep their packet identifier until PUBACK or PUBCOMP, and are sent again with DUP,
 * in their order, when the session goes on over a new connection [MQTT-4.4.0-1]. A session that the server has lost takes
 * them along: the client cannot know whether they were published, and publishing them again could double them.
 *
 * Source: MQTT 5 sections 4.3, 4.4.
 */

import type { QoS } from "@skein/kernel";
import type { PacketIds } from "./packet-ids.ts";

export interface PublishExtras {
  /** Bytes behind the payload id. */
  readonly paddingBytes?: number | undefined;
  /** Message Expiry Interval (5.0 only). */
  readonly expirySeconds?: number | undefined;
}

export interface OutgoingPublish extends PublishExtras {
  readonly topic: string;
  readonly payloadId: string;
  readonly qos: QoS;
  readonly retain: boolean;
}

export interface Inflight {
  readonly packetId: number;
  readonly publish: OutgoingPublish;
  /** QoS 2: PUBREC came, PUBREL is what has to be sent. */
  isReleased: boolean;
}

/** Publishes under way at a time. */
const INFLIGHT_MAX = 20;
/** Publishes that wait, also while there is no connection; the newest is refused when there are more. */
const WAITING_MAX = 100;

export class Outgoing {
  /** In the order of their first sending. */
  readonly #inflight = new Map<number, Inflight>();
  #waiting: OutgoingPublish[] = [];

  /** Publishes under way or waiting. */
  get count(): number {
    return this.#inflight.size + this.#waiting.length;
  }

  /** False: too many wait. */
  push(publish: OutgoingPublish): boolean {
    if (this.#waiting.length >= WAITING_MAX) return false;
    this.#waiting.push(publish);
    return true;
  }

  /** Takes the next publish that may be sent, under the next of `packetIds`; 0 with QoS 0. */
  next(packetIds: Pick<PacketIds, "next">): Inflight | undefined {
    const publish = this.#waiting[0];
    if (publish === undefined || (publish.qos > 0 && this.#inflight.size >= INFLIGHT_MAX)) return undefined;
    this.#waiting.shift();
    const entry = { packetId: publish.qos === 0 ? 0 : packetIds.next(), publish, isReleased: false };
    if (publish.qos > 0) this.#inflight.set(entry.packetId, entry);
    return entry;
  }

  find(packetId: number): Inflight | undefined {
    return this.#inflight.get(packetId);
  }

  finish(packetId: number): void {
    this.#inflight.delete(packetId);
  }

  /** What has to be sent again. */
  unfinished(): Inflight[] {
    return [...this.#inflight.values()];
  }

  /** The server has lost the session. */
  forget(): void {
    this.#inflight.clear();
  }
}
