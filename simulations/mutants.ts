/**
 * The command `npm run sim:mutants`: plants each known bug in turn and shows the seed whose simulation catches it.
 *
 * A mutant that survives is a hole in the checkers, or in what the simulations do. Exit codes: 0 all caught, 1 some
 * survived, 2 wrong arguments.
 */

import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { MUTANTS } from "../packages/testkit/src/mutants/index.ts";
import type { MutantJob, MutantResult } from "./mutant-worker.ts";

const USAGE = `npm run sim:mutants -- [--only TEXT] [--from SEED] [--seeds N] [--seconds S]
  --only TEXT   mutants whose name contains TEXT    --from SEED   first seed (default 1)
  --seeds N     seeds for each at most (default 2000)    --seconds S   seconds for each at most (default 120)`;

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    from: { type: "string", default: "1" },
    seeds: { type: "string", default: "2000" },
    seconds: { type: "string", default: "120" },
  },
});

const [fromSeed, seedsMax, secondsMax] = [values.from, values.seeds, values.seconds].map(Number) as [
  number,
  number,
  number,
];
const chosen = MUTANTS.filter(({ name }) => name.includes(values.only));
if (chosen.length === 0 || ![fromSeed, seedsMax, secondsMax].every(Number.isFinite)) {
  process.stderr.write(`${USAGE}\n`);
  process.exit(2);
}

let survivors = 0;
const waiting = [...chosen];
await Promise.all(Array.from({ length: availableParallelism() }, work));
process.stdout.write(`${chosen.length - survivors} of ${chosen.length} planted bugs were caught\n`);
process.exitCode = survivors === 0 ? 0 : 1;

async function work(): Promise<void> {
  for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
    const { seed, tried, what } = await hunt({ mutant, fromSeed, seedsMax, secondsMax });
    if (seed === undefined) survivors++;
    const scenario = mutant.scenario === undefined ? "" : ` (scenario ${mutant.scenario})`;
    const verdict =
      seed === undefined
        ? `SURVIVED ${tried} seeds`
        : `seed ${seed} of ${tried} tried: ${what.slice(0, 160)}`;
    process.stdout.write(`${mutant.name}${scenario}: ${verdict}\n`);
  }
}

/** Runs one mutant in a thread of its own. A bug that breaks the thread itself is caught as well. */
function hunt(job: MutantJob): Promise<MutantResult> {
  return new Promise((resolve) => {
    const worker = new Worker(new URL("./mutant-worker.ts", import.meta.url), { workerData: job });
    worker.once("message", (result: MutantResult) => resolve(result));
    worker.once("error", (error) =>
      resolve({ seed: job.fromSeed, tried: 1, what: `exception: ${String(error)}` }),
    );
  });
}
