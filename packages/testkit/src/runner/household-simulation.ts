/**
 * The whole of it: a household of real-looking clients on the mesh, and every checker watching.
 *
 * This is what CI runs, and what planted bugs must not survive. Checkers keep state, so each run gets its own parts.
 */

import { allCheckers } from "../checkers/all-checkers.ts";
import { startHousehold } from "../client/household.ts";
import { between, pick, randomStream } from "../world/random-streams.ts";
import type { Schedule } from "./schedule.ts";
import type { SimulationParts } from "./simulation.ts";

/** Bytes that all connections of one node may hold for their readers together: 8 peers and some dozens of clients. */
const STREAM_BYTES_MAX = 64 * 1024 * 1024;
const MEMORY_CAP_BYTES: ReadonlyMap<string, number> = new Map([["streams", STREAM_BYTES_MAX]]);

/** Checkers alone: the load is the runner's own retained writes. */
export function writesParts(): SimulationParts {
  return { checkers: allCheckers({ memoryCapBytes: MEMORY_CAP_BYTES }) };
}

/** Checkers and clients for one run of `schedule`. */
export function householdParts(schedule: Schedule): SimulationParts {
  const prng = randomStream(schedule.world.seed, "household");
  const beatMs = pick(prng, [500, 1500, 4000]);
  const hasFloatingAddress = between(prng, 0, 1) === 1;
  return {
    checkers: allCheckers({ memoryCapBytes: MEMORY_CAP_BYTES }),
    workload: ({ nodes, client }) =>
      startHousehold(client("household"), { nodes, hasFloatingAddress, beatMs }),
  };
}
