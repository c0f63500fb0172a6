import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { underTripwire } from "../../src/index.ts";

test.each<[string, () => unknown]>([
  ["Date.now", () => Date.now()],
  ["new Date()", () => new Date()],
  ["Math.random", () => Math.random()],
  ["performance.now", () => performance.now()],
  ["globalThis.setTimeout", () => setTimeout(() => {}, 0)],
  ["globalThis.setImmediate", () => setImmediate(() => {})],
  ["globalThis.queueMicrotask", () => queueMicrotask(() => {})],
  ["process.nextTick", () => process.nextTick(() => {})],
  ["fs.readFileSync", () => readFileSync("/dev/null")],
])("%s throws inside a simulation and works again after it", (name, use) => {
  expect(() => underTripwire(use)).toThrow(`tripwire: ${name} was called inside a simulation`);
  expect(use).not.toThrow();
});

test("taking a given date apart is allowed", () => {
  expect(underTripwire(() => new Date(0).toISOString())).toBe("1970-01-01T00:00:00.000Z");
});
