/** In the simulator a node that becomes another one is started again by its supervisor, as the program does it in place. */

import { expect, test } from "vitest";
import { generateSchedule, World } from "../../src/index.ts";

test("a node that starts anew is back under another id, with its clients' port open, and in the same cluster", () => {
  const { world: options } = generateSchedule({ seed: 1, nodes: 3, minutes: 1 });
  const world = new World({ ...options, nodes: 3, clients: 0 }, []);
  const until = (condition: () => boolean, withinMs: number, what: string): void => {
    const deadline = world.events.now + withinMs;
    while (!condition() && world.events.now < deadline) world.events.runUntil(world.events.now + 100);
    expect(condition(), what).toBe(true);
  };
  for (const node of world.nodes) node.start();
  until(() => world.nodes.every(({ status }) => status?.hasQuorum), 30_000, "formed");
  const node = world.nodes.find(({ status }) => status?.role !== "leader");
  if (node === undefined) throw new Error("there are three nodes");
  const { id, starts } = node;
  const { cluster } = node.status ?? {};
  node.process?.turn(() => node.assembly?.coordinator.ending.startAnew("a test"));
  until(() => node.starts === starts + 1, 5000, "started again");
  until(() => node.assembly?.isServing === true, 30_000, "serves");
  expect(node.id).not.toBe(id);
  expect(node.status?.cluster).toBe(cluster);
});
