import { expect, test } from "vitest";
import type { NodeObservation } from "../../src/observations.ts";
import { generateSchedule } from "../../src/runner/generate-schedule.ts";
import { Standstill } from "../../src/runner/standstill.ts";

const VOTERS = ["a", "b", "c"];
const CLUSTER = "old";
const FIRST_GONE = new Set(["new", "b", "c"]);

function blackedOut(durability: "replicated" | "disk", ...then: readonly NodeObservation[]): Standstill {
  const schedule = generateSchedule({ seed: 1 });
  const standstill = new Standstill({ ...schedule, world: { ...schedule.world, durability } });
  const see = (node: string, observation: NodeObservation): void =>
    standstill.observe({ at: 0, node, ...observation });
  for (const node of VOTERS) {
    see(node, { kind: "started", incarnation: 1 });
    see(node, { kind: "belongs", to: CLUSTER });
  }
  standstill.observe({ at: 0, kind: "blackout" });
  for (const observation of then) see("b", observation);
  return standstill;
}

test("a mesh may stand still after a blackout when a voter is gone for good", () => {
  expect(blackedOut("replicated").isAllowed(CLUSTER, VOTERS, FIRST_GONE)).toBe(true);
});

test("it may not when all voters are there, in the disk profile, or once a leader was elected", () => {
  expect(blackedOut("replicated").isAllowed(CLUSTER, VOTERS, new Set(VOTERS))).toBe(false);
  expect(blackedOut("disk").isAllowed(CLUSTER, VOTERS, FIRST_GONE)).toBe(false);
  expect(blackedOut("replicated", { kind: "leader", term: 2 }).isAllowed(CLUSTER, VOTERS, FIRST_GONE)).toBe(
    false,
  );
});

test("another cluster of the mesh that has a leader takes nothing away from that, and may not stand still itself", () => {
  const standstill = blackedOut("replicated");
  const see = (observation: NodeObservation): void =>
    standstill.observe({ at: 0, node: "new", ...observation });
  see({ kind: "started", incarnation: 1 });
  see({ kind: "belongs", to: "young" });
  see({ kind: "leader", term: 2 });
  expect(standstill.isAllowed(CLUSTER, VOTERS, FIRST_GONE)).toBe(true);
  expect(standstill.isAllowed("young", ["new", "gone"], FIRST_GONE)).toBe(false);
});
