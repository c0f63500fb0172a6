/** One seed, run twice: the second run must give the same history to the last event, or nothing here can be replayed. */

import {
  generateSchedule,
  householdParts,
  type Schedule,
  type ScheduleWishes,
  simulate,
  type Verdict,
} from "@skein/testkit";

/** Carries out a schedule with the clients and checkers of every simulation. */
export function run(schedule: Schedule): Verdict {
  return simulate(schedule, householdParts(schedule));
}

/** @param isTwice false: trusts that the run could be repeated */
export function runSeed(wishes: ScheduleWishes, isTwice: boolean): Verdict {
  const schedule = generateSchedule(wishes);
  const first = run(schedule);
  if (!isTwice) return first;
  const second = run(schedule);
  if (second.hash === first.hash && second.events === first.events) return first;
  return {
    ...first,
    failure: {
      what: "determinism",
      message: `two runs differ: ${first.hash} after ${first.events} events, ${second.hash} after ${second.events}`,
      at: first.simulatedMs,
      logs: first.failure?.logs ?? [],
    },
  };
}
