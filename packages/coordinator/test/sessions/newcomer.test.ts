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
  // Its replica may have come some milliseconds after that.
  for (let ms = 0; ms < 10_000 && !newcomer.running.sessions.wants("t"); ms++) world.run(1);
  expect(newcomer.running.sessions.wants("t"), "it hears the leader").toBe(true);
  world.run(1000);
  expect(wants()).toEqual([false, false, false, false]);
});
