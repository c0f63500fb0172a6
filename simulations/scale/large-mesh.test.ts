/** The real node among puppets knows what becomes of them, and the formula of a write agrees with what whole nodes send. */

import { expect, test } from "vitest";
import { calculatedWrite } from "./figures.ts";
import { measureLargeMesh } from "./large-mesh.ts";

test("puppets that lose their power are suspect and dead within the limits of the detector, and linked when they are back", () => {
  const { suspectMs, deadMs, backMs, write } = measureLargeMesh(20);
  // Silence of 3 s and 6 s since a heartbeat that was up to 2 s old, half a second of looking, 50 ms of asking.
  expect(suspectMs.p50).toBeGreaterThanOrEqual(1000);
  expect(suspectMs.p99).toBeLessThanOrEqual(3550);
  expect(deadMs.p50).toBeGreaterThanOrEqual(4000);
  expect(deadMs.p99).toBeLessThanOrEqual(6550);
  expect(backMs.p99).toBeLessThanOrEqual(100);
  expect(write.isCalculated).toBe(true);
});

test("a write by the formula: docs/scale.md has 6.6 kB of 20 whole nodes, 10.7 and 11.0 of 33 and 100, where the log has 32 replicas", () => {
  expect(calculatedWrite(20)).toEqual({ leaderBytes: 6585, otherBytes: 337, isCalculated: true });
  expect(calculatedWrite(33)).toEqual(calculatedWrite(1000));
  expect(calculatedWrite(100).leaderBytes).toBe(10_629);
});
