/** A thread that runs one seed after another as it is told. The simulation inside it is single-threaded and knows nothing of this. */

import { parentPort } from "node:worker_threads";
import type { ScheduleWishes } from "@skein/testkit";
import { type Load, runSeed } from "./run-seed.ts";

export interface SeedTask {
  readonly wishes: ScheduleWishes;
  readonly load: Load;
  readonly isTwice: boolean;
}

parentPort?.on("message", ({ wishes, load, isTwice }: SeedTask) => {
  parentPort?.postMessage(runSeed(wishes, load, isTwice));
});
