import { expect, test } from "vitest";
import { World } from "./support/world.ts";

const SEEDS = [1, 2, 3, 4, 5, 6];

test.each([
  [1, 1],
  [2, 1],
  [3, 3],
  [5, 3],
  [7, 5],
])("%i fresh nodes switched on together form exactly one cluster with %i voters", (count, voters) => {
  for (const seed of SEEDS) {
    const world = new World(seed);
    world.add(count);
    world.startAll();
    world.until(() => world.isFormed(voters), 12_000, `seed ${seed}: ${count} nodes`);
    expect(world.clusters().size).toBe(1);
    world.run(5000);
    expect(world.isFormed(voters)).toBe(true);
  }
});

test("nodes switched on one after another join the first one, and voters grow 1, 1, 3, 3 without ever being 2", () => {
  const world = new World(31);
  const nodes = world.add(4);
  for (const [i, node] of nodes.entries()) {
    world.start(node);
    world.until(() => world.isFormed(i < 2 ? 1 : 3), 12_000, `${i + 1} nodes`);
  }
  expect(world.clusters().size).toBe(1);
  for (const node of nodes) for (const status of node.statuses) expect(status.voters.length).not.toBe(2);
});

test.each(SEEDS)("fresh nodes started within 6 s of each other still form one cluster (seed %i)", (seed) => {
  const world = new World(100 + seed);
  for (const node of world.add(5)) {
    world.run(world.prng.below(1500));
    world.start(node);
  }
  world.until(() => world.isFormed(3), 20_000);
  expect(world.clusters().size).toBe(1);
});

test("a founder that dies while founding leaves a fresh node: the others form a mesh and it joins them", () => {
  for (let cutAt = 3000; cutAt <= 5400; cutAt += 150) {
    const world = new World(7);
    const nodes = world.add(3);
    world.startAll();
    world.run(cutAt);
    const lowest = nodes.toSorted((a, b) => (a.id < b.id ? -1 : 1))[0];
    if (lowest === undefined) throw new Error("there are three nodes");
    world.kill(lowest);
    world.run(400);
    world.start(lowest);
    world.until(() => world.isFormed(3), 40_000, `death at ${cutAt} ms`);
    expect(world.clusters().size).toBe(1);
  }
});

test("a node with data never founds: alone after a restart it waits for its voters", () => {
  const world = new World(51);
  const [, , third] = world.add(3);
  world.startAll();
  world.until(() => world.isFormed(3), 12_000);
  const before = world.clusters();
  for (const node of world.nodes) world.kill(node);
  if (third === undefined) throw new Error("there are three nodes");
  world.start(third);
  world.run(60_000);
  expect(third.status.hasQuorum).toBe(false);
  expect(world.clusters()).toEqual(before);
  world.startAll(world.nodes.filter((node) => node !== third));
  world.until(() => world.isFormed(3), 12_000, "the others come back");
  expect(world.clusters()).toEqual(before);
});

test("fail-over: another node leads within 6 s of the leader's death, in a higher term", () => {
  for (const seed of SEEDS) {
    const world = new World(200 + seed);
    world.add(3);
    world.startAll();
    world.until(() => world.isFormed(3), 12_000);
    // The change to three voters is in force when it is appended, and over when it has been left: till then one decides.
    world.run(1000);
    const old = world.leader;
    if (old === undefined) throw new Error("a formed mesh has a leader");
    const { term } = old.status;
    world.kill(old);
    world.until(() => world.leader !== undefined && world.leader.status.quorumContactAt !== undefined, 6000);
    expect(world.leader?.status.term).toBeGreaterThan(term);
  }
});
