import { filterMatches, type QoS } from "@skein/kernel";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type Subscriber,
  type Subscription,
  SubscriptionIndex,
} from "../src/subscriptions/subscription-index.ts";

const SUBSCRIBERS: readonly Subscriber[] = Array.from({ length: 3 }, () => ({
  deliver() {},
  isReady: true,
  isConnected: true,
  isKept: false,
}));
const level = fc.constantFrom("a", "b", "$x");
const topic = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join("/"));
const filter = fc
  .tuple(fc.array(fc.oneof(level, fc.constant("+")), { minLength: 1, maxLength: 3 }), fc.boolean())
  .map(([levels, isOpen]) => [...levels, ...(isOpen ? ["#"] : [])].join("/"));
const subscription: fc.Arbitrary<Subscription> = fc.record({
  subscriber: fc.constantFrom(...SUBSCRIBERS),
  filter,
  qos: fc.constantFrom<QoS>(0, 1, 2),
  noLocal: fc.boolean(),
  retainAsPublished: fc.boolean(),
  identifier: fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined }),
});

/** What the specification says one subscriber gets, computed the slow way. */
function naive(subscriptions: readonly Subscription[]) {
  if (subscriptions.length === 0) return undefined;
  const identifiers = subscriptions.map(({ identifier }) => identifier).filter((id) => id !== undefined);
  return {
    qos: Math.max(...subscriptions.map(({ qos }) => qos)),
    retainAsPublished: subscriptions.some(({ retainAsPublished }) => retainAsPublished),
    identifiers: identifiers.length === 0 ? undefined : identifiers.toSorted(),
  };
}

function shape(
  route: { qos: QoS; retainAsPublished: boolean; identifiers: readonly number[] | undefined } | undefined,
) {
  if (route === undefined) return undefined;
  const { qos, retainAsPublished, identifiers } = route;
  return { qos, retainAsPublished, identifiers: identifiers?.toSorted() };
}

test("[MQTT-3.3.4-2] [MQTT-3.3.4-4] [MQTT-3.8.3-3] routes agree with a naive model, through additions and removals", () => {
  const step = fc.record({ subscription, isRemoval: fc.boolean(), pick: fc.nat() });
  const property = fc.property(
    fc.array(step, { maxLength: 25 }),
    fc.array(topic, { maxLength: 6 }),
    (steps, topics) => {
      const index = new SubscriptionIndex();
      const filed: Subscription[] = [];
      for (const { subscription: next, isRemoval, pick } of steps) {
        if (isRemoval && filed.length > 0) {
          const [removed] = filed.splice(pick % filed.length, 1);
          if (removed !== undefined) index.remove(removed);
        } else {
          filed.push(next);
          index.add(next);
        }
        for (const name of topics) {
          const routes = index.routes(name);
          const matching = filed.filter(({ filter: each }) => filterMatches(each, name));
          for (const subscriber of SUBSCRIBERS) {
            const own = matching.filter((each) => each.subscriber === subscriber);
            const mine = routes.filter((route) => route.subscriber === subscriber);
            expect(mine.length).toBe(own.length === 0 ? 0 : 1);
            expect(shape(mine[0])).toEqual(naive(own));
            expect(shape(mine[0]?.ofOwn)).toEqual(naive(own.filter(({ noLocal }) => !noLocal)));
          }
        }
      }
    },
  );
  fc.assert(property);
});

test("routes stay the same array until the index changes", () => {
  const index = new SubscriptionIndex();
  const [subscriber] = SUBSCRIBERS as [Subscriber];
  const entry = {
    subscriber,
    qos: 1 as const,
    noLocal: false,
    retainAsPublished: false,
    identifier: undefined,
  };
  index.add({ ...entry, filter: "a/+" });
  const routes = index.routes("a/b");
  expect(index.routes("a/b")).toBe(routes);
  index.add({ ...entry, filter: "c" });
  expect(index.routes("a/b")).not.toBe(routes);
});
