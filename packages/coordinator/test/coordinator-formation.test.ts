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
