import type { MonotonicMs } from "@skein/kernel";
import { expect, test } from "vitest";
import type { CoordinatorStatus } from "../src/index.ts";
import { freshStatus } from "../src/status.ts";
import { TurnEnd } from "../src/turn-end.ts";
import { VirtualClock } from "./support/virtual-clock.ts";

test("the node hears of a quorum's answers every 90 ms, of waiting proposals never, of all else at once; the status has all of it", () => {
  const clock = new VirtualClock();
  let status: CoordinatorStatus = { ...freshStatus(), role: "leader" };
  const told: CoordinatorStatus[] = [];
  const turnEnd = new TurnEnd({
    clock,
    settleReads: () => undefined,
    computeStatus: () => status,
    statusChanged: (news) => told.push(news),
  });
  const turn = (change: Partial<CoordinatorStatus>): number => {
    status = { ...status, ...change };
    turnEnd.schedule();
    clock.advance(1);
    expect(turnEnd.status).toBe(status);
    return told.splice(0).length;
  };
  const at = (ms: number) => ({ quorumContactAt: ms as MonotonicMs });
  expect(turn({})).toBe(1);
  expect(turn(at(1000))).toBe(1);
  expect(turn(at(1089))).toBe(0);
  expect(turn({ pendingProposals: 7 })).toBe(0);
  expect(turn(at(1090))).toBe(1);
  expect(turn(at(1100))).toBe(0);
  expect(turn({ term: 3 })).toBe(1);
  expect(turn({ quorumContactAt: undefined })).toBe(1);
});
