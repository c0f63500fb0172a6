/** The broker core in this process, on simulated time: the worker plays, this side watches over it and explains failures. */

import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { type CoreReport, type CoreWork, EPISODE_AT, STOP_AT } from "./core-worker.ts";
import { play, stepsOf } from "./episode.ts";
import { shrink } from "./shrink.ts";
import { shownStep } from "./steps.ts";

/** An episode of milliseconds that is not over by then hangs. */
const EPISODE_MS_MAX = 90_000;
const LOOK_EVERY_MS = 500;

/** How a target fared: `failure` is a text for people, with the command that repeats it. */
export interface TargetResult {
  readonly summary: string;
  readonly failure: string | undefined;
}

/** Plays episodes of `seed` until `signal`. */
export async function fuzzCore(seed: number, signal: AbortSignal): Promise<TargetResult> {
  const shared = new SharedArrayBuffer(8);
  const numbers = new Int32Array(shared);
  const work: CoreWork = { seed, shared };
  const worker = new Worker(new URL("core-worker.ts", import.meta.url), { workerData: work });
  const ended = new Promise((resolve) => worker.once("exit", resolve));
  const begun = performance.now();
  let failure: string | undefined;
  let last = "";
  worker.on("message", (message: CoreReport) => {
    if (message.kind === "measured") last = `, heap ${message.megabytes.toFixed(1)} MB`;
    else if (message.kind === "grew")
      failure = `the heap grew by ${message.megabytes.toFixed(0)} MB in ${message.episode + 1} episodes of seed ${seed}`;
    else failure = `${message.complaint}\n${explainEpisode(seed, message.episode).text}`;
  });
  worker.on("error", (error) => {
    failure = `the worker ended: ${error.stack}`;
  });
  let seen = { episode: -1, at: begun };
  while (failure === undefined && !signal.aborted) {
    await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined);
    const episode = Atomics.load(numbers, EPISODE_AT);
    if (episode !== seen.episode) seen = { episode, at: performance.now() };
    else if (performance.now() - seen.at > EPISODE_MS_MAX)
      failure = `episode ${episode} hangs. ${replay(seed, episode)}`;
  }
  Atomics.store(numbers, STOP_AT, 1);
  const isOver = new AbortController();
  await Promise.race([
    ended,
    sleep(EPISODE_MS_MAX, undefined, { signal: isOver.signal }).catch(() => undefined),
  ]);
  isOver.abort();
  await worker.terminate();
  const seconds = (performance.now() - begun) / 1000;
  return {
    failure,
    summary: `core: ${Atomics.load(numbers, EPISODE_AT)} episodes in ${seconds.toFixed(0)} s${last}`,
  };
}

/** Plays one episode, and shortens it if it fails. */
export function explainEpisode(
  seed: number,
  episode: number,
): { readonly isFailing: boolean; readonly text: string } {
  const steps = stepsOf(seed, episode);
  const failure = play(steps);
  if (failure === undefined) return { isFailing: false, text: `episode ${episode} of seed ${seed} passes` };
  const short = shrink(steps, failure, play);
  return {
    isFailing: true,
    text: [
      `episode ${episode} of seed ${seed}: ${short.failure.complaint}`,
      `${short.steps.length} of ${steps.length} steps are enough:`,
      ...short.steps.map((step) => `  ${shownStep(step)}`),
      replay(seed, episode),
    ].join("\n"),
  };
}

function replay(seed: number, episode: number): string {
  return `Repeat it: npm run fuzz -- --seed ${seed} --episode ${episode}`;
}
