/**
 * A thread with one bug planted: the hook changes the file while it is loaded, and nothing else knows of it. It simulates
 * one seed after another until a checker complains.
 */

import { registerHooks } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import { editsOf, mutate } from "../packages/testkit/src/mutants/index.ts";
import { type Hunt, loadOf, type MutantResult, wishesOf } from "./hunt-mutant.ts";

const hunt = workerData as Hunt;

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const edits = editsOf(hunt.mutant, url);
    const { source } = loaded;
    if (edits.length === 0 || source === undefined || source === null) return loaded;
    const text = typeof source === "string" ? source : new TextDecoder().decode(source);
    return { ...loaded, source: edits.reduce((before, edit) => mutate(edit, before), text) };
  },
});

const { runSeed } = await import("./run-seed.ts");
const startedAt = performance.now();
let result: MutantResult = { seed: undefined, tried: 0, checker: "", message: "" };
while (
  result.seed === undefined &&
  result.tried < hunt.seedsMax &&
  performance.now() - startedAt < hunt.secondsMax * 1000
) {
  const seed = hunt.fromSeed + result.tried;
  const tried = result.tried + 1;
  const { failure } = runSeed(wishesOf(hunt, seed), loadOf(hunt), false);
  result =
    failure === undefined
      ? { ...result, tried }
      : { seed, tried, checker: failure.what, message: failure.message.split("\n")[0] ?? "" };
}
parentPort?.postMessage(result);
