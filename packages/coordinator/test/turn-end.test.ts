import type { MonotonicMs } from "@skein/kernel";
import { expect, test } from "vitest";
import type { CoordinatorStatus } from "../src/index.ts";
import { freshStatus } from "../src/status.ts";
import { TurnEnd } from "../src/turn-end.ts";
import { VirtualClock } from "./support/virtual-clock.ts";

test("of a quorum's answers only the address hears, every 90 ms; of waiting proposals nobody, of all else the whole node at once; the status has all of it", () => {
  const clock = new VirtualClock();
  let status: CoordinatorStatus = { ...freshStatus(), role: "leader" };
  const told: string[] = [];
  const turnEnd = new TurnEnd({
    clock,
    settleReads: () => undefined,
    computeStatus: () => status,
    statusChanged: (news) => told.push(news === status ? "changed" : "old news"),
    quorumAnswered: (news) => told.push(news === status ? "answered" : "old news"),
  });
  const turn = (change: Partial<CoordinatorStatus>): readonly string[] => {
    status = { ...status, ...change };
    turnEnd.schedule();
    clock.advance(1);
    expect(turnEnd.status).toBe(status);
    return told.splice(0);
  };
  const at = (ms: number) => ({ quorumContactAt: ms as MonotonicMs });
  expect(turn({})).toEqual(["changed"]);
  expect(turn(at(1000))).toEqual(["changed"]);
  expect(turn(at(1089))).toEqual([]);
  expect(turn({ pendingProposals: 7 })).toEqual([]);
  expect(turn(at(1090))).toEqual(["answered"]);
  expect(turn(at(1100))).toEqual([]);
  expect(turn({ term: 3 })).toEqual(["changed"]);
  expect(turn({ quorumContactAt: undefined })).toEqual(["changed"]);
});
