/** A thread that runs one seed after another as it is told. The simulation inside it is single-threaded and knows nothing of this. */

import { parentPort } from "node:worker_threads";
import type { ScheduleWishes } from "@skein/testkit";
import { runSeed } from "./run-seed.ts";

parentPort?.on("message", ({ wishes, isTwice }: { wishes: ScheduleWishes; isTwice: boolean }) => {
  parentPort?.postMessage(runSeed(wishes, isTwice));
});
