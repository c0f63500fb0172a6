/**
 * Looks for the seed whose simulation catches a planted bug.
 *
 * A seed counts only if it passes without the bug: one that fails anyway shows nothing about the checkers. Such controls
 * are shared by all mutants with the same load and scenario.
 */

import { Worker } from "node:worker_threads";
import type { ScheduleWishes, Verdict } from "@skein/testkit";
import type { Mutant } from "../packages/testkit/src/mutants/index.ts";
import type { Load } from "./run-seed.ts";
import type { SeedTask } from "./seed-worker.ts";

/** Which seeds, how many at most, and for how long. */
export interface Hunt {
  readonly mutant: Mutant;
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

/** Where the tests begin to look, in simulations/mutants.json. */
export interface Catch {
  readonly name: string;
  readonly seed: number;
  /** Who complained at this seed. */
  readonly checker: string;
}

/** Of chaos: more seeds find more than longer ones. */
const MINUTES = 2;

const FROM_SOURCE = { execArgv: ["--conditions=@skein/source"] };

/** The first seed that fails with the bug and passes without; the limits hold for all seeds together. Rejects if a thread dies. */
export async function huntMutant(hunt: Hunt): Promise<MutantResult> {
  const endsAt = performance.now() + hunt.secondsMax * 1000;
  let tried = 0;
  while (true) {
    const found = await runPlanted({
      ...hunt,
      fromSeed: hunt.fromSeed + tried,
      seedsMax: hunt.seedsMax - tried,
      secondsMax: (endsAt - performance.now()) / 1000,
    });
    tried += found.tried;
    if (found.seed === undefined || (await passesWithout(hunt, found.seed))) return { ...found, tried };
    if (tried >= hunt.seedsMax || performance.now() >= endsAt) return { ...found, seed: undefined, tried };
  }
}

/** What a seed of this hunt does, with the bug and without. */
export function wishesOf({ scenario }: Pick<Hunt, "scenario">, seed: number): ScheduleWishes {
  return { seed, scenario, minutes: MINUTES };
}

export function loadOf({ mutant }: Pick<Hunt, "mutant">): Load {
  return mutant.load ?? "household";
}

/** Runs in a thread of its own, from the sources: a bug is planted while a module is loaded. */
function runPlanted(hunt: Hunt): Promise<MutantResult> {
  return new Promise((resolve, reject) => {
    const url = new URL("./mutant-worker.ts", import.meta.url);
    const worker = new Worker(url, { ...FROM_SOURCE, workerData: hunt });
    worker.once("message", (result: MutantResult) => resolve(result));
    worker.once("error", reject);
    worker.once("exit", (code) => reject(new Error(`the thread of "${hunt.mutant.name}" ended: ${code}`)));
  });
}

const controls = new Map<string, Promise<boolean>>();

/** Whether `seed` passes without the bug. */
function passesWithout(hunt: Hunt, seed: number): Promise<boolean> {
  const load = loadOf(hunt);
  const key = `${load} ${hunt.scenario} ${seed}`;
  const known = controls.get(key);
  if (known !== undefined) return known;
  const control = runControl({ wishes: wishesOf(hunt, seed), load, isTwice: false });
  controls.set(key, control);
  return control;
}

/** One thread for all controls: what a thread needs longest for is to become fast. */
let controlThread: Worker | undefined;
/** In the order in which the thread was asked. */
const waitingForControl: { resolve(isPassed: boolean): void; reject(error: Error): void }[] = [];

function runControl(task: SeedTask): Promise<boolean> {
  return new Promise((resolve, reject) => {
    controlThread ??= startControls();
    waitingForControl.push({ resolve, reject });
    controlThread.ref();
    controlThread.postMessage(task);
  });
}

function startControls(): Worker {
  const worker = new Worker(new URL("./seed-worker.ts", import.meta.url), FROM_SOURCE);
  worker.on("message", ({ failure }: Verdict) => {
    waitingForControl.shift()?.resolve(failure === undefined);
    // An idle thread must not keep the program running.
    if (waitingForControl.length === 0) worker.unref();
  });
  worker.on("error", (error) => {
    for (const { reject } of waitingForControl.splice(0)) reject(error);
  });
  return worker;
}
