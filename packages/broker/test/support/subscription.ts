/** Subscriptions of nobody in particular. */

import type { Subscriber, Subscription } from "../../src/subscriptions/subscription-index.ts";

const SUBSCRIBER: Subscriber = { deliver() {}, isReady: true, isConnected: true, isKept: false };

export function subscriptionTo(filter: string): Subscription {
  return {
    subscriber: SUBSCRIBER,
    filter,
    qos: 0,
    noLocal: false,
    retainAsPublished: false,
    identifier: undefined,
  };
}
