import { expect, test } from "vitest";
import {
  type Fault,
  generateSchedule,
  SCENARIOS,
  type Schedule,
  shrink,
  simulate,
  type Verdict,
} from "../../src/index.ts";

test("a schedule is a function of its seed, and data", () => {
  const schedule = generateSchedule({ seed: 7 });
  expect(generateSchedule({ seed: 7 })).toEqual(schedule);
  expect(generateSchedule({ seed: 8 })).not.toEqual(schedule);
  expect(JSON.parse(JSON.stringify(schedule))).toEqual(schedule);
});

test("swarm: seeds differ in which faults they have, and every fault has its turn", () => {
  const kinds = Array.from({ length: 100 }, (_, seed) => {
    return [...new Set(generateSchedule({ seed }).faults.map(({ kind }) => kind))].sort().join(" ");
  });
  expect(new Set(kinds).size).toBeGreaterThan(90);
  expect(new Set(kinds.join(" ").trim().split(" ")).size).toBe(29);
});

test("a mesh of any size is struck by faults that it can have, at nodes that there are", () => {
  for (const nodes of [1, 2, 20]) {
    const schedules = Array.from({ length: 100 }, (_, seed) => generateSchedule({ seed, nodes, minutes: 2 }));
    const faults = schedules.flatMap((schedule) => schedule.faults);
    const named = faults.flatMap((fault) =>
      "a" in fault ? [fault.a, fault.b] : "node" in fault ? fault.node : [],
    );
    expect(Math.max(...named)).toBe(nodes - 1);
    expect(faults.some((fault) => "a" in fault && fault.a === fault.b)).toBe(false);
  }
});

test("a scenario has its own faults only; an unknown one is an error", () => {
  for (const [scenario, { kinds }] of Object.entries(SCENARIOS)) {
    const { faults } = generateSchedule({ seed: 1, scenario });
    expect(faults.every(({ kind }) => kinds.includes(kind))).toBe(true);
  }
  expect(() => generateSchedule({ seed: 1, scenario: "nonsense" })).toThrow("no scenario");
});

test("shrinking finds the two faults that matter among many", () => {
  const faults = Array.from(
    { length: 40 },
    (_, at): Fault => ({ at: 30_000 + at, kind: "cut", a: at % 3, b: 9 }),
  );
  const schedule: Schedule = { ...generateSchedule({ seed: 1 }), faults };
  const verdictOf = (tried: Schedule): Verdict => {
    const isBad = [7, 31].every((at) => tried.faults.some((fault) => fault.at === 30_000 + at));
    const failure = isBad ? { what: "promise", message: "broken", at: 0, logs: [], states: [] } : undefined;
    return {
      seed: 1,
      failure,
      hash: 0,
      simulatedMs: 0,
      events: 0,
      observations: 0,
      struck: {},
      isStandstill: false,
    };
  };
  const shrunk = shrink(schedule, verdictOf(schedule), verdictOf);
  expect(shrunk.schedule.faults.map(({ at }) => at - 30_000)).toEqual([7, 31]);
});

test("the same schedule gives the same history to the last event", () => {
  const schedule = generateSchedule({ seed: 3, nodes: 3, minutes: 0.5 });
  const [first, second] = [simulate(schedule), simulate(schedule)];
  expect(second).toEqual(first);
  expect(first.failure).toBeUndefined();
  const other = simulate({ ...schedule, world: { ...schedule.world, seed: 4 } });
  expect(other.hash).not.toBe(first.hash);
}, 30_000);
