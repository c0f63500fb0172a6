/**
 * `npm run fuzz`: sends the broker everything but good MQTT, in this process on simulated time and to a real node over TCP.
 *
 * Runs for ten minutes unless told otherwise. A failure ends the run with exit code 1, the shortest steps that show it, and the
 * command that repeats it.
 */

import { parseArgs } from "node:util";
import { explainEpisode, fuzzCore, type TargetResult } from "./core-target.ts";
import { fuzzProcess } from "./process-target.ts";

const HELP = `npm run fuzz -- [options]

  --seconds N     how long (default: 600)
  --seed S        a whole number (default: another one each time)
  --target WHAT   core, process or both (default: both)
  --episode N     play only this episode of the core, and shorten it if it fails

Examples: npm run fuzz -- --seconds 60
          npm run fuzz -- --seed 7 --episode 1234
`;

function wholeNumber(name: string, text: string): number {
  if (/^\d{1,10}$/.test(text)) return Number(text);
  throw new Error(`--${name} must be a whole number, not ${JSON.stringify(text)}`);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "600" },
      seed: { type: "string", default: String(Date.now() % 1_000_000) },
      target: { type: "string", default: "both" },
      episode: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const seed = wholeNumber("seed", values.seed);
  if (values.episode !== undefined) {
    const { isFailing, text } = explainEpisode(seed, wholeNumber("episode", values.episode));
    process.stdout.write(`${text}\n`);
    return isFailing ? 1 : 0;
  }
  if (!["core", "process", "both"].includes(values.target))
    throw new Error("--target is core, process or both");
  return fuzz(seed, wholeNumber("seconds", values.seconds), values.target);
}

async function fuzz(seed: number, seconds: number, target: string): Promise<number> {
  process.stdout.write(`fuzzing for ${seconds} s with --seed ${seed}\n`);
  const end = new AbortController();
  const timer = setTimeout(() => end.abort(), seconds * 1000);
  const runs: Promise<TargetResult>[] = [];
  if (target !== "process") runs.push(fuzzCore(seed, end.signal));
  if (target !== "core") runs.push(fuzzProcess(seed, end.signal));
  // What one has found need not wait for the other.
  for (const run of runs) void run.then(({ failure }) => failure !== undefined && end.abort());
  const results = await Promise.all(runs);
  clearTimeout(timer);
  for (const { summary, failure } of results) {
    process.stdout.write(`${summary}\n`);
    if (failure !== undefined) process.stdout.write(`FAILED ${failure}\n`);
  }
  return results.some(({ failure }) => failure !== undefined) ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
