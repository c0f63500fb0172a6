/** What a run has cost each node, as tables and plots. Pure. */

import { summaryOf } from "../../test/figures/statistics.ts";
import { groupBy } from "./group-by.ts";
import type { Reading, Written } from "./meters.ts";
import { type Curve, curves } from "./plots.ts";

/** Times are ms since 1970. */
export interface Cost {
  /** When the clients began, and when all was over. */
  readonly startMs: number;
  readonly endMs: number;
  readonly readings: readonly Reading[];
  /** Those from before there were clients. */
  readonly idle: readonly Reading[];
  /** By node, all of them. */
  readonly written: ReadonlyMap<string, Written>;
}

const MEGABYTE = 2 ** 20;

/** Rows "median of the nodes, most". */
export function summaryRows({ readings, idle, written, startMs, endMs }: Cost): string {
  const hours = (endMs - startMs) / 3_600_000;
  const row = (what: string, unit: string, all: readonly number[], digits = 1): string => {
    if (all.length === 0) return `| ${what} | - | - |`;
    const { median, worst } = summaryOf(all);
    return `| ${what} | ${median.toFixed(digits)} ${unit} | ${worst.toFixed(digits)} ${unit} |`;
  };
  const mean = (of: (reading: Reading) => number, all = readings): readonly number[] =>
    [...groupBy(all, ({ node }) => node).values()].map((own) => meanOf(own, of));
  const kilobytes = (of: (own: Written) => number): readonly number[] =>
    [...written.values()].map((own) => of(own) / 1000);
  const text = kilobytes(({ textBytes }) => textBytes);
  return [
    row(
      "processor, idle before the clients",
      "% of a core",
      mean(({ cpu }) => cpu, idle),
      2,
    ),
    row(
      "gossip and heartbeats sent, idle before the clients",
      "kB/s",
      mean(({ meshRate }) => meshRate / 1000, idle),
      2,
    ),
    row(
      "all that is sent, idle before the clients",
      "kB/s",
      mean(({ sentRate }) => sentRate / 1000, idle),
      2,
    ),
    row(
      "received, idle, multicast included",
      "kB/s",
      mean(({ receivedRate }) => receivedRate / 1000, idle),
      2,
    ),
    row(
      "processor, mean over the run",
      "% of a core",
      mean(({ cpu }) => cpu),
    ),
    row(
      "resident memory, mean over the run",
      "MB",
      mean(({ rssBytes }) => rssBytes / MEGABYTE),
    ),
    row(
      "sent, mean over the run",
      "kB/s",
      mean(({ sentRate }) => sentRate / 1000),
    ),
    row(
      "of that to other nodes",
      "kB/s",
      mean(({ meshRate }) => meshRate / 1000),
    ),
    row("log text", "kB", text),
    row(
      "log text per hour of this",
      "kB",
      text.map((bytes) => bytes / hours),
      0,
    ),
    row(
      "replicated log on disk at the end",
      "kB",
      kilobytes(({ journalBytes }) => journalBytes),
    ),
  ].join("\n");
}

/** A row for each node: means over the run, and what it has written by its end. */
export function nodeRows({ readings, written }: Cost): string {
  const byNode = groupBy(readings, ({ node }) => node);
  return [...written]
    .map(([node, { textBytes, journalBytes }]) => {
      const own = byNode.get(node) ?? [];
      const mean = (of: (reading: Reading) => number): string =>
        own.length === 0 ? "-" : meanOf(own, of).toFixed(1);
      const cells = [
        node,
        mean(({ cpu }) => cpu),
        mean(({ rssBytes }) => rssBytes / MEGABYTE),
        mean(({ sentRate }) => sentRate / 1000),
        mean(({ receivedRate }) => receivedRate / 1000),
        mean(({ meshRate }) => meshRate / 1000),
        (textBytes / 1000).toFixed(1),
        (journalBytes / 1000).toFixed(1),
      ];
      return `| ${cells.join(" | ")} |`;
    })
    .join("\n");
}

/** By file name. `marks`: seconds at which faults begin. */
export function costPlots(cost: Cost, marks: readonly number[]): ReadonlyMap<string, string> {
  const plot = (title: string, y: string, of: (reading: Reading) => number): string =>
    curves({ title, x: "seconds", y }, summaryLines(cost, of), marks, nodeLines(cost, of));
  return new Map([
    ["cpu.svg", plot("Processor per node, dotted: a fault begins", "% of a core", ({ cpu }) => cpu)],
    ["memory.svg", plot("Resident memory per node", "MB", ({ rssBytes }) => rssBytes / MEGABYTE)],
    ["network.svg", plot("Sent per node, to clients too", "kB/s", ({ sentRate }) => sentRate / 1000)],
    [
      "mesh.svg",
      plot("Sent per node to other nodes: links and mDNS", "kB/s", ({ meshRate }) => meshRate / 1000),
    ],
  ]);
}

/** Median and largest of the nodes at each reading. */
function summaryLines({ readings, startMs }: Cost, of: (reading: Reading) => number): readonly Curve[] {
  const byTime = [...groupBy(readings, ({ t }) => t)].sort(([a], [b]) => a - b);
  const points = (pick: "median" | "worst"): Curve["points"] =>
    byTime.map(([t, all]) => [(t - startMs) / 1000, summaryOf(all.map(of))[pick]]);
  return [
    { name: "median node", points: points("median") },
    { name: "largest; thin: each node", points: points("worst") },
  ];
}

function nodeLines({ readings, startMs }: Cost, of: (reading: Reading) => number): readonly Curve[] {
  return [...groupBy(readings, ({ node }) => node)].map(([name, own]) => {
    return { name, points: own.map((reading) => [(reading.t - startMs) / 1000, of(reading)]) };
  });
}

function meanOf(readings: readonly Reading[], of: (reading: Reading) => number): number {
  return readings.reduce((sum, reading) => sum + of(reading), 0) / readings.length;
}
