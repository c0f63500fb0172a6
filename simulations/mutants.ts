/**
 * The command `npm run sim:mutants`: plants each known bug in turn and shows the seed whose simulation catches it.
 *
 * A mutant that survives is a hole in the checkers, or in what the simulations do. Exit codes: 0 all caught, 1 some
 * survived, 2 wrong arguments.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { MUTANTS, type Mutant } from "../packages/testkit/src/mutants/index.ts";
import { type Catch, huntMutant, type MutantResult } from "./hunt-mutant.ts";

const USAGE = `npm run sim:mutants -- [--only TEXT]... [--from SEED] [--seeds N] [--seconds S] [--scenario NAME] [--save]
  --only TEXT   mutants whose name contains TEXT    --from SEED   first seed (default 1)
  --seeds N     seeds for each at most (default 2000)    --seconds S   seconds for each at most (default 120)
  --scenario NAME   instead of each one's own; "swarm": all faults
  --save        keeps the catches in simulations/mutants.json    --known   begins each at the seed that is kept there`;

const CATCHES = new URL("./mutants.json", import.meta.url);

const OPTIONS = {
  only: { type: "string", multiple: true },
  from: { type: "string", default: "1" },
  seeds: { type: "string", default: "2000" },
  seconds: { type: "string", default: "120" },
  scenario: { type: "string" },
  save: { type: "boolean", default: false },
  known: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;

const values = argumentsGiven();
if (values.help) {
  process.stdout.write(`${USAGE}\n`);
  process.exit(0);
}

const [fromSeed, seedsMax, secondsMax] = [values.from, values.seeds, values.seconds].map(Number) as [
  number,
  number,
  number,
];
const chosen = MUTANTS.filter(({ name }) => (values.only ?? [""]).some((text) => name.includes(text)));
if (chosen.length === 0 || ![fromSeed, seedsMax, secondsMax].every(Number.isFinite)) {
  process.stderr.write(`${USAGE}\n`);
  process.exit(2);
}

let survivors = 0;
const waiting = [...chosen];
await Promise.all(Array.from({ length: availableParallelism() }, work));
process.stdout.write(`${chosen.length - survivors} of ${chosen.length} planted bugs were caught\n`);
process.exitCode = survivors === 0 ? 0 : 1;

function argumentsGiven() {
  try {
    return parseArgs({ options: OPTIONS }).values;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${USAGE}\n`);
    process.exit(2);
  }
}

async function work(): Promise<void> {
  for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
    const scenario = values.scenario === "swarm" ? undefined : (values.scenario ?? mutant.scenario);
    const begin = values.known
      ? (kept().find(({ name }) => name === mutant.name)?.seed ?? fromSeed)
      : fromSeed;
    const result = await huntMutant({ mutant, scenario, fromSeed: begin, seedsMax, secondsMax });
    if (result.seed === undefined) survivors++;
    else if (values.save) save({ name: mutant.name, seed: result.seed, checker: result.checker });
    process.stdout.write(
      `${mutant.name}${scenario === undefined ? "" : ` (scenario ${scenario})`}: ${verdictOf(result)}\n`,
    );
  }
}

function verdictOf({ seed, tried, checker, message }: MutantResult): string {
  if (seed === undefined) return `SURVIVED ${tried} seeds`;
  return `seed ${seed} of ${tried} tried: ${checker}: ${message.slice(0, 160)}`;
}

function kept(): readonly Catch[] {
  return JSON.parse(readFileSync(CATCHES, "utf8")) as readonly Catch[];
}

/** In the order of the mutants, so that a new catch changes one line. */
function save(caught: Catch): void {
  const all = kept();
  const rank = ({ name }: Pick<Mutant, "name">): number =>
    MUTANTS.findIndex((mutant) => mutant.name === name);
  const next = [...all.filter(({ name }) => name !== caught.name), caught].sort((a, b) => rank(a) - rank(b));
  writeFileSync(CATCHES, `${JSON.stringify(next, undefined, 2)}\n`);
}
