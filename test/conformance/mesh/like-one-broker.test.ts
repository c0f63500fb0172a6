/**
 * To its clients a mesh is one broker: whatever they do, in whatever order, they hear on three nodes what they would hear on one.
 *
 * Random clients take the same steps on a lone broker and on a mesh, and after each step everything comes to rest. What each of
 * them has heard by then must be the same, packet by packet. Each comes back to its node, because the will of one that is taken over on
 * another is not published. SKEIN_CONFORMANCE_RUNS=500 for more.
 */

import fc from "fast-check";
import { expect, test } from "vitest";
import { LoneNode } from "../support/lone-node.ts";
import { MeshNodes, SETTLE_MS } from "../support/mesh-nodes.ts";
import { World } from "../support/world.ts";
import { Crowd } from "./crowd.ts";
import { steps } from "./random-steps.ts";

const { SKEIN_CONFORMANCE_RUNS = "40" } = process.env;
const RUNS = Number(SKEIN_CONFORMANCE_RUNS);
/** Ten times what one takes. */
const RUN_MS_MAX = 2_000;

/** A lone broker on which each answer takes the time that it takes in the mesh. */
class UnhurriedNode extends LoneNode {
  override settle(): void {
    super.settle();
    this.pass(SETTLE_MS);
  }
}

test(
  "whatever five clients do, on three nodes they hear what they would hear on one",
  () => {
    const property = fc.property(steps, (taken) => {
      const alone = new Crowd(new World({}, new UnhurriedNode({})));
      const spread = new Crowd(new World({}, new MeshNodes(3, {}), "home"));
      for (const [number, [at, step]] of taken.entries()) {
        const expected = alone.take(at, step);
        const what = `step ${number}, by c${at}: ${JSON.stringify(step)}`;
        expect(spread.take(at, step), what).toEqual(expected);
      }
    });
    fc.assert(property, { numRuns: RUNS });
  },
  RUNS * RUN_MS_MAX,
);
