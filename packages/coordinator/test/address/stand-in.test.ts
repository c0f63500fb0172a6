import type { MonotonicMs, NodeId } from "@skein/kernel";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { type Candidate, viewOf } from "../../src/address/ranking.ts";
import { StandIn, type StandInEvent } from "../../src/address/stand-in.ts";
import type { CoordinatorStatus } from "../../src/index.ts";
import { freshStatus } from "../../src/status.ts";

const ELECTION_MAX_MS = 4800;
const alone: StandInEvent = {
  kind: "view",
  isLeaderHeard: false,
  isElectionExpected: false,
  isBest: true,
  isLast: false,
};
const last: StandInEvent = { ...alone, isLast: true };
const electing: StandInEvent = { ...alone, isElectionExpected: true };
const led: StandInEvent = { ...alone, isLeaderHeard: true };
const outranked: StandInEvent = { ...alone, isBest: false };
const unanswered: StandInEvent = { kind: "probed", isAnswered: false };
const answered: StandInEvent = { kind: "probed", isAnswered: true };

function setUp() {
  const standIn = new StandIn(ELECTION_MAX_MS);
  const step = (event: StandInEvent, now: number): boolean =>
    standIn.step(event, now as MonotonicMs).length > 0;
  return { standIn, step };
}

test("where no leader can be elected the best node asks for the address at once, and stands in when nobody answers", () => {
  const { standIn, step } = setUp();
  expect(step(alone, 1000)).toBe(true);
  expect(standIn.isStandingIn).toBe(false);
  step(unanswered, 1400);
  expect(standIn.isStandingIn).toBe(true);
});

test("where all others have said goodbye since it heard a leader the last one asks nobody, once", () => {
  const { standIn, step } = setUp();
  step(led, 750);
  step(led, 1000);
  expect(step(last, 1250)).toBe(false);
  expect(standIn.isStandingIn).toBe(true);
  step(outranked, 1500);
  expect(step(last, 1750)).toBe(true);
});

test.each<[string, (step: (event: StandInEvent, now: number) => boolean) => void]>([
  ["has just started", () => {}],
  ["has stood still", (step) => step(led, -600)],
  [
    "has slept",
    (step) => {
      step(led, 500);
      step(led, 750);
      step({ kind: "suspended" }, 1000);
    },
  ],
  [
    "has been answered for the address",
    (step) => {
      step(led, 500);
      step(led, 600);
      step({ kind: "contested" }, 700);
    },
  ],
])("the last one asks all the same when it %s: another may have come back", (_, past) => {
  const { standIn, step } = setUp();
  past(step);
  expect(step(last, 1000)).toBe(true);
  expect(standIn.isStandingIn).toBe(false);
});

test("as long as anybody answers it does not stand in, and asks again", () => {
  const { standIn, step } = setUp();
  step(alone, 1000);
  expect(step(answered, 1001)).toBe(false);
  expect(standIn.wakeAt).toBe(1251);
  expect(step({ kind: "wake" }, 1250)).toBe(false);
  expect(step({ kind: "wake" }, 1251)).toBe(true);
  step(answered, 1252);
  expect(standIn.isStandingIn).toBe(false);
});

test("a stand-in that has stood still asks again: another one may have the address", () => {
  const { standIn, step } = setUp();
  step(alone, 1000);
  step(unanswered, 1400);
  step(alone, 1650);
  expect(step(alone, 3151)).toBe(true);
  expect(standIn.isStandingIn).toBe(false);
  step(answered, 3152);
  expect(standIn.isStandingIn).toBe(false);
});

test("an answer that comes after a standstill says nothing of now", () => {
  const { standIn, step } = setUp();
  step(alone, 1000);
  expect(step(unanswered, 6001)).toBe(true);
  expect(standIn.isStandingIn).toBe(false);
  step(unanswered, 6401);
  expect(standIn.isStandingIn).toBe(true);
});

