import type { NodeId } from "@skein/kernel";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { votersWanted } from "../src/voter-policy.ts";

const nodes = (count: number, from = 0): NodeId[] =>
  Array.from({ length: count }, (_, i) => (from + i).toString(16).padStart(16, "0") as NodeId);

test.each([
  [1, 0, undefined],
  [1, 1, undefined],
  [1, 2, 3],
  [1, 5, 3],
  [1, 6, 5],
  [3, 3, undefined],
  [3, 4, 5],
  [5, 20, undefined],
])("reference design 1.2: %i voters and %i live learners want %s voters", (voters, learners, wanted) => {
  const all = nodes(voters + learners);
  const input = {
    voters: all.slice(0, voters),
    learners: all.slice(voters),
    live: new Set(all),
    caughtUp: new Set(all.slice(voters)),
  };
  expect(votersWanted(input)?.length).toBe(wanted);
});

test("learners that are dead or far behind are not promoted; with 7 live members and 2 ready ones 3 voters come first", () => {
  const all = nodes(7);
  const [self] = all as [NodeId];
  const learners = all.slice(1);
  const ready = new Set(learners.slice(3, 5));
  const wanted = votersWanted({ voters: [self], learners, live: new Set(all), caughtUp: ready });
  expect(wanted).toEqual([self, ...ready]);
  const live = new Set([self, ...learners.slice(0, 1)]);
  expect(votersWanted({ voters: [self], learners, live, caughtUp: new Set(learners) })).toBeUndefined();
});

test("never an even number, never fewer than now, only live and caught-up learners are added", () => {
  const all = nodes(12);
  const subset = fc.subarray(all);
  fc.assert(
    fc.property(
      fc.constantFrom(1, 3, 5),
      fc.integer({ min: 0, max: 7 }),
      subset,
      subset,
      (v, l, up, near) => {
        const voters = all.slice(0, v);
        const learners = all.slice(v, v + l);
        const [live, caughtUp] = [new Set(up), new Set(near)];
        const wanted = votersWanted({ voters, learners, live, caughtUp });
        if (wanted === undefined) return;
        expect(wanted.length % 2).toBe(1);
        expect(wanted.length).toBeGreaterThan(v);
        expect(wanted.slice(0, v)).toEqual(voters);
        for (const node of wanted.slice(v)) {
          expect(learners.includes(node) && live.has(node) && caughtUp.has(node)).toBe(true);
        }
      },
    ),
  );
});
