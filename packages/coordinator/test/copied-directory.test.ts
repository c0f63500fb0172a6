/** A copy of a data directory was in use while the original was off, and is off now: what becomes of the original, and of what the copy acknowledged in its name. */

import type { Incarnation } from "@skein/kernel";
import { expect, test } from "vitest";
import { completion, replicated, retained, type SimNode, World } from "./support/world.ts";

function formed(count: number, voters: number, seed: number): World {
  const world = new World(seed);
  world.add(count);
  world.startAll();
  world.until(() => world.isFormed(voters), 30_000, "formed");
  return world;
}

function write(world: World, node: SimNode, topic: string, value: string): void {
  const done = completion();
  node.running.retained.put(retained(topic, value), done);
  world.until(() => done.codes.length === 1, 5000, `${topic} acknowledged`);
  expect(done.codes).toEqual([0]);
}

/** The original goes off, and its copy is started `starts` times. Returns the original's disk. */
function standIn(world: World, node: SimNode, starts: number, voters: number): SimNode["disk"] {
  world.kill(node);
  const original = node.disk;
  node.disk = original.clone();
  world.start(node);
  for (let left = starts - 1; left > 0; left--) world.restart(node);
  world.until(() => world.isFormed(voters) && world.isConverged(), 30_000, "the copy takes part");
  return original;
}

const followerOf = (world: World): SimNode => world.nodes.find((node) => node !== world.leader) as SimNode;

test("R29: an original that learns of its copy neither votes nor counts without those that have what the copy acknowledged", () => {
  const world = formed(3, 3, 61);
  const node = followerOf(world);
  const disk = standIn(world, node, 3, 3);
  const away = world.nodes.find((one) => one !== node && one !== world.leader) as SimNode;
  const leader = world.leader as SimNode;
  world.kill(away);
  world.run(8000);
  // A majority: the leader and the copy.
  write(world, leader, "t", "acknowledged with the copy");
  world.kill(node);
  world.kill(leader);
  world.run(8000);

  node.disk = disk;
  for (const one of [node, away]) one.statuses.length = 0;
  world.start(node);
  node.running.ending.outrun(4 as Incarnation, "a test");
  world.until(() => node.rebirths.length === 1, 2000, "started again");
  world.start(away);
  world.run(20_000);
  for (const one of [node, away]) expect(one.statuses.map(({ role }) => role)).not.toContain("leader");
  expect(node.status).toMatchObject({ isSuspect: true, hasQuorum: false });

  world.start(leader);
  world.until(() => world.isFormed(3) && world.isConverged(), 30_000, "whole again");
  world.until(() => !node.status.isSuspect, 10_000, "trusted again");
  for (const one of world.nodes) expect(replicated(one, "t")).toBe("acknowledged with the copy");
});

test("R29: an only voter that learns of its copy gets from its learner what the copy acknowledged before it leads", () => {
  const world = formed(2, 1, 62);
  const node = world.leader as SimNode;
  const learner = followerOf(world);
  const disk = standIn(world, node, 3, 1);
  for (let at = 0; at < 20; at++) write(world, node, `t/${at}`, "by the copy");
  world.until(() => world.isConverged(), 5000, "the learner has it");
  world.kill(node);
  world.run(8000);

  node.disk = disk;
  // Nobody is there whom it could lead.
  world.isolate([node], true);
  world.start(node);
  node.running.ending.outrun(4 as Incarnation, "a test");
  world.until(() => node.rebirths.length === 1, 2000, "started again");
  world.isolate([node], false);
  world.until(() => world.isFormed(1) && world.isConverged(), 30_000, "one mesh");
  for (let at = 0; at < 20; at++) expect(replicated(node, `t/${at}`)).toBe("by the copy");
  write(world, learner, "after", "x");
});

test("R29: where all others have forgotten how often the copy was started the log knows: one more start is enough", () => {
  const world = formed(3, 3, 63);
  const node = followerOf(world);
  const disk = standIn(world, node, 9, 3);
  write(world, node, "t", "by the copy");
  world.kill(node);
  world.run(8000);
  node.disk = disk;
  world.start(node);
  node.running.retained.put(retained("t", "by nobody"), completion());
  world.until(() => node.rebirths.length === 1, 10_000, "started again");
  expect(node.fatal).toBeUndefined();
  write(world, node, "t", "by the original");
  world.until(() => world.isFormed(3) && world.isConverged(), 30_000, "whole again");
  expect(node.rebirths).toHaveLength(1);
  for (const one of world.nodes) expect(replicated(one, "t")).toBe("by the original");
});
