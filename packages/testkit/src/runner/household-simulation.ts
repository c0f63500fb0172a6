/** The load of a household: real-looking clients of all kinds on the mesh. */

import { startHousehold, startTalkers } from "../client/household.ts";
import { Roamers } from "../client/roamers.ts";
import { between, pick, randomStream } from "../world/random-streams.ts";
import type { Schedule } from "./schedule.ts";
import type { Workload } from "./simulation.ts";

const ROAMING_BEAT_MS = 1200;
const TALKING_BEAT_MS = 200;

/** The clients for a run of `schedule`; those with sessions that outlive everything, too, where it chases them. */
export function householdOf(schedule: Schedule): Workload {
  const prng = randomStream(schedule.world.seed, "household");
  const beatMs = pick(prng, [500, 1500, 4000]);
  const hasFloatingAddress = between(prng, 0, 1) === 1;
  const isHunted = schedule.faults.some(({ kind }) => kind === "takeover");
  return ({ nodes, client }) => {
    const household =
      schedule.hasOnlyTalkers === true
        ? startTalkers(client("talkers"), { nodes, hasFloatingAddress, beatMs: TALKING_BEAT_MS })
        : startHousehold(client("household"), { nodes, hasFloatingAddress, beatMs });
    const hasOrphans = schedule.world.limits?.queuedMessagesMax !== undefined;
    const { hasSharers = false } = schedule;
    const options = { nodes, beatMs: ROAMING_BEAT_MS, hasOrphans, hasSharers };
    const roamers = isHunted ? new Roamers(client("roamers"), options) : undefined;
    return {
      rest: () => {
        household.rest();
        roamers?.rest();
      },
      get isSettled() {
        return roamers?.isSettled !== false;
      },
      chase: (number, flight) => roamers?.chase(number, flight),
    };
  };
}
