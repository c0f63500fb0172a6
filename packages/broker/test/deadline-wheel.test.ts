import type { MonotonicMs } from "@skein/kernel";
import fc from "fast-check";
import { expect, test } from "vitest";
import { DeadlineWheel } from "../src/deadline-wheel.ts";

const ms = (value: number): MonotonicMs => value as MonotonicMs;

test("nothing is asked for early, and everything at most one bucket late", () => {
  const delays = fc.array(fc.integer({ min: 0, max: 200_000 }), { minLength: 1, maxLength: 30 });
  const property = fc.property(delays, fc.integer({ min: 1, max: 900 }), (delays, tick) => {
    const start = 12_345;
    const fired = new Map<number, number>();
    const wheel = new DeadlineWheel<number>(ms(start), (item, now) => {
      const due = start + (delays[item] ?? 0);
      if (now < due) return due;
      fired.set(item, now - due);
      return undefined;
    });
    for (const [item, delay] of delays.entries()) wheel.set(item, start + delay);
    for (let now = start; fired.size < delays.length && now < start + 300_000; now += tick)
      wheel.advance(ms(now));
    expect(fired.size).toBe(delays.length);
    for (const late of fired.values()) {
      expect(late).toBeGreaterThanOrEqual(0);
      expect(late).toBeLessThanOrEqual(500 + tick);
    }
    expect(wheel.size).toBe(0);
  });
  fc.assert(property, { numRuns: 50 });
});

test("after a long pause everything that is due is asked for once", () => {
  const asked: string[] = [];
  const wheel = new DeadlineWheel<string>(ms(0), (item) => {
    asked.push(item);
    return undefined;
  });
  for (const [item, at] of [
    ["a", 100],
    ["b", 30_000],
    ["c", 63_000],
  ] as const) {
    wheel.set(item, at);
  }
  wheel.advance(ms(10_000_000));
  expect(asked.sort()).toEqual(["a", "b", "c"]);
});

test("what is filed anew or taken out is not asked for at its old time", () => {
  const asked: string[] = [];
  const wheel = new DeadlineWheel<string>(ms(0), (item) => {
    asked.push(item);
    return undefined;
  });
  wheel.set("moved", 1_000);
  wheel.set("moved", 5_000);
  wheel.set("gone", 1_000);
  wheel.delete("gone");
  wheel.advance(ms(3_000));
  expect(asked).toEqual([]);
  wheel.advance(ms(5_250));
  expect(asked).toEqual(["moved"]);
});
