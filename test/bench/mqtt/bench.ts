/**
 * `npm run bench`: Skein beside Debian's mosquitto and aedes, in one run, on one machine.
 *
 *   npm run bench                                  every scenario, 5 alternating runs of each broker: about an hour
 *   npm run bench -- --quick                       the most telling ones, one short run each: under two minutes
 *   npm run bench -- --only p2p100,fanout100       some of them
 *   npm run bench -- --quick --check               compares ratios with the committed ones; exit code 1 beyond 30 %
 *
 * Broker and generator are each bound to a core of their own. Every run has a fresh broker. Results of a full run go to
 * test/bench/mqtt/results.json and docs/performance.md, with `--dry` nowhere, with `--keep` also those of a short run.
 */

import { parseArgs } from "node:util";
import { commitName, machineName } from "../../figures/laboratory.ts";
import { BROKERS, type BrokerName } from "./brokers.ts";
import {
  isReached,
  keepResults,
  medianOf,
  type Result,
  ratioOf,
  readResults,
  shown,
  worseThan,
} from "./results.ts";
import { run, type Sample } from "./run.ts";
import { SCENARIOS, type Scenario } from "./scenarios.ts";

const FULL = { warmMs: 2000, measureMs: 3000 };
const QUICK = { warmMs: 700, measureMs: 1000 };

const { values } = parseArgs({
  options: {
    quick: { type: "boolean" },
    only: { type: "string" },
    brokers: { type: "string", default: BROKERS.join(",") },
    runs: { type: "string" },
    check: { type: "boolean" },
    dry: { type: "boolean" },
    keep: { type: "boolean" },
    json: { type: "boolean" },
    help: { type: "boolean" },
  },
});

const names = values.only?.split(",");
const unknown = names?.filter((name) => !SCENARIOS.some((scenario) => scenario.name === name)) ?? [];
const brokers = values.brokers.split(",") as BrokerName[];
const isQuick = values.quick === true;
const runs = Number(values.runs ?? (isQuick ? 1 : 5));
const isWrong = unknown.length > 0 || !Number.isInteger(runs) || runs < 1;
if (isWrong || values.help === true || brokers.some((name) => !BROKERS.includes(name))) {
  process.stderr.write(
    `usage: npm run bench -- [--quick] [--only SCENARIO,...] [--brokers ${BROKERS.join(",")}] [--runs N] [--check] [--dry] [--keep] [--json]\nscenarios: ${SCENARIOS.map(({ name }) => name).join(" ")}\n`,
  );
  process.exit(values.help === true ? 0 : 2);
}

const scenarios = SCENARIOS.filter((scenario) => {
  if (names !== undefined) return names.includes(scenario.name);
  return !isQuick || (scenario.kind !== "idle" && scenario.isQuick === true);
});
const durations = isQuick ? QUICK : FULL;
const measured = {
  date: new Date().toISOString(),
  commit: commitName(),
  machine: machineName(),
  seconds: durations.measureMs / 1000,
};
const results: Result[] = [];
for (const scenario of scenarios) {
  const result = { scenario: scenario.name, samples: await samplesOf(scenario), measured };
  results.push(result);
  say(lineOf(result, scenario));
}

if (values.json === true) process.stdout.write(`${JSON.stringify(results)}\n`);
const worse = values.check === true ? worseThan(readResults(), results) : [];
for (const sentence of worse) say(`WORSE ${sentence}`);
const isComplete = !isQuick && brokers.length === BROKERS.length;
if (values.dry !== true && (isComplete || values.keep === true)) keepResults(results, SCENARIOS);
process.exitCode = worse.length > 0 ? 1 : 0;

/** Alternating, so that what else the machine does meets all of them. */
async function samplesOf(scenario: Scenario): Promise<Result["samples"]> {
  const samples: Partial<Record<BrokerName, Sample[]>> = {};
  for (let number = 1; number <= runs; number++) {
    for (const broker of brokers) {
      if (process.stderr.isTTY === true)
        process.stderr.write(`\r${scenario.name}: ${broker}, run ${number} \x1b[K`);
      const sample = await run(broker, scenario, durations);
      if (sample === undefined) continue;
      samples[broker] ??= [];
      samples[broker].push(sample);
    }
  }
  return samples;
}

function lineOf(result: Result, scenario: Scenario): string {
  const quantity = scenario.kind === "idle" ? "bytesEach" : "cpuUs";
  const costs = brokers.map((broker) => `${broker} ${shown(medianOf(result, broker, quantity))}`);
  const latency = ratioOf(result, "p50Us");
  const parts = [
    `${costs.join(", ")} ${scenario.kind === "idle" ? "B each" : "us"}`,
    `ratio ${shown(ratioOf(result, quantity))}`,
    ...(latency === undefined ? [] : [`p50 ratio ${shown(latency)}`]),
    `generator ${shown(medianOf(result, "skein", "generator"))}`,
  ];
  const reached = isReached(result, scenario);
  return `${scenario.name.padEnd(18)} ${parts.join("; ")}${reached === false ? "; goal missed" : ""}`;
}

function say(line: string): void {
  process.stderr.write(`${process.stderr.isTTY === true ? "\r\x1b[K" : ""}${line}\n`);
}
