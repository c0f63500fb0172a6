/**
 * P1 where it is hardest: twenty nodes are cut into three parts, and each part has the floating address again within five seconds.
 *
 * At most one part keeps a quorum, and if so just one: every voter there must vote for the same candidate. The others go on without.
 */

import { generateSchedule, World } from "@skein/testkit";
import { expect, test } from "vitest";

const NODES = 20;
const PARTS = [0, 1, 2];
const SETTLED_MS = 60_000;
const CUT_MS = 15_000;
const LOOK_EVERY_MS = 20;
/** P1. */
const GAP_MAX_MS = 5000;

function partOf(index: number): number {
  return Math.floor((index * PARTS.length) / NODES);
}

/** The longest time without the address in each part, ms. */
function cutIntoThree(seed: number): readonly number[] {
  const { world: options } = generateSchedule({ seed, minutes: 1 });
  const world = new World({ ...options, nodes: NODES, clients: 0, hasStaticPeers: true, timing: "lan" }, []);
  const pass = (ms: number): void => world.events.runUntil(world.events.now + ms);
  for (const node of world.nodes) node.start();
  pass(SETTLED_MS + world.prng.below(4000));
  for (const { index: a } of world.nodes)
    for (const { index: b } of world.nodes) if (partOf(a) !== partOf(b)) world.network.block(a, b, true);
  const heldAt = PARTS.map(() => world.events.now);
  const gaps = PARTS.map(() => 0);
  for (let passed = 0; passed < CUT_MS; passed += LOOK_EVERY_MS) {
    pass(LOOK_EVERY_MS);
    for (const { index } of world.nodes)
      if (world.floating.isOn(index)) heldAt[partOf(index)] = world.events.now;
    for (const part of PARTS) gaps[part] = Math.max(gaps[part] ?? 0, world.events.now - (heldAt[part] ?? 0));
  }
  return gaps;
}

// In 18 the votes of the part with a quorum are split between two candidates.
test.each([4, 18, 20, 25])("P1: cut into three, seed %i: every part has the address within 5 s", (seed) => {
  for (const gap of cutIntoThree(seed)) expect(gap).toBeLessThan(GAP_MAX_MS);
});
