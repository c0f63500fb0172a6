/** What one run of the simulation showed, as a page with pictures. Pure: files in, text out. */

import { summaryOf } from "../../test/figures/statistics.ts";
import type { ClientEvent, ClientPlan } from "./client-events.ts";
import { backAfterMs, shareBack } from "./clients-back.ts";
import type { Deed } from "./faults.ts";
import { broken, type PairClass, type Tally } from "./judge.ts";
import type { Reading } from "./meters.ts";
import { boxes, type Curve, curves } from "./plots.ts";

/** Everything the report is made from. Times are ms since 1970. */
export interface Findings {
  readonly machine: string;
  readonly commit: string;
  readonly command: string;
  readonly load: readonly [atStart: number, atEnd: number];
  readonly nodes: number;
  readonly formedAfterMs: number;
  /** When the clients began, and when all was over. */
  readonly startMs: number;
  readonly endMs: number;
  readonly deeds: readonly Deed[];
  readonly plans: readonly ClientPlan[];
  readonly events: readonly ClientEvent[];
  readonly tallies: readonly Tally[];
  readonly readings: readonly Reading[];
  /** What was on the wire of each node before there were clients. */
  readonly idle: readonly Reading[];
  /** By name of the act: how long after the holder was struck the address answered again, ms. */
  readonly addressMs: ReadonlyMap<string, readonly number[]>;
  readonly longestOverlapMs: number;
  readonly retained: { readonly topics: number; readonly faults: readonly string[] };
  readonly logBytes: ReadonlyMap<string, number>;
}

/** By file name. */
export type Pages = ReadonlyMap<string, string>;

/** A client's fate is followed for this long after a fault, or until the next one. */
const FOLLOWED_MS = 60_000;

const CLASS_MEANS: Readonly<Record<PairClass, string>> = {
  steady: "both ends stayed connected and no fault was between them: promised (P5-P7)",
  hidden: "a fault was between them, or the publisher had to connect anew before the acknowledgement",
  away: "the subscriber was not connected and its session is not durable: not promised",
  durable:
    "the subscriber was away with a durable session: promised by P5, not built yet across nodes (docs/plan.md)",
};

/** What the run broke of what is promised today. */
export function faultsOf({ tallies, retained }: Findings): readonly string[] {
  return [...broken(tallies), ...retained.faults.map((fault) => `P8: ${fault}`)];
}

export function pagesOf(findings: Findings): Pages {
  const pages = new Map<string, string>();
  const marks = findings.deeds.flatMap(({ windows }) =>
    windows.map(({ fromMs }) => seconds(findings, fromMs)),
  );
  pages.set("fail-over.svg", failOverPlot(findings));
  pages.set("clients-back.svg", clientsBackPlot(findings));
  const overTime = (file: string, title: string, y: string, of: (reading: Reading) => number): void => {
    pages.set(file, curves({ title, x: "seconds", y }, linesOf(findings, of), marks));
  };
  overTime("cpu.svg", "Processor per node, dotted: a fault begins", "% of a core", ({ cpu }) => cpu);
  overTime("memory.svg", "Resident memory per node", "MB", ({ rssBytes }) => rssBytes / 2 ** 20);
  overTime(
    "network.svg",
    "Sent per node: gossip, heartbeats, clients",
    "kB/s",
    ({ sentRate }) => sentRate / 1000,
  );
  pages.set("report.md", reportOf(findings));
  return pages;
}

