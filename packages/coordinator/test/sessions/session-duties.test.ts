/** What a leader says in the log for sessions. */

import type { MonotonicMs } from "@skein/kernel";
import { expect, test } from "vitest";
import { STAMPS_PER_MS } from "../../src/hybrid-clock.ts";
import { SessionDuties } from "../../src/sessions/session-duties.ts";
import type { ClusterCommand } from "../../src/state-machine/cluster-commands.ts";
import { A, B, SessionWorld, will } from "./session-world.ts";

test("a leader says which nodes are gone and that time has passed, but not in a dissolved cluster, which stands still", () => {
  const world = new SessionWorld();
  world.open(A, "on a node that is gone");
  world.close(B, "late", world.open(B, "late", { will: will("w", "late", 60) }));
  const proposed: ClusterCommand[] = [];
  const duties = new SessionDuties(world.machine, {
    node: B,
    peers: () => [],
    time: () => (world.nowMs + 120_000) * STAMPS_PER_MS,
    propose: (command) => void proposed.push(command),
  });
  const pass = (from: number): readonly string[] => {
    proposed.length = 0;
    for (let now = from; now < from + 8000; now += 500) duties.tick(now as MonotonicMs);
    return [...new Set(proposed.map(({ kind }) => kind))].sort();
  };
  const cut = world.dissolve(1000);
  expect(pass(0)).toEqual([]);
  world.decide({ kind: "resume", cut });
  expect(pass(10_000)).toEqual(["nodeDown", "tick"]);
});

test("what is proposed is proposed again after two seconds, and what falls due behind it as soon as it has come through", () => {
  const world = new SessionWorld();
  world.close(A, "c", world.open(A, "c", { will: will("w", "c", 60) }));
  const proposed: string[] = [];
  let waitedMs = 61_000;
  const duties = new SessionDuties(world.machine, {
    node: B,
    peers: () => [],
    time: () => (world.nowMs + waitedMs) * STAMPS_PER_MS,
    propose: ({ kind }) => void proposed.push(kind),
  });
  const tick = (now: number): number => {
    duties.tick(now as MonotonicMs);
    return proposed.length;
  };
  expect([tick(0), tick(500), tick(1500), tick(2000), tick(2500)]).toEqual([1, 1, 1, 2, 2]);
  duties.carriedOut();
  waitedMs += 500;
  expect([tick(2600), tick(2700)]).toEqual([3, 3]);
});
