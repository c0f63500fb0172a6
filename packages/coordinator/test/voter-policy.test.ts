import type { NodeId } from "@skein/kernel";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { votersWanted } from "../src/voter-policy.ts";

const NOBODY_RESIGNS = { resigning: new Set<NodeId>(), leader: "" as NodeId };

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
    ...NOBODY_RESIGNS,
    voters: all.slice(0, voters),
    learners: all.slice(voters),
    live: new Set(all),
    caughtUp: new Set(all.slice(voters)),
  };
  expect(votersWanted(input)?.length).toBe(wanted);
});

test("a voter that resigns changes places with a learner that is ready, the leader last; without one it stays", () => {
  const all = nodes(5);
  const [a, b, c, d, e] = all as [NodeId, NodeId, NodeId, NodeId, NodeId];
  const input = {
    voters: [a, b, c],
    learners: [d, e],
    live: new Set(all),
    caughtUp: new Set([d, e]),
    leader: a,
  };
  expect(votersWanted({ ...input, resigning: new Set([a, c]) })).toEqual([a, b, d]);
  expect(votersWanted({ ...input, resigning: new Set([a]) })).toEqual([b, c, d]);
  expect(votersWanted({ ...input, resigning: new Set([b, d]) })).toEqual([a, c, e]);
  expect(votersWanted({ ...input, resigning: new Set([b, d, e]) })).toBeUndefined();
  expect(votersWanted({ ...input, resigning: new Set([b]), learners: [] })).toBeUndefined();
  // Two nodes: the only voter changes places with the other one.
  const two = { ...input, voters: [a], learners: [b], caughtUp: new Set([b]) };
  expect(votersWanted({ ...two, resigning: new Set([a]) })).toEqual([b]);
});

test("learners that are dead or far behind are not promoted; with 7 live members and 2 ready ones 3 voters come first", () => {
  const all = nodes(7);
  const [self] = all as [NodeId];
  const learners = all.slice(1);
  const ready = new Set(learners.slice(3, 5));
  const input = { ...NOBODY_RESIGNS, voters: [self], learners };
  const wanted = votersWanted({ ...input, live: new Set(all), caughtUp: ready });
  expect(wanted).toEqual([self, ...ready]);
  const live = new Set([self, ...learners.slice(0, 1)]);
  expect(votersWanted({ ...input, live, caughtUp: new Set(learners) })).toBeUndefined();
});

test("never an even number, never fewer than now, only live and caught-up learners that do not resign are added", () => {
  const all = nodes(12);
  const subset = fc.subarray(all);
  fc.assert(
    fc.property(
      fc.constantFrom(1, 3, 5),
      fc.integer({ min: 0, max: 7 }),
      subset,
      subset,
      subset,
      (v, l, up, near, tired) => {
        const voters = all.slice(0, v);
        const learners = all.slice(v, v + l);
        const [live, caughtUp, resigning] = [new Set(up), new Set(near), new Set(tired)];
        const leader = all[0] as NodeId;
        const wanted = votersWanted({ voters, learners, live, caughtUp, resigning, leader });
        if (wanted === undefined) return;
        expect(wanted.length % 2).toBe(1);
        const gone = voters.filter((node) => !wanted.includes(node));
        const added = wanted.filter((node) => !voters.includes(node));
        // More of them, or one in the place of one that resigns: never fewer, also not while it changes.
        if (gone.length > 0)
          expect([gone.length, added.length, resigning.has(gone[0] as NodeId)]).toEqual([1, 1, true]);
        else expect(wanted.length).toBeGreaterThan(v);
        for (const node of added) {
          expect(learners.includes(node) && live.has(node) && caughtUp.has(node)).toBe(true);
          expect(resigning.has(node)).toBe(false);
        }
      },
    ),
  );
});
