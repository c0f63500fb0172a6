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
