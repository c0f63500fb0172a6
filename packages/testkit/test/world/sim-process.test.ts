import { expect, test } from "vitest";
import { EventQueue } from "../../src/world/event-queue.ts";
import { SimProcess } from "../../src/world/sim-process.ts";

function started(died: () => void = () => {}) {
  const events = new EventQueue();
  const process = new SimProcess(events, { rate: 1, bootedAt: 0, sleptMs: 0, wallOffsetMs: 0 }, died);
  return { events, process };
}

test("calls happen in order of their time, then of their asking", () => {
  const events = new EventQueue();
  const seen: string[] = [];
  for (const [at, name] of [
    [5, "c"],
    [1, "a"],
    [5, "d"],
    [3, "b"],
  ] as const)
    events.at(at, () => seen.push(name));
  events.at(4, () => seen.push("never")).cancel();
  events.runUntil(4.5);
  expect(seen).toEqual(["a", "b"]);
  expect(events.now).toBe(4.5);
  events.runUntil(10);
  expect(seen).toEqual(["a", "b", "c", "d"]);
});

test("a process dies between two effects: what comes after does not happen, in this turn or later", () => {
  let deaths = 0;
  const { events, process } = started(() => deaths++);
  const done: string[] = [];
  process.clock.after(10, () => done.push("timer"));
  process.dieAfter(2);
  process.turn(() => {
    if (process.effect()) done.push("first");
    process.clock.atTurnEnd(() => done.push("turn end"));
    if (process.effect()) done.push("second");
    done.push("after the second");
  });
  events.runUntil(100);
  expect(done).toEqual(["first"]);
  expect(deaths).toBe(1);
  expect(process.effect()).toBe(false);
});

test("input waits while a process is paused, and its timers are late", () => {
  const { events, process } = started();
  const seen: number[] = [];
  process.clock.after(10, () => seen.push(events.now));
  process.pause();
  events.runUntil(50);
  expect(seen).toEqual([]);
  process.resume();
  expect(seen).toEqual([50]);
});

test("a timer never fires before its time on a clock that drifts", () => {
  const events = new EventQueue();
  const process = new SimProcess(
    events,
    { rate: 1.01, bootedAt: -12_345.678, sleptMs: 0, wallOffsetMs: 0 },
    () => {},
  );
  const start = process.clock.monotonicMs();
  let firedAt = 0;
  process.clock.after(1000, () => {
    firedAt = process.clock.monotonicMs();
  });
  events.runUntil(2000);
  expect(firedAt - start).toBeGreaterThanOrEqual(1000);
  expect(firedAt - start).toBeLessThan(1001);
});
