/**
 * Plays episode after episode on a thread of its own, so that the one that started it notices when it hangs.
 *
 * The number of the episode under way stands in shared memory, and so does the wish to end: a thread that is ended from outside
 * while it runs can take the process with it (V8 of Node 24, "location_ != nullptr"). Every thousand episodes the heap is measured after a
 * collection: what a broker leaves behind when it is dropped, in tables of modules for instance, must not add up.
 */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { isMainThread, parentPort, workerData } from "node:worker_threads";
import { play, stepsOf } from "./episode.ts";

export interface CoreWork {
  readonly seed: number;
  /** Two 32-bit numbers: the episode under way, and 1 when this one is to be the last. */
  readonly shared: SharedArrayBuffer;
}

export type CoreReport =
  | { readonly kind: "failed"; readonly episode: number; readonly complaint: string }
  | { readonly kind: "grew"; readonly episode: number; readonly megabytes: number }
  | { readonly kind: "measured"; readonly episode: number; readonly megabytes: number };

/** Where they stand. */
export const EPISODE_AT = 0;
export const STOP_AT = 1;

const EPISODES_PER_MEASUREMENT = 1_000;
const GROWTH_MEGABYTES_MAX = 16;

// Workers take no --expose-gc of their own.
setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

function heapMegabytes(): number {
  collectGarbage();
  collectGarbage();
  return process.memoryUsage().heapUsed / 1_048_576;
}

function report(message: CoreReport): void {
  parentPort?.postMessage(message);
}

function run({ seed, shared }: CoreWork): void {
  const numbers = new Int32Array(shared);
  let baseline: number | undefined;
  for (let episode = 0; Atomics.load(numbers, STOP_AT) === 0; episode++) {
    Atomics.store(numbers, EPISODE_AT, episode);
    const failure = play(stepsOf(seed, episode));
    if (failure !== undefined) {
      report({ kind: "failed", episode, complaint: failure.complaint });
      return;
    }
    if ((episode + 1) % EPISODES_PER_MEASUREMENT !== 0) continue;
    const megabytes = heapMegabytes();
    // The first thousand fill tables and compile code.
    baseline ??= megabytes;
    if (megabytes > baseline + GROWTH_MEGABYTES_MAX) {
      report({ kind: "grew", episode, megabytes: megabytes - baseline });
      return;
    }
    report({ kind: "measured", episode, megabytes });
  }
}

if (!isMainThread) run(workerData as CoreWork);
