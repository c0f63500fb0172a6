/**
 * Plays episode after episode on a thread of its own, so that the one that started it notices when it hangs.
 *
 * The number of the episode under way stands in shared memory. Every thousand episodes the heap is measured after a
 * collection: what a broker leaves behind when it is dropped, in tables of modules for instance, must not add up.
 */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { parentPort, workerData } from "node:worker_threads";
import { play, stepsOf } from "./episode.ts";

export interface CoreWork {
  readonly seed: number;
  /** One 32-bit number: the episode under way. */
  readonly progress: SharedArrayBuffer;
}

export type CoreReport =
  | { readonly kind: "failed"; readonly episode: number }
  | { readonly kind: "grew"; readonly episode: number; readonly megabytes: number }
  | { readonly kind: "measured"; readonly episode: number; readonly megabytes: number };

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

function run({ seed, progress }: CoreWork): void {
  const current = new Int32Array(progress);
  let baseline: number | undefined;
  for (let episode = 0; ; episode++) {
    Atomics.store(current, 0, episode);
    if (play(stepsOf(seed, episode)) !== undefined) {
      report({ kind: "failed", episode });
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

run(workerData as CoreWork);
