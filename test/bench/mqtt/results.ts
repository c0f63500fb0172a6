/**
 * What the runs have shown, as ratios to mosquitto in the same run: kept in a file, shown as the table of docs/performance.md, and
 * compared with what was committed. Pure but for reading and writing the two files.
 */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { summaryOf } from "../../figures/statistics.ts";
import { BROKERS, type BrokerName } from "./brokers.ts";
import type { Sample } from "./run.ts";
import type { Scenario } from "./scenarios.ts";

/** All runs of one scenario: of each broker as many as were made, in the order they were made in. */
export interface Result {
  readonly scenario: string;
  readonly samples: Readonly<Partial<Record<BrokerName, readonly Sample[]>>>;
  readonly measured: {
    readonly date: string;
    readonly commit: string;
    readonly machine: string;
    /** Measured in each run, s. */
    readonly seconds: number;
  };
}

export type Quantity =
  | "cpuUs"
  | "p50Us"
  | "p99Us"
  | "perSecond"
  | "bytesEach"
  | "rssMb"
  | "baseMb"
  | "generator";

const FILE = join(import.meta.dirname, "results.json");
const PAGE = join(import.meta.dirname, "../../../docs/performance.md");
const BEGIN = "<!-- written by npm run bench -->";
const END = "<!-- end of what npm run bench writes -->";
/** A ratio may grow by so much before it counts as worse: below that it is the machine's noise. */
const NOISE = 1.3;

export function readResults(): readonly Result[] {
  return existsSync(FILE) ? (JSON.parse(readFileSync(FILE, "utf8")) as Result[]) : [];
}

/** Replaces the results of the same scenarios, and writes the table anew. */
export function keepResults(fresh: readonly Result[], scenarios: readonly Scenario[]): void {
  const names = new Set(fresh.map(({ scenario }) => scenario));
  const all = [...readResults().filter(({ scenario }) => !names.has(scenario)), ...fresh];
  const order = scenarios.map(({ name }) => name);
  all.sort((a, b) => order.indexOf(a.scenario) - order.indexOf(b.scenario));
  writeFileSync(FILE, `${JSON.stringify(all, undefined, 1)}\n`);
  const page = readFileSync(PAGE, "utf8");
  const [before = ""] = page.split(BEGIN);
  const [, after = ""] = page.split(END);
  writeFileSync(PAGE, `${before}${BEGIN}\n\n${tableOf(all, scenarios)}\n\n${END}${after}`);
}

/** Median over the runs; undefined: that broker was not measured, or it has no such quantity. */
export function medianOf(result: Result, broker: BrokerName, quantity: Quantity): number | undefined {
  const values = (result.samples[broker] ?? []).flatMap((sample) => sample[quantity] ?? []);
  return values.length === 0 ? undefined : summaryOf(values).median;
}

/** The median of Skein divided by the median of `other`. */
export function ratioOf(
  result: Result,
  quantity: Quantity,
  other: BrokerName = "mosquitto",
): number | undefined {
  const own = medianOf(result, "skein", quantity);
  const theirs = medianOf(result, other, quantity);
  return own === undefined || theirs === undefined ? undefined : own / theirs;
}

/** Whether what the scenario asks for is reached; undefined: it was not measured. */
export function isReached(result: Result, scenario: Scenario): boolean | undefined {
  if (scenario.kind === "idle") {
    const bytes = medianOf(result, "skein", "bytesEach");
    return bytes === undefined ? undefined : bytes <= scenario.goalBytes;
  }
  const cpu = ratioOf(result, "cpuUs");
  if (cpu === undefined) return undefined;
  const latencyGoal = scenario.kind === "flow" ? scenario.latencyGoal : undefined;
  const latency = latencyGoal === undefined ? undefined : ratioOf(result, "p50Us");
  return cpu <= scenario.goal && (latency ?? 0) <= (latencyGoal ?? 0);
}

/** What is compared with what was committed, where the scenario has it. */
const COMPARED: readonly (readonly [quantity: Quantity, what: string])[] = [
  ["cpuUs", "CPU"],
  ["p50Us", "p50 latency"],
  ["bytesEach", "memory"],
];

/**
 * Scenarios whose ratio to mosquitto has grown beyond {@link NOISE} of the committed one, as sentences; and those that were not measured
 * beside it, because what cannot be compared is not known to be well.
 */
