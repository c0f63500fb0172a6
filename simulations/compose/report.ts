/** What one run of the simulation showed, as a page with pictures. Pure: files in, text out. */

import { summaryOf } from "../../test/figures/statistics.ts";
import type { ClientEvent, ClientPlan } from "./client-events.ts";
import { shareBack } from "./clients-back.ts";
import { type Cost, costPlots, nodeRows, summaryRows } from "./cost.ts";
import type { Deed } from "./faults.ts";
import { groupBy } from "./group-by.ts";
import { broken, type PairClass, type Tally } from "./judge.ts";
import { boxes, type Curve, curves } from "./plots.ts";
import { type Impact, PROBE_MS, passedLimits, passedOverlap } from "./promises.ts";

/** Everything the report is made from. Times are ms since 1970. */
export interface Findings extends Cost {
  readonly machine: string;
  readonly commit: string;
  readonly command: string;
  readonly load: readonly [atStart: number, atEnd: number];
  readonly nodes: number;
  readonly formedAfterMs: number;
  readonly deeds: readonly Deed[];
  readonly plans: readonly ClientPlan[];
  readonly events: readonly ClientEvent[];
  readonly tallies: readonly Tally[];
  /** One for each deed. */
  readonly impacts: readonly Impact[];
  /** The longest time during which two nodes that were not cut off from each other held the address at once. */
  readonly longestOverlapMs: number;
  readonly retained: { readonly topics: number; readonly faults: readonly string[] };
}

/** By file name. */
export type Pages = ReadonlyMap<string, string>;

const CLASS_MEANS: Readonly<Record<PairClass, string>> = {
  steady: "both ends stayed connected and no fault was between them: promised (P5-P7)",
  moved:
    "as steady, but the publisher sent the message again on another connection, where it was acknowledged: not lost, and not late (P5, P7)",
  hidden: "a fault was between the subscriber and the node that acknowledged: not judged",
  away: "the subscriber was not connected and its session is not durable: not promised",
  durable:
    "the subscriber has a durable session: nothing of QoS 1 and 2 is lost or late, nothing of QoS 2 comes twice, on whichever node it is (P5-P7)",
  split:
    "the same, and the message was under way in a split or in the twelve seconds after it, or came after such a one: nothing of QoS 1 and 2 is lost (P5); twice and late are the known gap of docs/guarantees.md",
};

/** What the run broke of what is promised today. */
export function faultsOf({ impacts, longestOverlapMs, tallies, retained }: Findings): readonly string[] {
  const wrong = retained.faults.map((fault) => `P8: ${fault}`);
  return [...passedLimits(impacts), ...passedOverlap(longestOverlapMs), ...broken(tallies), ...wrong];
}

export function pagesOf(findings: Findings): Pages {
  const pages = new Map<string, string>();
  const marks = findings.deeds.flatMap(({ windows }) =>
    windows.map(({ fromMs }) => seconds(findings, fromMs)),
  );
  pages.set("fail-over.svg", failOverPlot(findings));
  pages.set("clients-back.svg", clientsBackPlot(findings));
  for (const [file, picture] of costPlots(findings, marks)) pages.set(file, picture);
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
kernels that were not cut off from each other held the address at once for at most ${Math.round(findings.longestOverlapMs)} ms; P1 allows 2.6 s.

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
hands out at once what it takes, so that some of it is late on the other side. Of QoS 0, a durable session is promised nothing.

${examplesOf(findings)}
Retained messages (P8): ${findings.retained.topics} topics compared on every node after the run, ${findings.retained.faults.length} wrong.

## Cost

| | median of the nodes | most |
|---|---|---|
${summaryRows(findings)}

Bytes are those of whole frames, with all headers. To other nodes: all on the links between them (gossip, heartbeats, the log, and messages on their
way to subscribers elsewhere), and mDNS. Before there are clients that is gossip and heartbeats. The replicated log is what the journal keeps: segments
and snapshot; it is cut off at each snapshot. Idle is the first twenty seconds, in which a node still compiles what it runs: in the third minute it
needs less than half of that (docs/figures.md, idle20).

| node | processor, % of a core | memory, MB | sent, kB/s | received, kB/s | sent to other nodes, kB/s | log text, kB | replicated log, kB |
|---|---|---|---|---|---|---|---|
${nodeRows(findings)}

![processor](cpu.svg)
![memory](memory.svg)
![sent to other nodes](mesh.svg)
![all that is sent](network.svg)
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
  const lines = tallies
    .filter(({ examples }) => examples.length > 0)
    .map(({ class: pairs, qos, examples }) => {
      const each = examples.map(({ what, sentMs }) => `${what}, sent at ${inSeconds(sentMs - startMs)}`);
      return `Broken among the ${pairs} pairs of QoS ${qos}, for example: ${each.join("; ")}.\n`;
    });
  return lines.join("");
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
