import type { MonotonicMs } from "@skein/kernel";
import fc from "fast-check";
import { expect, test } from "vitest";
import { MessageQueue, type QueuedMessage } from "../src/sessions/message-queue.ts";
import { QueueBudget } from "../src/sessions/queue-budget.ts";

function queued(bytes: number): QueuedMessage {
  const message = {
    topic: "t",
    payload: new Uint8Array(bytes),
    qos: 1 as const,
    retain: false,
    properties: undefined,
  };
  return { message, qos: 1, retain: false, identifiers: undefined, queuedAt: 0 as MonotonicMs };
}

test("first in, first out, never above its bounds, whatever the sequence", () => {
  const property = fc.property(
    fc.array(fc.option(fc.integer({ min: 0, max: 60 })), { maxLength: 400 }),
    (steps) => {
      const budget = new QueueBudget(1_000_000);
      const queue = new MessageQueue(100, 2_000, budget);
      const model: QueuedMessage[] = [];
      const size = () => model.reduce((sum, { message }) => sum + message.payload.length + 1, 0);
      for (const bytes of steps) {
        if (bytes === null) {
          expect(queue.shift()).toBe(model.shift());
        } else {
          const next = queued(bytes);
          const fits = model.length < 100 && size() + bytes + 1 <= 2_000;
          expect(queue.push(next)).toBe(fits);
          if (fits) model.push(next);
        }
        expect([queue.length, queue.bytes]).toEqual([model.length, size()]);
        expect(budget.bytes).toBe(size() + 100 * model.length);
      }
      queue.clear();
      expect([queue.length, queue.bytes, budget.bytes]).toEqual([0, 0, 0]);
    },
  );
  fc.assert(property);
});

test("all queues together stay within their budget, and one that comes late still gets its share", () => {
  const budget = new QueueBudget(200_000);
  const queues = Array.from({ length: 10 }, () => new MessageQueue(10_000, 10_000_000, budget));
  const fill = (queue: MessageQueue | undefined): number => {
    while (queue?.push(queued(899)));
    return queue?.length ?? 0;
  };
  expect(fill(queues[0])).toBe(100);
  // An equal share of the first half as long as the second lasts.
  expect(queues.slice(1).map(fill)).toEqual([50, 33, 17, 0, 0, 0, 0, 0, 0]);
  expect(budget.bytes).toBe(200_000);
  for (const queue of queues) queue.clear();
  expect(budget.bytes).toBe(0);
  expect(fill(queues[5])).toBe(100);
});
