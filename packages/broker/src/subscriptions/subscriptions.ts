/**
 * Subscribing and unsubscribing: the session's own list, the local index and the mesh's interest, always together.
 *
 * Each subscription that is in the index has exactly one `interest.add` that is not yet matched by a `remove`. A
 * subscription that replaces another adds first and removes after, so that no message falls between
 * [MQTT-3.8.4-4]. Source: MQTT 5 sections 3.8 to 3.11, 4.7, 4.8.2.
 */

import {
  type ApplicationMessage,
  type Completion,
  isValidTopicFilter,
  type KeptSubscription,
  parseSharedFilter,
} from "@skein/kernel";
import type { SubscriptionRequest } from "../codec/control-packets.ts";
import { protocolError } from "../codec/packet-error.ts";
import { ReasonCode } from "../codec/reason-codes.ts";
import type { BrokerOptions } from "../options.ts";
import type { Interest } from "../ports.ts";
import type { ClientSession } from "../sessions/client-session.ts";
import { isSystemTopic } from "../system/system-topics.ts";
import { TopicLimits } from "../topic-limits.ts";
import { UNAWAITED } from "../unawaited.ts";
import { SharedSubscriptions } from "./shared-subscriptions.ts";
import { type Route, type Subscription, SubscriptionIndex } from "./subscription-index.ts";

/** What became of one Topic Filter of a SUBSCRIBE. */
export interface Granted {
  /** For SUBACK: the granted QoS, or a failure. */
  readonly code: number;
  /** Why it failed. */
  readonly cause: string | undefined;
  /** Undefined if it failed. */
  readonly subscription: Subscription | undefined;
  /** Retained messages are to be sent for it. */
  readonly isReplayed: boolean;
  readonly retainHandling: 0 | 1 | 2;
  /** Parts of the completion to wait for. */
  readonly parts: number;
}

export class Subscriptions {
  readonly #options: BrokerOptions;
  readonly #limits: TopicLimits;
  readonly #interest: Interest;
  readonly #index = new SubscriptionIndex();
  readonly #shared = new SharedSubscriptions();
  #count = 0;
  #sharedCount = 0;
  #systemCount = 0;

  constructor(options: BrokerOptions, interest: Interest) {
    this.#options = options;
    this.#limits = new TopicLimits(options);
    this.#interest = interest;
  }

  /** Of all sessions, shared ones included. */
  get count(): number {
    return this.#count;
  }

  get sharedCount(): number {
    return this.#sharedCount;
  }

  /** Those to topics of the node itself, `$SYS`. */
  get systemCount(): number {
    return this.#systemCount;
  }

  routes(topic: string): readonly Route[] {
    return this.#index.routes(topic);
  }

  /** Gives `message` to one local member of a shared subscription. False: there is none. */
  deliverShared(sharedFilter: string, message: ApplicationMessage): boolean {
    return this.#shared.deliver(sharedFilter, message);
  }

  /** @throws {PacketError} No Local on a shared subscription [MQTT-3.8.3-4] */
  subscribe(
    session: ClientSession,
    request: SubscriptionRequest,
    identifier: number | undefined,
    done: Completion,
  ): Granted {
    const { filter, qos, noLocal, retainAsPublished, retainHandling } = request;
    const shared = parseSharedFilter(filter);
    if (shared === "invalid" || (shared === undefined && !isValidTopicFilter(filter))) {
      return refused(ReasonCode.TopicFilterInvalid, "the topic filter is invalid");
    }
    if (!this.#limits.allow(filter)) {
      return refused(ReasonCode.TopicFilterInvalid, "the topic filter is too long or has too many levels");
    }
    if (shared !== undefined && noLocal) throw protocolError("no local on a shared subscription");
    const replaced = session.subscriptions.get(filter);
    if (replaced === undefined && !this.#hasRoom(session, filter)) {
      return refused(ReasonCode.QuotaExceeded, "too many subscriptions");
    }
    const subscription = { subscriber: session, filter, qos, noLocal, retainAsPublished, identifier };
    this.#file(subscription, shared !== undefined);
    session.subscriptions.set(subscription);
    const parts = this.#want(filter, done);
    if (replaced !== undefined) {
      session.forget(replaced);
      this.#unfile(replaced);
    }
    const isReplayed =
      shared === undefined && (retainHandling === 0 || (retainHandling === 1 && replaced === undefined));
    return { code: qos, cause: undefined, subscription, isReplayed, retainHandling, parts };
  }

  /** The session has come to this node with subscriptions that were granted before. */
  restore(session: ClientSession, subscriptions: Iterable<KeptSubscription>): void {
    for (const { filter, qos, noLocal, retainAsPublished, identifier } of subscriptions) {
      const subscription = { subscriber: session, filter, qos, noLocal, retainAsPublished, identifier };
      this.#file(subscription, parseSharedFilter(filter) !== undefined);
      session.subscriptions.set(subscription);
      this.#want(filter, UNAWAITED);
    }
  }

  /** Ends the subscription with exactly this filter [MQTT-3.10.4-1]. False: there is none. */
  unsubscribe(session: ClientSession, filter: string): boolean {
    const subscription = session.subscriptions.get(filter);
    if (subscription === undefined) return false;
    session.subscriptions.delete(filter);
    session.forget(subscription);
    this.#unfile(subscription);
    return true;
  }

  /** The session has ended. */
  removeAll(session: ClientSession): void {
    session.dropAll((subscription) => this.#unfile(subscription));
  }

  #hasRoom({ subscriptions }: ClientSession, filter: string): boolean {
    const { subscriptionsPerClientMax, subscriptionLengthPerClientMax } = this.#options;
    return (
      subscriptions.size < subscriptionsPerClientMax &&
      subscriptions.filtersLength + filter.length <= subscriptionLengthPerClientMax
    );
  }

  #file(subscription: Subscription, isShared: boolean): void {
    if (isShared) this.#shared.add(subscription);
    else this.#index.add(subscription);
    this.#tally(subscription.filter, isShared, 1);
  }

  #unfile(subscription: Subscription): void {
    const isShared = parseSharedFilter(subscription.filter) !== undefined;
    if (isShared) this.#shared.remove(subscription);
    else this.#index.remove(subscription);
    this.#tally(subscription.filter, isShared, -1);
    if (!isSystemTopic(subscription.filter)) this.#interest.remove(subscription.filter);
  }

  /** Other nodes have nothing below `$SYS` for this one, and need not hear of it. Returns the parts that `done` waits for. */
  #want(filter: string, done: Completion): number {
    return isSystemTopic(filter) ? 0 : this.#interest.add(filter, done);
  }

  #tally(filter: string, isShared: boolean, by: 1 | -1): void {
    this.#count += by;
    if (isShared) this.#sharedCount += by;
    else if (isSystemTopic(filter)) this.#systemCount += by;
  }
}

export function refused(code: number, cause: string): Granted {
  return { code, cause, subscription: undefined, isReplayed: false, retainHandling: 2, parts: 0 };
}
