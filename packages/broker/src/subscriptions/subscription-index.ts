/**
 * Finds the local subscribers of a topic, each once.
 *
 * The filters that match a topic are compiled, once per topic and change, into routes: one for each subscriber, with
 * the highest QoS and all Subscription Identifiers of its overlapping subscriptions. Delivering a message is then a
 * walk over an array. Source: MQTT 5 sections 3.3.4 (overlapping subscriptions) and 3.8.3.1 (options).
 */

import { type ApplicationMessage, FilterIndex, type QoS } from "@skein/kernel";

/** Who receives messages: a session. */
export interface Subscriber {
  /** Takes a message, or drops it by its own documented rules. `qos` is final. */
  deliver(
    message: ApplicationMessage,
    qos: QoS,
    retain: boolean,
    identifiers: readonly number[] | undefined,
  ): void;
  /** Whether it has a connection that can take a message right now. */
  readonly isReady: boolean;
  /** Whether it has a connection. */
  readonly isConnected: boolean;
  /** Whether messages of QoS 1 and 2 come to it from the log, not the live way. */
  readonly isKept: boolean;
}

/** One Topic Filter of one subscriber. Replaced as a whole when the client subscribes again. */
export interface Subscription {
  readonly subscriber: Subscriber;
  /** As in SUBSCRIBE, `$share/...` included. */
  readonly filter: string;
  /** Granted, which is the highest QoS that messages are delivered with. */
  readonly qos: QoS;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly identifier: number | undefined;
}

/** What one subscriber gets of a message. */
export interface Route {
  readonly subscriber: Subscriber;
  /** Upper bound of the delivery's QoS. */
  readonly qos: QoS;
  readonly retainAsPublished: boolean;
  readonly identifiers: readonly number[] | undefined;
  /** What it gets of a message that it published itself: undefined if nothing, by No Local. */
  readonly ofOwn: Route | undefined;
}

export class SubscriptionIndex {
  readonly #index = new FilterIndex<Subscription, readonly Route[]>(compileRoutes);

  /** Files a subscription that is not shared. */
  add(subscription: Subscription): void {
    this.#index.add(subscription.filter, subscription);
  }

  remove(subscription: Subscription): void {
    this.#index.remove(subscription.filter, subscription);
  }

  /** One route for each matching subscriber. The array stays the same until the index changes. */
  routes(topic: string): readonly Route[] {
    return this.#index.match(topic);
  }
}

const NO_ROUTES: readonly Route[] = [];

function compileRoutes(subscriptions: readonly Subscription[]): readonly Route[] {
  // Of a new topic mostly nobody is a subscriber, or one.
  const [first] = subscriptions;
  if (first === undefined) return NO_ROUTES;
  if (subscriptions.length === 1) return [compileRoute(first.subscriber, subscriptions)];
  const bySubscriber = new Map<Subscriber, Subscription[]>();
  for (const subscription of subscriptions) {
    const own = bySubscriber.get(subscription.subscriber);
    if (own === undefined) bySubscriber.set(subscription.subscriber, [subscription]);
    else own.push(subscription);
  }
  const routes: Route[] = [];
  for (const [subscriber, own] of bySubscriber) routes.push(compileRoute(subscriber, own));
  return routes;
}

function compileRoute(subscriber: Subscriber, subscriptions: readonly Subscription[]): Route {
  const hearOwn = subscriptions.filter((subscription) => !subscription.noLocal);
  const ofOwn =
    hearOwn.length > 0 && hearOwn.length < subscriptions.length
      ? compileRoute(subscriber, hearOwn)
      : undefined;
  const identifiers: number[] = [];
  let qos: QoS = 0;
  let retainAsPublished = false;
  for (const subscription of subscriptions) {
    if (subscription.qos > qos) qos = subscription.qos; // [MQTT-3.3.4-2]
    if (subscription.retainAsPublished) retainAsPublished = true;
    if (subscription.identifier !== undefined) identifiers.push(subscription.identifier); // [MQTT-3.3.4-4]
  }
  const route = {
    subscriber,
    qos,
    retainAsPublished,
    identifiers: identifiers.length === 0 ? undefined : identifiers,
    ofOwn,
  };
  if (hearOwn.length === subscriptions.length) route.ofOwn = route;
  return route;
}
