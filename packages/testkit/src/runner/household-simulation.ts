/** The load of a household: real-looking clients of all kinds on the mesh. */

import { startHousehold } from "../client/household.ts";
import { between, pick, randomStream } from "../world/random-streams.ts";
import type { Schedule } from "./schedule.ts";
import type { Workload } from "./simulation.ts";

/** The clients for a run of `schedule`. */
export function householdOf(schedule: Schedule): Workload {
  const prng = randomStream(schedule.world.seed, "household");
  const beatMs = pick(prng, [500, 1500, 4000]);
  const hasFloatingAddress = between(prng, 0, 1) === 1;
  return ({ nodes, client }) => startHousehold(client("household"), { nodes, hasFloatingAddress, beatMs });
}
