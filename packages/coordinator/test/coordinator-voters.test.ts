/** Whole coordinators: dead voters are replaced, good nodes vote and lead. */

import type { NodeId } from "@skein/kernel";
import { decodeRaftMessage } from "raft-js";
import { expect, test, vi } from "vitest";
import { decodeFrame } from "../src/frames.ts";
import { type SimNode, World } from "./support/world.ts";

// Minutes and hours of a mesh are a second or two here, more on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

function formed(count: number, voters: number, seed: number): World {
  const world = new World(seed);
  world.add(count);
  world.startAll();
  world.until(() => world.isFormed(voters), 15_000, "formed");
  return world;
}

const voterOf = (world: World): SimNode =>
  world.nodes.find((node) => node !== world.leader && node.status.role === "voter") as SimNode;

/** Every set of voters that anybody saw, the joint ones as their union. */
const sizesSeen = (world: World): Set<number> =>
  new Set(world.nodes.flatMap((node) => node.statuses.map(({ voters }) => voters.length)));

test.each([1, 2, 3])(
  "a dead voter is replaced after 30 s, in one joint change; it returns as a learner (seed %i)",
  (seed) => {
    const world = formed(4, 3, seed);
    const victim = voterOf(world);
    const { id } = victim;
    world.run(15_000);
    world.kill(victim);
    world.run(28_000);
    expect(world.leader?.status.voters).toContain(id);
    world.until(() => world.leader?.status.voters.includes(id) === false, 12_000, "replaced");
    expect(world.leader?.status.voters).toHaveLength(3);
    world.until(() => world.leader?.status.learners.includes(id) === true, 1000, "remembered as a learner");
    world.start(victim);
    world.until(() => world.isFormed(3), 10_000, "back");
    world.run(60_000);
    expect(victim.id).toBe(id);
    expect(victim.status.role).toBe("learner");
    // From 1 to 3 in one step; while one of 3 is replaced both sets count, that is 4 nodes.
    expect([...sizesSeen(world)].filter((size) => ![0, 1, 3, 4].includes(size))).toEqual([]);
  },
);

test("a minority never replaces anybody: cut off with a learner that has kept up, the old leader keeps the voters it knows", () => {
  const world = formed(5, 3, 4);
  world.run(15_000);
  const old = world.leader as SimNode;
  const learner = world.nodes.find((node) => node.status.role === "learner") as SimNode;
  const before = old.status.voters;
  world.isolate([old, learner], true);
  world.run(120_000);
  expect(old.status.hasQuorum).toBe(false);
  expect(old.status.voters).toEqual(before);
  // The majority had a learner of its own for the lost one.
  expect(world.leader?.status.voters).not.toContain(old.id);
  world.isolate([old, learner], false);
  world.until(() => world.isFormed(3) && old.status.role === "learner", 10_000, "healed");
});

test("three voters of which one dies for good stay three: a death takes no voter away", () => {
  const world = formed(3, 3, 5);
  world.kill(voterOf(world));
  world.run(10 * 60_000);
  expect(world.leader?.status.voters).toHaveLength(3);
});

test("two nodes on one machine are not both voters while another machine could be", () => {
  const world = new World(7);
  const nodes = world.add(4);
  for (const [at, node] of nodes.entries())
    node.qualities = { ...node.qualities, machine: at < 2 ? "00000000000000aa" : `00000000000000b${at}` };
  world.startAll(nodes.slice(0, 3));
  world.until(() => world.isFormed(3), 15_000, "three on two machines");
  world.start(nodes[3] as SimNode);
  const twins = nodes.slice(0, 2);
  const twinVoters = (): number => twins.filter(({ id }) => world.leader?.status.voters.includes(id)).length;
  world.until(() => twinVoters() === 1 && world.isFormed(3), 30_000, "spread");
  const { voters } = world.leader?.status ?? {};
  world.run(60_000);
  expect(world.leader?.status.voters).toEqual(voters);
});

test("the leader on Wi-Fi hands over to the wired voter after ten minutes, once, and a wired learner takes a Wi-Fi voter's place", () => {
  const world = new World(8);
  const nodes = world.add(4);
  for (const node of nodes) node.qualities = { ...node.qualities, isWired: false };
  world.startAll();
  world.until(() => world.isFormed(3), 15_000, "formed");
  let handOvers = 0;
  world.watch = (bytes) => {
    const frame = decodeFrame(bytes);
    if (frame?.kind === "raft" && decodeRaftMessage(frame.message).kind === "timeoutNow") handOvers++;
  };
  const wired = voterOf(world);
  const learner = world.nodes.find((node) => node.status.role === "learner") as SimNode;
  for (const node of [wired, learner]) node.qualities = { ...node.qualities, isWired: true };
  world.run(9 * 60_000);
  expect([world.leader === wired, learner.status.role]).toEqual([false, "learner"]);
  world.until(() => world.leader === wired, 3 * 60_000, "wired leader");
  world.until(() => learner.status.role === "voter", 15 * 60_000, "wired voter");
  expect(handOvers).toBe(1);
  // Now the other one is better: within an hour nothing moves, then it leads.
  wired.qualities = { ...wired.qualities, isWired: false };
  world.run(30 * 60_000);
  expect(world.leader).toBe(wired);
  world.until(() => world.leader === learner, 40 * 60_000, "the other wired one");
});

test("the facts about a disk come from its own flushes", () => {
  const world = formed(1, 1, 9);
  const [node] = world.nodes as [SimNode];
  for (let i = 0; i < 60; i++) {
    const payload = Uint8Array.of(i);
    node.running.retained.put({ topic: "t", payload, qos: 1, retain: true, properties: undefined });
    world.run(1000);
  }
  expect(node.running.replicaHealth.flushP99Ms).toBeGreaterThanOrEqual(1);
  expect(node.running.replicaHealth.flushP99Ms).toBeLessThanOrEqual(8);
  expect(node.id as NodeId).not.toBe("");
});
