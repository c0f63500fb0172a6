/**
 * The command `npm run sim`: simulates one seed, many seeds or a stored schedule, and says how to repeat what it found.
 *
 * Exit codes: 0 all promises held, 1 one was broken, 2 wrong arguments. Commands and figures: docs/testing.md.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import {
  generateSchedule,
  MESH_SIZES,
  SCENARIOS,
  type Schedule,
  type ScheduleWishes,
  shrink,
  type Verdict,
} from "@skein/testkit";
import { runMany } from "./many-seeds.ts";
import { commandOf, type Load, run, runSeed } from "./run-seed.ts";

const USAGE = `Simulates a whole mesh on one seed and says how to repeat what it found.

npm run sim -- --seed N | --seeds FROM-TO | --schedule FILE [options]
  --scenario NAME   only these faults: ${Object.keys(SCENARIOS).join(", ")} (default: drawn from the seed)
  --nodes N         ${MESH_SIZES.least} to ${MESH_SIZES.most} (default: 3 to 7, drawn)    --minutes M   simulated minutes of chaos (default: 2 to 5, drawn)
  --household       MQTT clients of all kinds as well, with every checker (default: retained writes at the nodes)
  --once            do not run each seed a second time to compare the histories
  --seconds S       with --seeds: begin no new seed after S seconds
  --log TEXT        of a failure, all log lines with TEXT in them (default: the last lines of all)
  --shrink          make the failing schedule short    --save FILE   write the schedule to a file
  --help            this text

Examples:
  npm run sim -- --seed 7                               one seed, twice
  npm run sim -- --seeds 1-200 --minutes 5 --once       many seeds on all cores
  npm run sim -- --seed 7 --scenario partitions --nodes 5
  npm run sim -- --seed 7 --shrink --save failing.json  shorten what failed
  npm run sim -- --schedule failing.json                replay it

Exit codes: 0 all promises held, 1 one was broken, 2 wrong arguments.`;

const MESSAGE_CHARACTERS_MAX = 1000;
const LOG_LINES = 60;

const OPTIONS = {
  seed: { type: "string" },
  seeds: { type: "string" },
  schedule: { type: "string" },
  scenario: { type: "string" },
  nodes: { type: "string" },
  minutes: { type: "string" },
  household: { type: "boolean", default: false },
  once: { type: "boolean", default: false },
  seconds: { type: "string" },
  log: { type: "string" },
  shrink: { type: "boolean", default: false },
  save: { type: "string" },
  help: { type: "boolean", default: false },
} as const;

const values = argumentsGiven();
if (values.help) {
  say(USAGE);
  process.exit(0);
}

const load: Load = values.household ? "household" : "writes";
const wishes: Omit<ScheduleWishes, "seed"> = {
  scenario: values.scenario,
  nodes: numberOf("nodes", values.nodes),
  minutes: numberOf("minutes", values.minutes),
};

if (values.scenario !== undefined && SCENARIOS[values.scenario] === undefined)
  usage(`There is no scenario "${values.scenario}"`);
if (wishes.nodes !== undefined && !isMeshSize(wishes.nodes))
  usage(`--nodes takes ${MESH_SIZES.least} to ${MESH_SIZES.most}`);
if (values.seeds !== undefined) await many(values.seeds);
else if (values.schedule !== undefined) one(readSchedule(values.schedule), undefined);
else {
  const seed = numberOf("seed", values.seed) ?? usage("Neither --seed, --seeds nor --schedule is given");
  one(generateSchedule({ ...wishes, seed }), seed);
}

async function many(range: string): Promise<void> {
  const [from = Number.NaN, to = Number.NaN] = range.split("-").map(Number);
  if (!(from <= to)) usage(`"${range}" is no range FROM-TO`);
  const startedAt = performance.now();
  const failed: Verdict[] = [];
  let seeds = 0;
  let standstills = 0;
  let simulatedMs = 0;
  let events = 0;
  const minutes = (): number => (performance.now() - startedAt) / 60_000;
  const progress = (): void => {
    const hours = simulatedMs / 3_600_000;
    say(
      `${seeds} seeds, ${failed.length} failed, ${standstills} stood still as they may, ${hours.toFixed(1)} simulated hours (${(hours / minutes()).toFixed(1)} per minute, ` +
        `${(events / minutes() / 60_000).toFixed(0)} k events/s)`,
    );
  };
  const timer = setInterval(progress, 10_000);
  const runs = values.once ? 1 : 2;
  await runMany({
    from,
    to,
    wishesOf: (seed) => ({ ...wishes, seed }),
    load,
    isTwice: () => !values.once,
    secondsMax: numberOf("seconds", values.seconds),
    done: (verdict) => {
      seeds++;
      if (verdict.isStandstill) standstills++;
      simulatedMs += verdict.simulatedMs * runs;
      events += verdict.events * runs;
      if (verdict.failure === undefined) return;
      failed.push(verdict);
      tell(verdict);
    },
  });
  clearInterval(timer);
  progress();
  process.exitCode = failed.length === 0 ? 0 : 1;
}

function one(schedule: Schedule, seed: number | undefined): void {
  const startedAt = performance.now();
  let shown = schedule;
  let verdict = seed === undefined ? run(schedule, load) : runSeed({ ...wishes, seed }, load, !values.once);
  const tookMs = performance.now() - startedAt;
  if (values.shrink && verdict.failure !== undefined) {
    const shrunk = shrink(schedule, verdict, (shorter) => run(shorter, load));
    shown = shrunk.schedule;
    verdict = shrunk.verdict;
    say(`${schedule.faults.length} faults became ${shown.faults.length} in ${shrunk.runs} runs`);
    for (const fault of shown.faults) say(JSON.stringify(fault));
  }
  if (values.save !== undefined) writeFileSync(values.save, `${JSON.stringify(shown, undefined, 2)}\n`);
  const speed = (verdict.simulatedMs * (seed === undefined || values.once ? 1 : 2)) / tookMs;
  say(
    `seed ${verdict.seed}: ${schedule.world.nodes} nodes, ${(verdict.simulatedMs / 1000).toFixed(0)} s, ${verdict.events} events, ` +
      `${verdict.observations} observations, hash ${verdict.hash.toString(16)}, ${speed.toFixed(0)} x real time, faults ${JSON.stringify(verdict.struck)}`,
  );
  if (verdict.isStandstill)
    say("It stood still after the heal, as it may: every voter lost power and one is gone for good.");
  if (verdict.failure === undefined) return;
  const { logs, states } = verdict.failure;
  const { log } = values;
  for (const line of log === undefined ? logs.slice(-LOG_LINES) : logs.filter((each) => each.includes(log)))
    say(line);
  for (const line of states) say(line);
  tell(verdict);
  process.exitCode = 1;
}

function tell({ seed, failure }: Verdict): void {
  if (failure === undefined) return;
  say(
    `FAILED seed ${seed} at ${(failure.at / 1000).toFixed(3)} s: ${failure.what}: ${failure.message.slice(0, MESSAGE_CHARACTERS_MAX)}`,
  );
  say(`  ${commandOf({ ...wishes, seed }, load)}`);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function numberOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : usage(`--${name} takes a number, not "${text}"`);
}

function isMeshSize(nodes: number): boolean {
  return Number.isInteger(nodes) && nodes >= MESH_SIZES.least && nodes <= MESH_SIZES.most;
}

function argumentsGiven() {
  try {
    return parseArgs({ options: OPTIONS }).values;
  } catch (error) {
    // Node's own text goes on with advice on option syntax.
    return usage((error as Error).message.split(". ")[0] as string);
  }
}

function readSchedule(path: string): Schedule {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Schedule;
  } catch (error) {
    return usage(`Cannot read "${path}": ${(error as Error).message}`);
  }
}

/** One sentence, as every wrong argument gets, and exit code 2. */
function usage(problem: string): never {
  process.stderr.write(`${problem}. See npm run sim -- --help.\n`);
  process.exit(2);
}
