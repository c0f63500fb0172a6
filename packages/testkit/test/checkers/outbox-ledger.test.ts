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

test("if its ways are disturbed in that second, it may not be heard: it is there some seconds after they are calm, or after the next return", () => {
  const disturbed = (at: number) => seen(at, "disturbed", { nodes: ["A", "B"] });
  const calmed = (at: number) => seen(at, "calmed", { nodes: ["A", "B"] });
  expect(areAllWritten(60_000, disturbed(10_500))).toBe(false);
  expect(areAllWritten(26_999, disturbed(10_500), calmed(20_000))).toBe(false);
  expect(areAllWritten(27_000, disturbed(10_500), calmed(20_000))).toBe(true);
  expect(areAllWritten(11_000, disturbed(11_000)), "it was written before").toBe(true);
  const again = [quorum(12_000, false), calmed(20_000), quorum(30_000, true)];
  expect([30_500, 31_000].map((at) => areAllWritten(at, disturbed(10_500), ...again))).toEqual([false, true]);
  const since = [quorum(11_000, false), disturbed(12_000), quorum(13_000, true)];
  expect(areAllWritten(60_000, ...since), "it hears a leader, and may not be heard").toBe(false);
  expect(areAllWritten(27_000, ...since, calmed(20_000))).toBe(true);
});