export function worseThan(committed: readonly Result[], fresh: readonly Result[]): readonly string[] {
  return fresh.flatMap((result) => {
    const before = committed.find(({ scenario }) => scenario === result.scenario);
    if (before === undefined) return [];
    return COMPARED.flatMap(([quantity, what]) => {
      const [was, is] = [ratioOf(before, quantity), ratioOf(result, quantity)];
      if (was === undefined) return [];
      const beside = `committed is ${shown(was)} of mosquitto's ${what}`;
      if (is === undefined) return [`${result.scenario}: not measured beside mosquitto, ${beside}`];
      return is <= was * NOISE ? [] : [`${result.scenario}: ${shown(is)}, ${beside}`];
    });
  });
}

function tableOf(results: readonly Result[], scenarios: readonly Scenario[]): string {
  const rows = results.flatMap((result) => {
    const scenario = scenarios.find(({ name }) => name === result.scenario);
    return scenario === undefined ? [] : [rowOf(result, scenario)];
  });
  const places = [...new Set(results.map(({ measured }) => measured.machine))].join("; ");
  const commits = [
    ...new Set(results.map(({ measured }) => `${measured.commit} (${measured.date.slice(0, 10)})`)),
  ];
  const lengths = [
    ...new Set(
      results.map(({ samples, measured }) => `${samples.skein?.length ?? 0} of ${measured.seconds} s`),
    ),
  ];
  return [
    `Measured on: ${places}. Commits: ${commits.join(", ")}. Runs of each broker: ${lengths.join(", ")}.`,
    "",
    "| scenario | goal | ratio | reached | CPU us: skein | mosquitto | aedes | a second: skein | mosquitto | p50 / p99 us: skein | mosquitto | RSS MB: skein | mosquitto | aedes | generator |",
    "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ...rows,
    "",
    ...remarksOf(results),
  ].join("\n");
}

/** Goals that are no ratios. */
function remarksOf(results: readonly Result[]): readonly string[] {
  const median = (scenario: string, quantity: Quantity): number | undefined => {
    const result = results.find((one) => one.scenario === scenario);
    return result === undefined ? undefined : medianOf(result, "skein", quantity);
  };
  const base = median("idle10k-sub", "baseMb");
  const [across, alone] = [median("mesh-p2p100-r10k", "p50Us"), median("p2p100-r10k", "p50Us")];
  const remarks = [];
  if (base !== undefined) remarks.push(`A node before its first client: ${shown(base)} MB (asked 70).`);
  if (across !== undefined && alone !== undefined)
    remarks.push(`A second node adds ${shown(across - alone)} us to p50 at 10,000 msg/s (asked 300).`);
  return remarks;
}

function rowOf(result: Result, scenario: Scenario): string {
  const show = (broker: BrokerName, quantity: Quantity): string => shown(medianOf(result, broker, quantity));
  const latencies = (broker: BrokerName): string =>
    medianOf(result, broker, "p50Us") === undefined
      ? "-"
      : `${show(broker, "p50Us")} / ${show(broker, "p99Us")}`;
  const isIdle = scenario.kind === "idle";
  const cost: Quantity = isIdle ? "bytesEach" : "cpuUs";
  const unit = isIdle ? " B" : "";
  const goal = isIdle ? `${scenario.goalBytes} B` : goalOf(scenario);
  const latency = ratioOf(result, "p50Us");
  const ratios = [shown(ratioOf(result, cost)), ...(latency === undefined ? [] : [`p50 ${shown(latency)}`])];
  const reached = isReached(result, scenario);
  return `| ${[
    `${scenario.title} (\`${scenario.name}\`)`,
    goal,
    ratios.join(", "),
    reached === undefined ? "-" : reached ? "yes" : "**no**",
    ...BROKERS.map((broker) => `${show(broker, cost)}${unit}`),
    show("skein", "perSecond"),
    show("mosquitto", "perSecond"),
    latencies("skein"),
    latencies("mosquitto"),
    ...BROKERS.map((broker) => show(broker, "rssMb")),
    show("skein", "generator"),
  ].join(" | ")} |`;
}

function goalOf(scenario: Exclude<Scenario, { kind: "idle" }>): string {
  const latency = scenario.kind === "flow" ? scenario.latencyGoal : undefined;
  return latency === undefined ? `${scenario.goal}` : `${scenario.goal}, p50 ${latency}`;
}

/** Two or three digits that count. */
export function shown(value: number | undefined): string {
  if (value === undefined) return "-";
  if (value >= 1000) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(value < 1 ? 2 : 3)));
}
