import { expect, test } from "vitest";
import type { Observation } from "../../src/observations.ts";
import { Disturbances } from "../../src/world/disturbances.ts";
import type { SimNode } from "../../src/world/sim-node.ts";
import type { World } from "../../src/world/world.ts";

test("a node that gets its id, or another one, in the middle of a disturbance is told as disturbed, and calmed with the rest", () => {
  const told: string[] = [];
  const observe = (observation: Observation): void => {
    if (observation.kind === "disturbed" || observation.kind === "calmed")
      told.push(`${observation.kind} ${observation.nodes.join()}`);
  };
  const disturbances = new Disturbances({ events: { now: 0 }, observe } as unknown as World);
  const [a, b, other] = [{ id: "a" }, { id: "" }, { id: "c" }] as [SimNode, SimNode, SimNode];
  const calm = disturbances.begin([a, b]);
  Object.assign(b, { id: "b" });
  for (const node of [b, b, a, other]) disturbances.started(node);
  Object.assign(a, { id: "a2" });
  disturbances.started(a);
  calm();
  calm();
  disturbances.started({ ...b, id: "b2" } as SimNode);
  expect(told).toEqual(["disturbed a", "disturbed b", "disturbed a2", "calmed a,b,a2"]);
});
