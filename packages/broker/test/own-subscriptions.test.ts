import fc from "fast-check";
import { expect, test } from "vitest";
import { OwnSubscriptions } from "../src/subscriptions/own-subscriptions.ts";
import type { Subscription } from "../src/subscriptions/subscription-index.ts";
import { subscriptionTo } from "./support/subscription.ts";

test("whatever is added, replaced and taken out, it is what a Map would be, in its order", () => {
  const step = fc.record({
    isAdded: fc.boolean(),
    filter: fc.constantFrom("a", "a/b", "room/+/light", "#"),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const own = new OwnSubscriptions();
      const model = new Map<string, Subscription>();
      for (const { isAdded, filter } of steps) {
        const subscription = subscriptionTo(filter);
        if (isAdded) {
          own.set(subscription);
          model.set(filter, subscription);
        } else {
          own.delete(filter);
          model.delete(filter);
        }
        expect(own.get(filter)).toBe(model.get(filter));
        expect([...own.values()]).toEqual([...model.values()]);
        expect(own.size).toBe(model.size);
        expect(own.filtersLength).toBe([...model.keys()].join("").length);
      }
    }),
  );
});
