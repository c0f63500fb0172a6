import { expect, test } from "vitest";
import { systemClock } from "../src/machine/node-clock.ts";
import { systemRandom } from "../src/machine/node-random.ts";

test("atTurnEnd runs every callback of a turn once, in order, after the turn; later ones in the next", async () => {
  const clock = systemClock();
  const order: string[] = [];
  await new Promise<void>((resolve) => {
    clock.atTurnEnd(() => {
      order.push("first");
      clock.atTurnEnd(() => {
        order.push("next turn");
        resolve();
      });
    });
    clock.atTurnEnd(() => order.push("second"));
    order.push("turn");
  });
  expect(order).toEqual(["turn", "first", "second", "next turn"]);
});

test("after never calls before its time, and not at all once cancelled", async () => {
  const clock = systemClock();
  const cancelled = clock.after(1, () => expect.unreachable("cancelled"));
  cancelled.cancel();
  for (const delayMs of [0, 1, 5, 12.5]) {
    const from = clock.monotonicMs();
    await new Promise<void>((resolve) => clock.after(delayMs, resolve));
    expect(clock.monotonicMs() - from).toBeGreaterThanOrEqual(delayMs);
  }
});

test("a delay longer than Node's timers take does not fire at once", async () => {
  const clock = systemClock();
  const timer = clock.after(2 ** 40, () => expect.unreachable("fired decades early"));
  await new Promise<void>((resolve) => clock.after(5, resolve));
  timer.cancel();
});

test("random bytes are as many as asked for, and differ", () => {
  expect(systemRandom.bytes(0)).toHaveLength(0);
  expect(systemRandom.bytes(32)).toHaveLength(32);
  expect(systemRandom.bytes(32)).not.toEqual(systemRandom.bytes(32));
});
