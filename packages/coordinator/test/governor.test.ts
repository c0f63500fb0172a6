import type { MonotonicMs, NodeId } from "@skein/kernel";
import { expect, test } from "vitest";
import { Governor } from "../src/membership/governor.ts";
import type { Driver } from "../src/replica/driver.ts";

const [leader, learner] = ["a", "b"] as NodeId[];

test("while all is well the governor looks every two seconds; when somebody asks for something, at once", () => {
  const { governor, looks, at } = governed({ learnerHeardAt: 0 });
  for (let ms = 0; ms < 3000; ms += 250) at(ms);
  expect(looks()).toEqual([0, 2000]);
  governor.remove(learner as NodeId);
  at(3000);
  at(3250);
  expect(looks()).toEqual([0, 2000, 3000, 3250]);
});

test("it looks each time while a learner has not caught up, and when the members have changed", () => {
  const behind = governed({ learnerHeardAt: undefined });
  for (let ms = 0; ms < 1000; ms += 250) behind.at(ms);
  expect(behind.looks()).toEqual([0, 250, 500, 750]);
  const changed = governed({ learnerHeardAt: 0 });
  changed.at(0);
  changed.configure();
  changed.at(250);
  expect(changed.looks()).toEqual([0, 250]);
});

/** A governor of a cluster of two, whose driver notes when it is looked at. */
function governed({ learnerHeardAt }: { readonly learnerHeardAt: number | undefined }) {
  const looks: number[] = [];
  const newConfiguration = () => ({ voters: [leader], votersOutgoing: [], learners: [learner] });
  let now = 0 as MonotonicMs;
  let configuration = newConfiguration();
  const follower = { matchIndex: 7, lastHeardAt: learnerHeardAt };
  const driver = {
    isDiskFull: false,
    get appliedConfiguration() {
      return configuration;
    },
    status: () => {
      looks.push(now);
      return { configuration, lastIndex: 7, followers: new Map([[learner, follower]]) };
    },
    step: () => {},
  } as unknown as Driver;
  const governor = new Governor(leader as NodeId, 3000, {
    clock: { monotonicMs: () => now } as never,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    sendJoined: () => {},
    transferredAt: () => undefined,
  });
  return {
    governor,
    looks: () => looks,
    at: (ms: number) => {
      now = ms as MonotonicMs;
      governor.govern(driver, [], now);
    },
    configure: () => {
      configuration = newConfiguration();
    },
  };
}
