import type { MonotonicMs } from "@skein/kernel";
import { expect, test } from "vitest";
import { Standstill } from "../src/standstill.ts";

const at = (ms: number): MonotonicMs => ms as MonotonicMs;

/** Ticked every 250 ms until `end`, as a process that runs. */
function ticked(end: number): Standstill {
  const standstill = new Standstill(at(0));
  for (let now = 250; now <= end; now += 250) expect(standstill.tick(at(now))).toBe(false);
  return standstill;
}

test("a process that runs has not stood still, also where a tick is late", () => {
  const standstill = ticked(10_000);
  expect(standstill.mayBeOld(at(10_240))).toBe(false);
  expect(standstill.tick(at(11_900))).toBe(false);
  expect(standstill.mayBeOld(at(11_901))).toBe(false);
});

test("what is read after a standstill may be old before the tick that notices it, and in the first moment after", () => {
  const standstill = ticked(1_000);
  expect(standstill.mayBeOld(at(9_000))).toBe(true);
  expect(standstill.tick(at(9_001))).toBe(true);
  expect(standstill.mayBeOld(at(9_100))).toBe(true);
  expect(standstill.tick(at(9_251))).toBe(false);
  expect(standstill.mayBeOld(at(9_400))).toBe(true);
  expect(standstill.mayBeOld(at(9_600))).toBe(false);
});

test("a broker that nobody ticks has not stood still", () => {
  expect(new Standstill(at(0)).mayBeOld(at(60_000))).toBe(false);
});