function reportOf(findings: Findings): string {
  const { machine, commit, command, nodes, formedAfterMs, startMs, endMs, load, plans } = findings;
  const faults = faultsOf(findings);
  const minutes = ((endMs - startMs) / 60_000).toFixed(1);
  return `# ${nodes} nodes for ${minutes} minutes: kills, pauses, pulled cables, splits, rolling restart

Written by \`${command}\` at commit ${commit}, ${new Date(startMs).toISOString()}. ${machine}. All nodes, clients and
measurements share this machine; its load average was ${load[0].toFixed(1)} before and ${load[1].toFixed(1)} after.

**${faults.length === 0 ? "Everything that is promised today was kept." : `BROKEN: ${faults.join("; ")}.`}**

${plans.length} MQTT.js clients in three rooms (network namespaces): subscribers of everything with keepalive 15, 30 and 60 on the address, some on
nodes, some with durable sessions; publishers of one message a second at QoS 0, 1 and 2, and of retained messages. Each
reconnects by itself after a second. The mesh had formed ${(formedAfterMs / 1000).toFixed(1)} s after the last container's start.

## What happened

| at | until | what | address answers after | clients on the address: lost their connection, back in (median, last) |
|---|---|---|---|---|
${findings.deeds.map((deed) => deedRow(findings, deed)).join("\n")}

A split is cut between switches (ARP and multicast stop too); the host, which asks the address, stays with the first part. Two
kernels held the address at once, outside of splits, for at most ${Math.round(findings.longestOverlapMs)} ms.

![fail-over times](fail-over.svg)
![clients back](clients-back.svg)

## Messages

Pairs of an acknowledged message (QoS 0: sent) and a subscriber. Lost: never came. Twice: came again though sent once. Again: came again
after the publisher sent it again on a new connection. Late: came for the first time after a newer one of its publisher.

| pairs | QoS | number | lost | twice | again | late |
|---|---|---|---|---|---|---|
${findings.tallies.map(tallyRow).join("\n")}

${Object.entries(CLASS_MEANS)
  .map(([name, meaning]) => `- ${name}: ${meaning}.`)
  .join("\n")}

Sessions live on one node today. What a durable session was owed on the node it was made on comes when its client is there again: lost
until then, twice and late afterwards. That, and a QoS 2 handshake that goes on at another node, is not covered by a
promise yet; the numbers are here for the day they are.

${examplesOf(findings.tallies)}
Retained messages (P8): ${findings.retained.topics} topics compared on every node after the run, ${findings.retained.faults.length} wrong.

## Cost

| | median of the nodes | most |
|---|---|---|
${costRows(findings)}

![processor](cpu.svg)
![memory](memory.svg)
![network](network.svg)
`;
}

function deedRow(findings: Findings, { name, windows, holderStruckMs, act }: Deed): string {
  const from = windows[0]?.fromMs ?? holderStruckMs[0] ?? findings.startMs + act.at * 1000;
  const to = act.kind === "rolling" ? (windows.at(-1)?.untilMs ?? from) : findings.startMs + act.until * 1000;
  const addressMs = findings.addressMs.get(name) ?? [];
  const backMs = holderStruckMs.flatMap((struckMs) => backAfter(findings, struckMs));
  const came = backMs.filter((ms) => ms !== undefined);
  const address = holderStruckMs.length === 0 ? "-" : addressMs.map(inSeconds).join(", ");
  const times =
    came.length === 0 ? "" : `, ${inSeconds(summaryOf(came).median)}, ${inSeconds(Math.max(...came))}`;
  const missing = backMs.length - came.length;
  const away = missing === 0 ? "" : ` (${missing} not back before the next fault)`;
  const clients = holderStruckMs.length === 0 ? "-" : `${backMs.length}${times}${away}`;
  return `| ${seconds(findings, from).toFixed(0)} s | ${seconds(findings, to).toFixed(0)} s | ${name} | ${address} | ${clients} |`;
}

function tallyRow(tally: Tally): string {
  const { qos, pairs, lost, duplicated, repeated, reordered } = tally;
  return `| ${tally.class} | ${qos} | ${pairs} | ${lost} | ${duplicated} | ${repeated} | ${reordered} |`;
}

function examplesOf(tallies: readonly Tally[]): string {
  const examples = tallies.filter((tally) => tally.class === "steady").flatMap(({ examples: some }) => some);
  return examples.length === 0 ? "" : `Among the steady pairs: ${examples.join("; ")}.\n`;
}

