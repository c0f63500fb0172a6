/** The load of a household: real-looking clients of all kinds on the mesh. */

import { startHousehold, startTalkers } from "../client/household.ts";
import { PACKET_ID_HABITS, type PacketIdHabit } from "../client/packet-ids.ts";
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
  // From a sequence of its own for each client: what else is drawn stays as it was.
  const habitOf = (clientId: string): PacketIdHabit =>
    pick(randomStream(schedule.world.seed, `packet ids ${clientId}`), PACKET_ID_HABITS);
  const isHunted = schedule.faults.some(({ kind }) => kind === "takeover");
  return ({ nodes, client }) => {
    const household =
      schedule.hasOnlyTalkers === true
        ? startTalkers(client("talkers"), { nodes, hasFloatingAddress, beatMs: TALKING_BEAT_MS, habitOf })
        : startHousehold(client("household"), { nodes, hasFloatingAddress, beatMs, habitOf });
    const hasOrphans = schedule.world.limits?.queuedMessagesMax !== undefined;
    const { hasSharers = false } = schedule;
    const options = { nodes, beatMs: ROAMING_BEAT_MS, hasOrphans, hasSharers, habitOf };
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
