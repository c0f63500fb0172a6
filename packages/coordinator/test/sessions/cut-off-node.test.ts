/** What a node without a quorum knows of the wishes of kept sessions: guarantees.md, "Without a quorum". */

import { expect, test } from "vitest";
import { comesTo } from "../support/kept-client.ts";
import { completion, type SimNode, World } from "../support/world.ts";
import { wish } from "./session-world.ts";

/** A client whose session is kept subscribes to `filter`. */
function subscribe(node: SimNode, filter: string): void {
  comesTo(node, `for ${filter}`).claim.subscribe([wish(filter)], completion());
}

test("a node that is cut off knows what was subscribed before, and what nodes in reach are told since, but not what the majority is", () => {
  const world = new World(5);
  world.add(5);
  world.startAll();
  world.until(() => world.isFormed(3) && world.leader !== undefined, 60_000, "formed");
  world.run(2000);
  const { leader } = world;
  const cutOff = world.nodes.filter(({ id, status }) => !status.voters.includes(id));
  const [here, there] = cutOff;
  if (leader === undefined || here === undefined || there === undefined) throw new Error("no nodes");
  subscribe(leader, "before");
  world.run(2000);
  world.isolate(cutOff, true);
  world.run(15_000);
  subscribe(leader, "with the majority");
  subscribe(there, "in reach");
  world.run(2000);
  const { sessions } = here.running;
  expect([here.status.hasQuorum, sessions.wants("before"), sessions.wants("in reach")]).toEqual([
    false,
    true,
    true,
  ]);
  expect(sessions.wants("with the majority")).toBe(false);
  world.isolate(cutOff, false);
  world.until(() => sessions.wants("with the majority"), 20_000, "it hears of it");
});
