/** What one run of the simulation showed, as a page with pictures. Pure: files in, text out. */

import { summaryOf } from "../../test/figures/statistics.ts";
import type { ClientEvent, ClientPlan } from "./client-events.ts";
import { shareBack } from "./clients-back.ts";
import type { Deed } from "./faults.ts";
import { broken, type PairClass, type Tally } from "./judge.ts";
import type { Reading } from "./meters.ts";
import { boxes, type Curve, curves } from "./plots.ts";
import { type Impact, PROBE_MS, passedLimits } from "./promises.ts";

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
  /** One for each deed. */
  readonly impacts: readonly Impact[];
  readonly longestOverlapMs: number;
  readonly retained: { readonly topics: number; readonly faults: readonly string[] };
  readonly logBytes: ReadonlyMap<string, number>;
}

/** By file name. */
export type Pages = ReadonlyMap<string, string>;

const CLASS_MEANS: Readonly<Record<PairClass, string>> = {
  steady: "both ends stayed connected and no fault was between them: promised (P5-P7)",
  hidden: "a fault was between them, or the publisher had to connect anew before the acknowledgement",
  away: "the subscriber was not connected and its session is not durable: not promised",
  durable:
    "the subscriber has a durable session: nothing of QoS 1 and 2 is lost, nothing of QoS 2 comes twice, on whichever node it is (P5, P6)",
};

/** What the run broke of what is promised today. */
export function faultsOf({ impacts, tallies, retained }: Findings): readonly string[] {
  const wrong = retained.faults.map((fault) => `P8: ${fault}`);
  return [...passedLimits(impacts), ...broken(tallies), ...wrong];
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

**${faults.length === 0 ? "No limit of P1 and P2 was passed, and nothing broke P5 to P8 as far as they are built." : `BROKEN: ${faults.join("; ")}.`}**

${plans.length} MQTT.js clients in three rooms (network namespaces): subscribers of everything with keepalive 15, 30 and 60 on the address, some on
nodes, some with durable sessions; publishers of one message a second at QoS 0, 1 and 2, and of retained messages. Each
reconnects by itself after a second. The mesh had formed ${(formedAfterMs / 1000).toFixed(1)} s after the last container's start.

## What happened

| at | until | what | address: no answer for | clients on the address: lost their connection, back in (median, last) |
|---|---|---|---|---|
${findings.deeds.map((deed, at) => deedRow(findings, deed, at)).join("\n")}

The address is asked ten times a second and each time for half a second, so a time without an answer is exact to ${PROBE_MS / 1000} s; P1 allows 5 s after a
fault and 1 s in a planned move, P2 10 s and 6 s for the clients. Each end of a split moves the address and counts from itself. A split is cut between switches (ARP and multicast stop too); the host, which asks the address, stays with the first part. Two
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

What a durable session had not acknowledged when its client went to another node comes once more there (QoS 1: twice), and in a split each side
hands out at once what it takes, so that some of it is late on the other side.

${examplesOf(findings)}
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

function deedRow(findings: Findings, deed: Deed, at: number): string {
  const { name, fromMs, undoneMs, holderStruckMs } = deed;
  const { addressMs = [], returns = [] } = findings.impacts[at] ?? {};
  const begin = `| ${seconds(findings, fromMs).toFixed(0)} s | ${seconds(findings, undoneMs).toFixed(0)} s | ${name} |`;
  if (holderStruckMs.length === 0) return `${begin} - | - |`;
  const came = returns.flatMap(({ backMs }) => backMs ?? []);
  const times =
    came.length === 0 ? "" : `, ${inSeconds(summaryOf(came).median)}, ${inSeconds(Math.max(...came))}`;
  const missing = returns.length - came.length;
  const away = missing === 0 ? "" : ` (${missing} not back before the next fault)`;
  return `${begin} ${addressMs.map(inSeconds).join(", ")} | ${returns.length}${times}${away} |`;
}

function tallyRow(tally: Tally): string {
  const { qos, pairs, lost, duplicated, repeated, reordered } = tally;
  return `| ${tally.class} | ${qos} | ${pairs} | ${lost} | ${duplicated} | ${repeated} | ${reordered} |`;
}

function examplesOf({ tallies, startMs }: Findings): string {
  const examples = tallies.filter((tally) => tally.class === "steady").flatMap(({ examples: some }) => some);
  const twice = tallies
    .filter((tally) => tally.class === "durable" && tally.qos === 2)
    .flatMap((tally) => tally.twice)
    .map(({ what, sentMs }) => `${what}, sent at ${((sentMs - startMs) / 1000).toFixed(1)} s`);
  const lines = [
    examples.length === 0 ? "" : `Among the steady pairs: ${examples.join("; ")}.\n`,
    twice.length === 0 ? "" : `QoS 2 twice with durable sessions: ${twice.join("; ")}.\n`,
  ];
  return lines.join("");
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
  const byNode = groupBy(readings, ({ node }) => node);
  return [...byNode.values()].map((own) => own.reduce((sum, reading) => sum + of(reading), 0) / own.length);
}

function failOverPlot({ impacts }: Findings): string {
  const all = groupBy(impacts, ({ name }) => shortName(name));
  const boxesOf = [...all].map(([name, own]) => {
    return { name, samples: own.flatMap(({ addressMs }) => addressMs.map((ms) => ms / 1000)) };
  });
  const title = "Longest time in which no CONNECT to the address was answered";
  return boxes(
    { title, x: "", y: "seconds" },
    boxesOf.filter(({ samples }) => samples.length > 0),
  );
}

function clientsBackPlot({ impacts }: Findings): string {
  const all = groupBy(impacts, ({ name }) => shortName(name));
  const lines = [...all].map(([name, own]): Curve => {
    return { name, points: shareBack(own.flatMap(({ returns }) => returns.map(({ backMs }) => backMs))) };
  });
  const title = "Clients on the address that are back";
  return curves(
    { title, x: "seconds after the fault", y: "%" },
    lines.filter(({ points }) => points.length > 1),
  );
}

function groupBy<Item, Key>(items: readonly Item[], keyOf: (item: Item) => Key): ReadonlyMap<Key, Item[]> {
  const groups = new Map<Key, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}

/** Median and largest of the nodes at each reading. */
function linesOf(findings: Findings, of: (reading: Reading) => number): readonly Curve[] {
  const byTime = [...groupBy(findings.readings, ({ t }) => t)].sort(([a], [b]) => a - b);
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
