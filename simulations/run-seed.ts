/** One seed, run twice: the second run must give the same history to the last event, or nothing here can be replayed. */

import {
  generateSchedule,
  householdOf,
  type Schedule,
  type ScheduleWishes,
  simulate,
  type Verdict,
} from "@skein/testkit";

/** What puts load on the mesh: retained writes at the nodes, or a household of MQTT clients as well, with every checker. */
export type Load = "writes" | "household";

/** Carries out a schedule. */
export function run(schedule: Schedule, load: Load): Verdict {
  return simulate(schedule, load === "writes" ? undefined : householdOf(schedule));
}

/** @param isTwice false: trusts that the run could be repeated */
export function runSeed(wishes: ScheduleWishes, load: Load, isTwice: boolean): Verdict {
  const schedule = generateSchedule(wishes);
  const first = run(schedule, load);
  if (!isTwice) return first;
  const second = run(schedule, load);
  if (second.hash === first.hash && second.events === first.events) return first;
  return {
    ...first,
    failure: {
      what: "determinism",
      message: `two runs differ: ${first.hash} after ${first.events} events, ${second.hash} after ${second.events}`,
      at: first.simulatedMs,
      logs: first.failure?.logs ?? [],
      states: first.failure?.states ?? [],
    },
  };
}
