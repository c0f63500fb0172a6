/** Runs a range of seeds on all cores, one worker thread per core, and gathers what came out. */

import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { ScheduleWishes, Verdict } from "@skein/testkit";
import type { Load } from "./run-seed.ts";

export interface ManySeeds {
  readonly from: number;
  readonly to: number;
  readonly wishesOf: (seed: number) => ScheduleWishes;
  readonly load: Load;
  /** Which seeds are run a second time, to compare the histories. */
  readonly isTwice: (seed: number) => boolean;
  /** No new seed is begun after this long; undefined: until all are done. */
  readonly secondsMax: number | undefined;
  readonly done: (verdict: Verdict) => void;
}

/** Resolves when all seeds are done. Rejects if a worker dies. */
export async function runMany(job: ManySeeds): Promise<void> {
  let next = job.from;
  const startedAt = performance.now();
  const take = (): number | undefined => {
    const isLate = job.secondsMax !== undefined && performance.now() - startedAt > job.secondsMax * 1000;
    return isLate || next > job.to ? undefined : next++;
  };
  const count = Math.min(availableParallelism(), job.to - job.from + 1);
  await Promise.all(Array.from({ length: count }, () => work(job, take)));
}

function work(job: ManySeeds, take: () => number | undefined): Promise<void> {
  const worker = new Worker(new URL("./seed-worker.ts", import.meta.url), {
    execArgv: ["--conditions=@skein/source"],
  });
  return new Promise((resolve, reject) => {
    const giveNext = (): void => {
      const seed = take();
      if (seed === undefined) void worker.terminate().then(() => resolve());
      else {
        const isTwice = job.isTwice(seed);
        worker.postMessage({ wishes: job.wishesOf(seed), load: job.load, isTwice });
      }
    };
    worker.on("message", (verdict: Verdict) => {
      job.done(verdict);
      giveNext();
    });
    worker.on("error", reject);
    giveNext();
  });
}
