import type { MonotonicMs } from "@skein/kernel";
import { expect, test, vi } from "vitest";
import { PublishFrames } from "../src/codec/publish-encoder.ts";
import { newCounters } from "../src/counters.ts";
import { DEFAULT_BROKER_OPTIONS } from "../src/options.ts";
import { MessageQueue } from "../src/sessions/message-queue.ts";
import { QueueBudget } from "../src/sessions/queue-budget.ts";
import { Session } from "../src/sessions/session.ts";

test("a message that waits keeps alive only itself, not what was read with it; one copy serves all who wait", () => {
  const push = vi.spyOn(MessageQueue.prototype, "push");
  const ports = {
    options: DEFAULT_BROKER_OPTIONS,
    counters: newCounters(),
    retained: { put: () => 0, read: () => undefined, count: 0, bytes: 0 },
    system: { match: () => undefined },
    clock: { monotonicMs: () => 0 as MonotonicMs },
    frames: new PublishFrames(),
    queueBudget: new QueueBudget(1000),
  };
  const payload = new Uint8Array(65_536).subarray(100, 110);
  const message = { topic: "t", payload, qos: 1 as const, retain: false, properties: undefined };
  for (const id of ["a", "b"]) new Session(id, ports).deliver(message, 1, false, undefined);
  const [first, second] = push.mock.calls.map(([{ message: kept }]) => kept);
  push.mockRestore();
  expect(first?.payload.buffer.byteLength).toBe(10);
  expect(second).toBe(first);
});
