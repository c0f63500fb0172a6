/** A node that has joined serves clients before it has heard what others have subscribed to. */

import { expect, test } from "vitest";
import { World } from "../support/world.ts";

test("what a newcomer's clients publish goes into the log until its replica has come, whoever may want it", () => {
  const world = new World(3);
  world.add(3);
  world.startAll();
  world.until(() => world.isFormed(3) && world.leader !== undefined, 60_000, "formed");
  const wants = (): boolean[] => world.nodes.map(({ running }) => running.sessions.wants("t"));
  world.run(1000);
  expect(wants()).toEqual([false, false, false]);
  const [newcomer] = world.add(1);
  if (newcomer === undefined) throw new Error("no newcomer");
  world.start(newcomer);
  expect(newcomer.running.sessions.wants("t")).toBe(false);
  world.until(() => newcomer.running.sessions.wants("t"), 10_000, "it hears the leader");
  world.run(1000);
  expect(wants()).toEqual([false, false, false, false]);
});
