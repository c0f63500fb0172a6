import type { MonotonicMs } from "@skein/kernel";
import fc from "fast-check";
import { expect, test } from "vitest";
import { MessageQueue, type QueuedMessage } from "../src/message-queue.ts";

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
      const queue = new MessageQueue(100, 2_000);
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
      }
    },
  );
  fc.assert(property);
});