function costRows({ readings, idle, logBytes, startMs, endMs }: Findings): string {
  const hours = (endMs - startMs) / 3_600_000;
  const row = (what: string, unit: string, all: readonly number[], digits = 1): string => {
    if (all.length === 0) return `| ${what} | - | - |`;
    const { median, worst } = summaryOf(all);
    return `| ${what} | ${median.toFixed(digits)} ${unit} | ${worst.toFixed(digits)} ${unit} |`;
  };
  return [
    row(
      "processor, idle before the clients",
      "% of a core",
      meanByNode(idle, ({ cpu }) => cpu),
      2,
    ),
    row(
      "gossip and heartbeats sent, idle before the clients",
      "kB/s",
      meanByNode(idle, ({ sentRate }) => sentRate / 1000),
      2,
    ),
    row(
      "received, idle, multicast included",
      "kB/s",
      meanByNode(idle, ({ receivedRate }) => receivedRate / 1000),
      2,
    ),
    row(
      "processor, mean over the run",
      "% of a core",
      meanByNode(readings, ({ cpu }) => cpu),
    ),
    row(
      "resident memory, mean over the run",
      "MB",
      meanByNode(readings, ({ rssBytes }) => rssBytes / 2 ** 20),
    ),
    row(
      "sent, mean over the run",
      "kB/s",
      meanByNode(readings, ({ sentRate }) => sentRate / 1000),
    ),
    row(
      "log",
      "kB",
      [...logBytes.values()].map((bytes) => bytes / 1000),
    ),
    row(
      "log per hour of this",
      "kB",
      [...logBytes.values()].map((bytes) => bytes / 1000 / hours),
      0,
    ),
  ].join("\n");
}

function meanByNode(readings: readonly Reading[], of: (reading: Reading) => number): readonly number[] {
  const byNode = grouped(readings, ({ node }) => node);
  return [...byNode.values()].map((own) => own.reduce((sum, reading) => sum + of(reading), 0) / own.length);
}

function failOverPlot({ addressMs }: Findings): string {
  const all = [...addressMs].map(([name, ms]) => ({
    name: shortName(name),
    samples: ms.map((one) => one / 1000),
  }));
  return boxes({ title: "Until the address answers CONNECT again", x: "", y: "seconds" }, all);
}

function clientsBackPlot(findings: Findings): string {
  const lines = findings.deeds.flatMap((deed): Curve[] => {
    const backMs = deed.holderStruckMs.flatMap((struckMs) => backAfter(findings, struckMs));
    return backMs.length === 0 ? [] : [{ name: shortName(deed.name), points: shareBack(backMs) }];
  });
  const byName = [...new Map(lines.map((line) => [line.name, line])).values()];
  const title = "Clients on the address that are back";
  return curves({ title, x: "seconds after the fault", y: "%" }, byName);
}

function backAfter(
  { events, plans, deeds, endMs }: Findings,
  struckMs: number,
): readonly (number | undefined)[] {
  const clients = new Set(plans.filter(({ node }) => node === undefined).map(({ id }) => id));
  const later = deeds.flatMap(({ windows, holderStruckMs }) => [
    ...holderStruckMs,
    ...windows.map((one) => one.fromMs),
  ]);
  const next = Math.min(endMs, struckMs + FOLLOWED_MS, ...later.filter((ms) => ms > struckMs + 5000));
  return backAfterMs(events, clients, struckMs, next);
}

function grouped<Key>(
  readings: readonly Reading[],
  keyOf: (reading: Reading) => Key,
): ReadonlyMap<Key, Reading[]> {
  const groups = new Map<Key, Reading[]>();
  for (const reading of readings) {
    const key = keyOf(reading);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [reading]);
    else group.push(reading);
  }
  return groups;
}

/** Median and largest of the nodes at each reading. */
function linesOf(findings: Findings, of: (reading: Reading) => number): readonly Curve[] {
  const byTime = [...grouped(findings.readings, ({ t }) => t)].sort(([a], [b]) => a - b);
  const points = (pick: "median" | "worst"): (readonly [number, number])[] =>
    byTime.map(([t, all]) => [seconds(findings, t), summaryOf(all.map(of))[pick]]);
  return [
    { name: "median node", points: points("median") },
    { name: "largest", points: points("worst") },
  ];
}

function seconds({ startMs }: Findings, t: number): number {
  return (t - startMs) / 1000;
}

function inSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function shortName(name: string): string {
  return name
    .replace("of the holder", "holder")
    .replace("docker ", "")
    .replace("network cut in", "cut in")
    .replace("rolling restart of all", "rolling")
    .replace("address moved on purpose", "moved")
    .replace(" pulled", "");
}
