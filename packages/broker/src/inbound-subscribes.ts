/**
 * SUBSCRIBE and UNSUBSCRIBE of one connection.
 *
 * SUBACK is sent when every reachable node routes to us (P4), then the retained messages follow. Messages may come
 * before the SUBACK. While too many SUBSCRIBEs wait, reading from the client pauses (`isFull`).
 *
 * Source: MQTT 5 sections 3.8 to 3.11.
 */

import type { SubscribePacket, UnsubscribePacket } from "./codec/control-packets.ts";
import { ReasonCode } from "./codec/reason-codes.ts";
import type { BrokerOptions } from "./options.ts";
import { PendingSubscribe } from "./pending-subscribe.ts";
import type { Session } from "./session.ts";
import { refused, type Subscriptions } from "./subscriptions.ts";

/** A client's answers to SUBSCRIBE and UNSUBSCRIBE. */
export interface SubscribeAnswers {
  /** `cause`: for a Reason String, of the first Topic Filter that was refused. */
  sendSuback(packetId: number, codes: readonly number[], cause: string | undefined): void;
  sendUnsuback(packetId: number, codes: readonly number[]): void;
}

export class InboundSubscribes {
  readonly #session: Session;
  readonly #options: BrokerOptions;
  readonly #subscriptions: Subscriptions;
  /** Undefined once the connection has ended. */
  #answers: SubscribeAnswers | undefined;
  #pending = 0;

  constructor(
    session: Session,
    options: BrokerOptions,
    subscriptions: Subscriptions,
    answers: SubscribeAnswers,
  ) {
    this.#session = session;
    this.#options = options;
    this.#subscriptions = subscriptions;
    this.#answers = answers;
  }

  /** More SUBSCRIBEs wait for the mesh than a well-behaved client would send: stop reading. */
  get isFull(): boolean {
    return this.#pending > this.#options.pendingSubscribesMax;
  }

  /** Handles the filters in their order, as if each had come alone [MQTT-3.8.4-5]. @throws {PacketError} */
  subscribe(packet: SubscribePacket): void {
    const pending = new PendingSubscribe(packet.packetId, (done) => this.#subscribed(done));
    this.#pending++;
    for (const request of packet.requests) {
      if (pending.granted.length >= this.#options.filtersPerSubscribeMax) {
        pending.add(refused(ReasonCode.QuotaExceeded, "too many topic filters in one SUBSCRIBE"));
      } else {
        const { subscriptionIdentifier } = packet;
        pending.add(this.#subscriptions.subscribe(this.#session, request, subscriptionIdentifier, pending));
      }
    }
    this.#session.replay.announce();
    pending.settle(ReasonCode.Success);
  }

  unsubscribe(packet: UnsubscribePacket): void {
    const codes: number[] = [];
    for (const filter of packet.filters) {
      const existed = this.#subscriptions.unsubscribe(this.#session, filter);
      codes.push(existed ? ReasonCode.Success : ReasonCode.NoSubscriptionExisted);
    }
    this.#answers?.sendUnsuback(packet.packetId, codes); // [MQTT-3.10.4-4]
  }

  /** The connection has ended: what still waits is not answered any more. */
  abandon(): void {
    this.#answers = undefined;
  }

  /** All parts of the barrier are settled: SUBACK [MQTT-3.8.4-1], then retained messages. */
  #subscribed(pending: PendingSubscribe): void {
    this.#pending--;
    const session = this.#session;
    for (const { subscription, isReplayed } of pending.granted) {
      // It may have been replaced or ended while the barrier was closed.
      if (subscription === undefined) continue;
      if (session.subscriptions.get(subscription.filter) !== subscription) continue;
      if (pending.isRefused) this.#subscriptions.unsubscribe(session, subscription.filter);
      else if (isReplayed) session.replay.add(subscription);
    }
    session.replay.settled();
    this.#answers?.sendSuback(pending.packetId, pending.codes, pending.cause);
    session.readRetained();
  }
}
