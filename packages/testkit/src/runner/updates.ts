/**
 * How the programs of a mesh are updated, box by box: tried out and taken back, or for good.
 *
 * Source: docs/operating.md, "Updating".
 */

import type { Prng } from "@skein/kernel";
import { chance } from "../world/random-streams.ts";
import type { WorldOptions } from "../world/world.ts";
import { NEVER } from "./scenarios.ts";
import type { Fault } from "./schedule.ts";

/** A program is put in place. */
const UPDATED_WITHIN_MS = 5000;
/** Long enough for the others to go on without it. */
const PUT_OFF_MS = 30_000;

/** What was drawn for it as for any other fault. `count`: how many came before. */
interface Drawn {
  readonly count: number;
  readonly node: number;
  readonly forMs: number;
}

/** No program is taken back: the log goes on in the newest version at last. */
export function isForGood({ sizes }: WorldOptions): boolean {
  return sizes.settleMinutes !== NEVER;
}

export function drawUpdate(prng: Prng, at: number, world: WorldOptions, drawn: Drawn): Fault {
  const { count, node, forMs } = drawn;
  const isOutdated = chance(prng, 500);
  if (isForGood(world)) return updateForGood(world, at, count);
  // One after the other gets the newest one; then it is tried out, and taken back.
  const isRolling = count < world.nodes;
  return {
    at,
    kind: "update",
    node: isRolling ? count : node,
    isOutdated: isOutdated && !isRolling,
    forMs: Math.min(forMs, UPDATED_WITHIN_MS),
  };
}

/**
 * One after the other gets the newest program, a second time in case that it was down. Of the last one the update is put off: it is away for long,
 * and comes back as it was.
 */
function updateForGood({ nodes, outdated }: WorldOptions, at: number, count: number): Fault {
  const node = count % nodes;
  const isPutOff = count === nodes - 1;
  const isOutdated = isPutOff && outdated?.includes(node) === true;
  return { at, kind: "update", node, isOutdated, forMs: isPutOff ? PUT_OFF_MS : UPDATED_WITHIN_MS };
}
