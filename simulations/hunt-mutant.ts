/**
 * Looks for the seed whose simulation catches a planted bug.
 *
 * A seed counts only if it passes without the bug: one that fails anyway shows nothing about the checkers. Such controls
 * are shared by all mutants with the same load and scenario.
 */

import { Worker } from "node:worker_threads";
import type { Mutant } from "../packages/testkit/src/mutants/index.ts";

/** What a thread does. */
export interface MutantJob {
  readonly mutant: Mutant;
  /** False: the control, the same without the bug. */
  readonly isPlanted: boolean;
  /** Undefined: the swarm. */
  readonly scenario: string | undefined;
  readonly fromSeed: number;
  readonly seedsMax: number;
  readonly secondsMax: number;
}

/** What came out; without `seed` all `tried` seeds passed. */
export interface MutantResult {
  readonly seed: number | undefined;
  readonly tried: number;
  /** Who complained, and what about. */
  readonly checker: string;
  readonly message: string;
}

export type Hunt = Omit<MutantJob, "isPlanted">;

/** Where the tests begin to look, in simulations/mutants.json. */
export interface Catch {
  readonly name: string;
  readonly seed: number;
  /** Who complained at this seed. */
  readonly checker: string;
}

const controls = new Map<string, Promise<boolean>>();

/** The first seed that fails with the bug and passes without; the limits hold for all seeds together. Rejects if a thread dies. */
export async function huntMutant(hunt: Hunt): Promise<MutantResult> {
  const endsAt = performance.now() + hunt.secondsMax * 1000;
  let tried = 0;
  while (true) {
    const found = await runThread({
      ...hunt,
      isPlanted: true,
      fromSeed: hunt.fromSeed + tried,
      seedsMax: hunt.seedsMax - tried,
      secondsMax: (endsAt - performance.now()) / 1000,
    });
    tried += found.tried;
    if (found.seed === undefined || (await passesWithout(hunt, found.seed))) return { ...found, tried };
    if (tried >= hunt.seedsMax || performance.now() >= endsAt) return { ...found, seed: undefined, tried };
  }
}

/** Whether `seed` passes without the bug. */
function passesWithout(hunt: Pick<Hunt, "mutant" | "scenario">, seed: number): Promise<boolean> {
  const key = `${hunt.mutant.load ?? "household"} ${hunt.scenario} ${seed}`;
  const known = controls.get(key);
  if (known !== undefined) return known;
  const control = runOne(hunt, seed, false).then((result) => result.seed === undefined);
  controls.set(key, control);
  return control;
}

/** One seed, with the bug or without. */
function runOne(
  { mutant, scenario }: Pick<Hunt, "mutant" | "scenario">,
  seed: number,
  isPlanted: boolean,
): Promise<MutantResult> {
  const limits = { seedsMax: 1, secondsMax: Number.POSITIVE_INFINITY };
  return runThread({ mutant, isPlanted, scenario, fromSeed: seed, ...limits });
}

/** Runs in a thread of its own, from the sources: a bug is planted while a module is loaded. */
function runThread(job: MutantJob): Promise<MutantResult> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./mutant-worker.ts", import.meta.url), {
      workerData: job,
      execArgv: ["--conditions=@skein/source"],
    });
    worker.once("message", (result: MutantResult) => resolve(result));
    worker.once("error", reject);
    worker.once("exit", (code) => reject(new Error(`the thread of "${job.mutant.name}" ended: ${code}`)));
  });
}
