import { expect, test } from "vitest";
import { OutboxLedger } from "../../src/checkers/outbox-ledger.ts";
import type { Observation } from "../../src/observations.ts";
import { seen } from "../support/history.ts";

const quorum = (at: number, isReached: boolean) => seen(at, "quorum", { node: "A", isReached });
const stopped = (at: number, node: string) => seen(at, "stopped", { node, how: "crash" });

function areAllWritten(at: number, ...after: readonly Observation[]): boolean {
  const ledger = new OutboxLedger();
  for (const each of [quorum(0, false), quorum(10_000, true), ...after]) ledger.observe(each);
  return ledger.areAllWritten(at);
}

test("what was taken without a quorum is in the log a second after the return of one", () => {
  expect([10_500, 11_000].map((at) => areAllWritten(at))).toEqual([false, true]);
});

test("if its node, or another one, which may lead, stops in that second, it is there after the next return, or the next election", () => {
  expect(areAllWritten(60_000, stopped(10_500, "A"))).toBe(false);
  expect(areAllWritten(17_000, stopped(10_500, "B"))).toBe(false);
  expect(areAllWritten(17_500, stopped(10_500, "B"))).toBe(true);
  expect(areAllWritten(60_000, stopped(10_500, "B"), stopped(17_000, "A"))).toBe(false);
  expect(areAllWritten(60_000, stopped(11_000, "B"), stopped(17_000, "A"))).toBe(true);
});
