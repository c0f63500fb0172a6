import * as fc from "fast-check";
import { expect, test } from "vitest";
import { SuspendWatch } from "../../src/address/suspend-watch.ts";

test("a sleep of more than 200 ms is noticed once, with the next look", () => {
  const watch = new SuspendWatch();
  expect(watch.hasSlept(5000, 1000, 1000)).toBe(false);
  expect(watch.hasSlept(5250, 1250, 1250)).toBe(false);
  expect(watch.hasSlept(5701, 1500, 1500)).toBe(true);
  expect(watch.hasSlept(5951, 1750, 1750)).toBe(false);
});

test("no delay between the readings of the clocks is taken for a sleep, and a sleep shows in spite of delays before it", () => {
  const look = fc.record({
    passMs: fc.integer({ min: 0, max: 500 }),
    firstMs: fc.integer({ min: 0, max: 3000 }),
    thenMs: fc.integer({ min: 0, max: 3000 }),
  });
  fc.assert(
    fc.property(fc.array(look, { minLength: 1, maxLength: 30 }), (looks) => {
      const watch = new SuspendWatch();
      let now = 0;
      const see = (firstMs: number, thenMs: number, offsetMs: number): boolean => {
        const before = now;
        now += firstMs;
        const boot = now + offsetMs;
        now += thenMs;
        return watch.hasSlept(boot, before, now);
      };
      for (const { passMs, firstMs, thenMs } of looks) {
        now += passMs;
        expect(see(firstMs, thenMs, 7000)).toBe(false);
      }
      expect(see(0, 0, 7000)).toBe(false);
      expect(see(0, 0, 7201)).toBe(true);
    }),
  );
});

test("where the time since boot is not known nothing is noticed", () => {
  expect(new SuspendWatch().hasSlept(undefined, 0, 0)).toBe(false);
});
