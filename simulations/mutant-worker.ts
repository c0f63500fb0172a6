/**
 * A thread with one bug planted: the hook changes the file while it is loaded, and nothing else knows of it. It simulates
 * one seed after another until a checker complains. Without the bug it is the control of a seed.
 */

import { registerHooks } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import { editsOf, mutate } from "../packages/testkit/src/mutants/index.ts";
import type { MutantJob, MutantResult } from "./hunt-mutant.ts";

/** Of chaos: more seeds find more than longer ones. */
const MINUTES = 2;

const { mutant, isPlanted, scenario, fromSeed, seedsMax, secondsMax } = workerData as MutantJob;

if (isPlanted) {
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      const edits = editsOf(mutant, url);
      const { source } = loaded;
      if (edits.length === 0 || source === undefined || source === null) return loaded;
      const text = typeof source === "string" ? source : new TextDecoder().decode(source);
      return { ...loaded, source: edits.reduce((before, edit) => mutate(edit, before), text) };
    },
  });
}

const { runSeed } = await import("./run-seed.ts");
const startedAt = performance.now();
let result: MutantResult = { seed: undefined, tried: 0, checker: "", message: "" };
while (
  result.seed === undefined &&
  result.tried < seedsMax &&
  performance.now() - startedAt < secondsMax * 1000
) {
  const seed = fromSeed + result.tried;
  const tried = result.tried + 1;
  const { failure } = runSeed({ seed, scenario, minutes: MINUTES }, mutant.load ?? "household", false);
  result =
    failure === undefined
      ? { ...result, tried }
      : { seed, tried, checker: failure.what, message: failure.message.split("\n")[0] ?? "" };
}
parentPort?.postMessage(result);
