/**
 * SUBSCRIBE and UNSUBSCRIBE of one connection.
 *
 * SUBACK is sent when every reachable node routes to us (P4), then the retained messages follow. Messages may come
 * before the SUBACK. While too many SUBSCRIBEs wait, reading from the client pauses (`isFull`). Where the mesh keeps the session, SUBACK
 * and UNSUBACK wait for that as well.
 *
 * Source: MQTT 5 sections 3.8 to 3.11.
 */

import type { SubscribePacket, UnsubscribePacket } from "../codec/control-packets.ts";
import { isFailure, ReasonCode } from "../codec/reason-codes.ts";
import type { BrokerOptions } from "../options.ts";
import type { ClientSession } from "../sessions/client-session.ts";
import { refused, type Subscriptions } from "../subscriptions/subscriptions.ts";
import { UNAWAITED } from "../unawaited.ts";
import { PendingSubscribe, PendingUnsubscribe } from "./pending-subscribe.ts";

/** A client's answers to SUBSCRIBE and UNSUBSCRIBE. */
export interface SubscribeAnswers {
  /** `cause`: for a Reason String, of the first Topic Filter that was refused. */
  sendSuback(packetId: number, codes: readonly number[], cause: string | undefined): void;
  sendUnsuback(packetId: number, codes: readonly number[]): void;
  /** The mesh does not take an UNSUBSCRIBE, which UNSUBACK of 3.x cannot say. */
  refuse(reasonCode: number): void;
}

export class InboundSubscribes {
  readonly #session: ClientSession;
  readonly #options: BrokerOptions;
  readonly #subscriptions: Subscriptions;
  /** Undefined once the connection has ended. */
  #answers: SubscribeAnswers | undefined;
  #pending = 0;

  constructor(
    session: ClientSession,
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
    pending.expect(this.#session.keepSubscriptions(pending.granted, pending));
    pending.announced = this.#session.replay.announce();
    pending.settle(ReasonCode.Success);
  }

  unsubscribe(packet: UnsubscribePacket): void {
    const session = this.#session;
    const codes: number[] = [];
    const ended: string[] = [];
    for (const filter of packet.filters) {
      const existed = this.#subscriptions.unsubscribe(session, filter);
      codes.push(existed ? ReasonCode.Success : ReasonCode.NoSubscriptionExisted);
      if (existed) ended.push(filter);
    }
    const pending = new PendingUnsubscribe(packet.packetId, codes, this);
    this.#pending++;
    pending.expect(session.dropSubscriptions(ended, pending));
    pending.settle(ReasonCode.Success);
  }

  /** [MQTT-3.10.4-4]. A client that is not answered comes back, and its session has the subscriptions that it could not end. */
  unsubscribed({ packetId, codes, reasonCode }: PendingUnsubscribe): void {
    this.#pending--;
    if (isFailure(reasonCode)) this.#answers?.refuse(reasonCode);
    else this.#answers?.sendUnsuback(packetId, codes);
  }

  /** The connection has ended: what still waits is not answered any more. */
  abandon(): void {
    this.#answers = undefined;
  }

  /** All parts of the barrier are settled: SUBACK [MQTT-3.8.4-1], then retained messages. */
  #subscribed(pending: PendingSubscribe): void {
    this.#pending--;
    const session = this.#session;
    const takenBack: string[] = [];
    for (const { subscription, isReplayed } of pending.granted) {
      // It may have been replaced or ended while the barrier was closed.
      if (subscription === undefined) continue;
      const { filter } = subscription;
      if (session.subscriptions.get(filter) !== subscription) continue;
      if (!pending.isRefused) {
        if (isReplayed) session.replay.add(subscription, pending.announced);
      } else if (this.#subscriptions.unsubscribe(session, filter)) takenBack.push(filter);
    }
    session.dropSubscriptions(takenBack, UNAWAITED);
    session.replay.settled();
    this.#answers?.sendSuback(pending.packetId, pending.codes, pending.cause);
    session.readRetained();
  }
}
