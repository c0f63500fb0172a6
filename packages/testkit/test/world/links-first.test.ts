/** A node of a cluster lets clients in when it knows what those of the others want. */

import { expect, test } from "vitest";
import { generateSchedule, World } from "../../src/index.ts";

test("P5: a sole voter that starts again is linked to its learner when it lets clients in, and waits a second for one that is gone", () => {
  const { world: options } = generateSchedule({ seed: 1, nodes: 2, minutes: 1 });
  const world = new World({ ...options, nodes: 2, clients: 0, sizes: {} }, []);
  const until = (condition: () => boolean, withinMs: number, what: string): number => {
    const from = world.events.now;
    while (!condition() && world.events.now < from + withinMs) world.events.runUntil(world.events.now + 1);
    expect(condition(), what).toBe(true);
    return world.events.now - from;
  };
  for (const node of world.nodes) node.start();
  until(() => world.nodes.every(({ status }) => status?.hasQuorum), 30_000, "formed");
  const voter = world.nodes.find(({ status }) => status?.role === "leader");
  const learner = world.nodes.find((node) => node !== voter);
  if (voter === undefined || learner === undefined) throw new Error("there are two nodes");
  const serves = (): boolean => voter.assembly?.isServing === true;
  const isLinked = (): boolean =>
    voter.assembly?.mesh.members.some(({ id, isLinked }) => id === learner.id && isLinked) === true;
  voter.kill("crash");
  // By then the learner has taken it for dead, and looks for it now and then only.
  world.events.runUntil(world.events.now + 14_000);
  voter.start();
  until(serves, 5000, "serves");
  expect(isLinked()).toBe(true);
  voter.kill("crash");
  learner.kill("crash");
  world.events.runUntil(world.events.now + 14_000);
  voter.start();
  expect(until(serves, 5000, "serves alone")).toBeLessThan(2000);
});