test("where a majority of voters is in reach it waits for three failed elections", () => {
  const { standIn, step } = setUp();
  step(electing, 1000);
  expect(standIn.wakeAt).toBe(1000 + 3 * ELECTION_MAX_MS);
  expect(step(electing, 1000 + 3 * ELECTION_MAX_MS - 1)).toBe(false);
  expect(step(electing, 1000 + 3 * ELECTION_MAX_MS)).toBe(true);
});

test("it gives back at the moment it hears a leader or a better node", () => {
  for (const end of [led, outranked]) {
    const { standIn, step } = setUp();
    step(alone, 1000);
    step(unanswered, 1400);
    step(end, 1500);
    expect(standIn.isStandingIn).toBe(false);
    expect(standIn.wakeAt).toBeUndefined();
  }
});

test("an answer that comes after a leader was heard counts for nothing", () => {
  const { standIn, step } = setUp();
  step(alone, 1000);
  step(led, 1100);
  step(unanswered, 1400);
  expect(standIn.isStandingIn).toBe(false);
});

test("while another node answers for what it holds it steps back and asks again", () => {
  const { standIn, step } = setUp();
  step(alone, 1000);
  step(unanswered, 1400);
  step({ kind: "contested" }, 2000);
  expect(standIn.isStandingIn).toBe(false);
  expect(standIn.wakeAt).toBe(2250);
});

test("after a sleep the wait begins anew", () => {
  const { standIn, step } = setUp();
  step(electing, 0);
  step({ kind: "suspended" }, 20_000);
  expect(step(electing, 20_100)).toBe(false);
  expect(standIn.wakeAt).toBe(20_100 + 3 * ELECTION_MAX_MS);
});

test("whatever happens: it stands in only after an unanswered probe, without a leader, as the best", () => {
  const events = fc.array(
    fc.record({
      passMs: fc.integer({ min: 0, max: 5000 }),
      event: fc.constantFrom<StandInEvent>(
        alone,
        electing,
        led,
        outranked,
        unanswered,
        answered,
        { kind: "wake" },
        { kind: "contested" },
        { kind: "suspended" },
      ),
    }),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(events, (steps) => {
      const { standIn, step } = setUp();
      let now = 0;
      let isProbing = false;
      let view = led;
      for (const { passMs, event } of steps) {
        now += passMs;
        // Only what was asked is answered.
        if (event.kind === "probed" && !isProbing) continue;
        if (event.kind === "probed") isProbing = false;
        if (event.kind === "view") view = event;
        const before = standIn.isStandingIn;
        if (step(event, now)) {
          expect(isProbing).toBe(false);
          isProbing = true;
        }
        if (standIn.isStandingIn && !before) expect(event).toEqual(unanswered);
        if (standIn.isStandingIn)
          expect(view.kind === "view" && !view.isLeaderHeard && view.isBest).toBe(true);
      }
    }),
  );
});

// Who is best, and is an election to be expected

const id = (digit: string) => digit.repeat(16) as NodeId;
const [A, B, C] = ["a", "b", "c"].map(id) as [NodeId, NodeId, NodeId];
const node = (which: NodeId, more: Partial<Candidate> = {}): Candidate => ({
  id: which,
  isWired: undefined,
  isServing: true,
  isAble: true,
  isCutOff: false,
  isOutranked: false,
  ...more,
});
const member = (more: Partial<CoordinatorStatus>): CoordinatorStatus => ({
  ...freshStatus(),
  cluster: "cluster" as CoordinatorStatus["cluster"],
  voters: [A, B, C],
  ...more,
});

test("all agree who is best: wired first, then the lowest id, and only who serves and is able", () => {
  const status = member({});
  const bestOf = (inReach: readonly Candidate[]) =>
    inReach.filter(({ id: one }) => viewOf(one, status, inReach).isBest).map(({ id: one }) => one);
  expect(bestOf([node(C), node(A), node(B)])).toEqual([A]);
  expect(bestOf([node(A), node(B, { isWired: true }), node(C, { isWired: true })])).toEqual([B]);
  expect(bestOf([node(A, { isAble: false }), node(B, { isServing: false }), node(C)])).toEqual([C]);
  // Nobody can set the address: the best of those that serve is found by name.
  expect(
    bestOf([
      node(A, { isServing: false, isAble: false }),
      node(B, { isAble: false }),
      node(C, { isAble: false }),
    ]),
  ).toEqual([B]);
});

