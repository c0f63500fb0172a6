import { expect, test } from "vitest";
import { DamageBudget } from "../../src/runner/damage-budget.ts";
import type { SimNode } from "../../src/world/sim-node.ts";
import type { World } from "../../src/world/world.ts";

const CLUSTER = ["a", "b", "c"];

/** Three nodes of one cluster, and one that is a cluster of its own. */
function fourNodes(isLoneOneUp: boolean) {
  const node = (id: string, voters: readonly string[], isUp: boolean) => {
    const lastStatus = { cluster: voters.join(), voters, isSuspect: false };
    return { id, starts: 1, status: isUp ? lastStatus : undefined, lastStatus } as unknown as SimNode;
  };
  const nodes = [...CLUSTER.map((id) => node(id, CLUSTER, true)), node("d", ["d"], isLoneOneUp)];
  const world: unknown = { nodes, options: { durability: "replicated" }, events: { now: 0 }, observe() {} };
  return { nodes, budget: new DamageBudget(world as World) };
}

test.each([true, false])(
  "nobody's power may be cut beside a cluster of one voter, which runs: %s",
  (isUp) => {
    const { nodes, budget } = fourNodes(isUp);
    expect(nodes.map((node) => budget.takePower(node))).toEqual([false, false, false, false]);
  },
);

test("one of three voters may lose its power, and the next one when it has caught up", () => {
  const { nodes, budget } = fourNodes(true);
  const [a, b] = nodes.splice(0, 4, ...nodes.slice(0, 3)) as [SimNode, SimNode];
  expect(budget.takePower(a)).toBe(true);
  expect(budget.takePower(b)).toBe(false);
  Object.assign(a, { starts: 2 });
  expect(budget.takePower(b)).toBe(true);
});

test("a sync that is to fail after the next start is not made good by that one, but by the one behind it", () => {
  const { nodes, budget } = fourNodes(true);
  const [a, b] = nodes.splice(0, 4, ...nodes.slice(0, 3)) as [SimNode, SimNode];
  expect(budget.takeSync(a)).toBe(true);
  Object.assign(a, { starts: 2 });
  expect(budget.takePower(b)).toBe(false);
  Object.assign(a, { starts: 3 });
  expect(budget.takePower(b)).toBe(true);
});
