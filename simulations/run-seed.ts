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

/**
 * A household's messages go through the log. A window or pieces of a snapshot that let fewer bytes through than it writes, and a log so short that whoever
 * lags by a moment gets a snapshot all the time, are faults that nobody has.
 */
const HOUSEHOLD_SIZES = {
  appendBytesMax: 8192,
  inflightMax: 4,
  snapshotChunkBytes: 8192,
};
/** Its state is decoded in a few seconds. */
const HOUSEHOLD_DECODE_BYTES = 16_384;
const HOUSEHOLD_LOG = { entriesKept: 2000, snapshotEntries: 500 };

/** What repeats a run by hand. */
export function commandOf({ seed, ...wishes }: ScheduleWishes, load: Load): string {
  const flags = Object.entries(wishes).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name} ${value}`],
  );
  if (load === "household") flags.push("--household");
  return ["npm run sim -- --seed", seed, ...flags].join(" ");
}

/** Carries out a schedule. */
export function run(schedule: Schedule, load: Load): Verdict {
  return load === "writes" ? simulate(schedule) : simulate(withRoom(schedule), householdOf(schedule));
}

function withRoom(schedule: Schedule): Schedule {
  const { sizes, isLogShort = false } = schedule.world;
  if (sizes === undefined || Object.keys(sizes).length === 0) return schedule;
  const wide: Record<string, number> = { ...sizes };
  const decoding = sizes.decodeBytes === undefined ? {} : { decodeBytes: HOUSEHOLD_DECODE_BYTES };
  const room = { ...HOUSEHOLD_SIZES, ...decoding, ...(isLogShort ? {} : HOUSEHOLD_LOG) };
  for (const [name, least] of Object.entries(room)) wide[name] = Math.max(wide[name] ?? least, least);
  return { ...schedule, world: { ...schedule.world, sizes: wide } };
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