test("of two clusters without a leader the one with the better claim stands in, and where both see the other's as better, one does", () => {
  const status = member({});
  const bestOf = (inReach: readonly Candidate[]) =>
    inReach.filter(({ id: one }) => viewOf(one, status, inReach).isBest).map(({ id: one }) => one);
  expect(bestOf([node(A, { isOutranked: true }), node(B)])).toEqual([B]);
  expect(bestOf([node(A, { isOutranked: true, isWired: true }), node(B)])).toEqual([B]);
  expect(bestOf([node(A, { isOutranked: true }), node(B, { isAble: false })])).toEqual([A]);
  expect(bestOf([node(A, { isOutranked: true }), node(B, { isOutranked: true })])).toEqual([A]);
});

test("who belongs to no cluster is never best", () => {
  expect(viewOf(A, freshStatus(), [node(A)]).isBest).toBe(false);
});

test("the survivor of two, a learner, expects no election; a majority of voters in reach does", () => {
  expect(viewOf(B, member({ voters: [A] }), [node(B)]).isElectionExpected).toBe(false);
  expect(viewOf(B, member({}), [node(B), node(C)]).isElectionExpected).toBe(true);
  expect(viewOf(B, member({}), [node(B)]).isElectionExpected).toBe(false);
});

test("where every voter is needed and one is missing no election is expected", () => {
  const electionWait = { since: 0, voters: [] } as unknown as CoordinatorStatus["electionWait"];
  expect(viewOf(B, member({ electionWait }), [node(B), node(C)]).isElectionExpected).toBe(false);
});

test("a leader that cannot set the address is none where another can", () => {
  const status = member({ hasQuorum: true, coordinator: A, role: "voter" });
  expect(viewOf(B, status, [node(A), node(B)]).isLeaderHeard).toBe(true);
  const hasNotTold = viewOf(B, status, [node(A, { isAble: undefined }), node(B)]);
  expect(hasNotTold).toEqual({ isLeaderHeard: true, isElectionExpected: false, isBest: true });
  expect(viewOf(B, status, [node(A, { isAble: false }), node(B)])).toEqual({
    isLeaderHeard: false,
    isElectionExpected: false,
    isBest: true,
  });
  expect(viewOf(B, status, [node(A, { isAble: false }), node(B, { isAble: false })]).isLeaderHeard).toBe(
    true,
  );
});

test("a leader that lets no clients in is none where another node does; what it has not told is not held against it", () => {
  const status = member({ hasQuorum: true, coordinator: A, role: "voter" });
  const closed = node(A, { isServing: false });
  expect(viewOf(B, status, [closed, node(B)])).toEqual({
    isLeaderHeard: false,
    isElectionExpected: false,
    isBest: true,
  });
  expect(viewOf(B, status, [closed, node(B, { isAble: false })]).isLeaderHeard).toBe(false);
  expect(viewOf(B, status, [closed, node(B, { isServing: false })]).isLeaderHeard).toBe(true);
  const hasNotTold = node(A, { isServing: false, isAble: undefined });
  expect(viewOf(B, status, [hasNotTold, node(B)]).isLeaderHeard).toBe(true);
});

test("a leader that has lost its quorum is none, long before its followers' patience ends; where a majority is in reach an election is awaited", () => {
  const status = member({ hasQuorum: true, coordinator: B, role: "learner" });
  const cutOff = node(B, { isCutOff: true });
  expect(viewOf(A, status, [node(A), cutOff])).toEqual({
    isLeaderHeard: false,
    isElectionExpected: true,
    isBest: true,
  });
  const minority = member({ ...status, voters: [B, C, id("d")] });
  expect(viewOf(A, minority, [node(A), cutOff])).toEqual({
    isLeaderHeard: false,
    isElectionExpected: false,
    isBest: true,
  });
  // Another's word about itself says nothing about the leader.
  const other = viewOf(A, minority, [node(A), node(B), node(C, { isCutOff: true })]);
  expect(other.isLeaderHeard).toBe(true);
});
