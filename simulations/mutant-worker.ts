/**
 * A thread with one bug planted: the hook changes the file while it is loaded, and nothing else knows of it. It simulates
 * one seed after another until a checker finds the bug.
 */

import { registerHooks } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import { editOf, type Mutant, mutate } from "../packages/testkit/src/mutants/index.ts";

/** What the main thread asks for. */
export interface MutantJob {
  readonly mutant: Mutant;
  readonly fromSeed: number;
  readonly seedsMax: number;
  readonly secondsMax: number;
}

/** What came out; without `seed` the mutant survived `tried` seeds. */
export interface MutantResult {
  readonly seed: number | undefined;
  readonly tried: number;
  readonly what: string;
}

/** Of chaos: more seeds find more than longer ones. */
const MINUTES = 2;

const { mutant, fromSeed, seedsMax, secondsMax } = workerData as MutantJob;

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const edit = editOf(mutant, url);
    const { source } = loaded;
    if (edit === undefined || source === undefined || source === null) return loaded;
    const text = typeof source === "string" ? source : new TextDecoder().decode(source);
    return { ...loaded, source: mutate(edit, text) };
  },
});

const { runSeed } = await import("./run-seed.ts");
const startedAt = performance.now();
let result: MutantResult = { seed: undefined, tried: 0, what: "" };
while (result.tried < seedsMax && performance.now() - startedAt < secondsMax * 1000) {
  const seed = fromSeed + result.tried;
  const verdict = runSeed(
    { seed, scenario: mutant.scenario, minutes: MINUTES },
    mutant.load ?? "household",
    false,
  );
  result = { ...result, tried: result.tried + 1 };
  if (verdict.failure === undefined) continue;
  result = { ...result, seed, what: `${verdict.failure.what}: ${verdict.failure.message.split("\n")[0]}` };
  break;
}
parentPort?.postMessage(result);
