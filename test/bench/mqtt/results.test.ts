/** A check that compares nothing must not say that all is well. */

import { expect, test } from "vitest";
import { type Quantity, type Result, worseThan } from "./results.ts";

function result(
  skein: Partial<Record<Quantity, number>>,
  mosquitto?: Partial<Record<Quantity, number>>,
): Result {
  const measured = { date: "2026-01-01", commit: "abc", machine: "any", seconds: 1 };
  return {
    scenario: "pairs",
    samples: {
      skein: [skein],
      ...(mosquitto !== undefined && { mosquitto: [mosquitto] }),
    } as Result["samples"],
    measured,
  };
}

const committed = [result({ cpuUs: 1, p50Us: 10 }, { cpuUs: 2, p50Us: 10 })];

test("a ratio that has grown by a third is worse, one that has grown by a quarter is noise, whatever the machine", () => {
  expect(worseThan(committed, [result({ cpuUs: 10, p50Us: 10 }, { cpuUs: 16, p50Us: 10 })])).toEqual([]);
  expect(worseThan(committed, [result({ cpuUs: 10, p50Us: 10 }, { cpuUs: 15, p50Us: 10 })])).toEqual([
    "pairs: 0.67, committed is 0.5 of mosquitto's CPU",
  ]);
});

test("latency and memory are compared as well", () => {
  expect(worseThan(committed, [result({ cpuUs: 1, p50Us: 14 }, { cpuUs: 2, p50Us: 10 })])).toEqual([
    "pairs: 1.4, committed is 1 of mosquitto's p50 latency",
  ]);
  const idle = [result({ bytesEach: 7000 }, { bytesEach: 1750 })];
  expect(worseThan(idle, [result({ bytesEach: 9800 }, { bytesEach: 1750 })])).toEqual([
    "pairs: 5.6, committed is 4 of mosquitto's memory",
  ]);
});

test("what was not measured beside mosquitto counts as worse, a scenario that is new does not", () => {
  expect(worseThan(committed, [result({ cpuUs: 1, p50Us: 10 })])).toEqual([
    "pairs: not measured beside mosquitto, committed is 0.5 of mosquitto's CPU",
    "pairs: not measured beside mosquitto, committed is 1 of mosquitto's p50 latency",
  ]);
  expect(worseThan([], [result({ cpuUs: 1 })])).toEqual([]);
});
