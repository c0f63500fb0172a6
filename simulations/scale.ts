/**
 * The command `npm run sim:scale`: what a mesh of 20 to 1,000 nodes costs, measured in virtual time, as the table of docs/scale.md.
 *
 * Whole nodes as far as they fit in the time, the mesh layer of one node among puppets beyond (scale/large-mesh.ts). Exit codes: 0, 2
 * wrong arguments.
 */

import { parseArgs } from "node:util";
import { type Quantiles, type ScaleFigures, wireBytes } from "./scale/figures.ts";
import { measureLargeMesh } from "./scale/large-mesh.ts";
import { measureWholeNodes } from "./scale/whole-nodes.ts";

const USAGE = `Measures what a mesh of some sizes costs, in virtual time.

npm run sim:scale -- [--whole N,N...] [--mesh N,N...] [--seconds S]
  --whole N,N...   sizes with whole nodes (default: 20,33,100)
  --mesh N,N...    sizes with the mesh layer of one node among puppets (default: 20,100,1000)
  --seconds S      begin no new size after S seconds (default: 600)`;

const HEAD = [
  "| nodes | simulated | formed s | idle B/s (leader) | pieces/s (leader) | on the wire B/s (leader) | new filter ms p50 / p99 | suspect s p50 / p99 | dead s p50 / p99 | back s p50 / p99 | one write B: leader, other | heap MiB per node |",
  "|---|---|---|---|---|---|---|---|---|---|---|---|",
];

const { values } = parseArgs({
  options: {
    whole: { type: "string", default: "20,33,100" },
    mesh: { type: "string", default: "20,100,1000" },
    seconds: { type: "string", default: "600" },
  },
});
const [whole, mesh] = [values.whole, values.mesh].map((text) =>
  text
    .split(",")
    .filter((part) => part !== "")
    .map(Number),
) as [number[], number[]];
const secondsMax = Number(values.seconds);
if (!Number.isFinite(secondsMax) || ![...whole, ...mesh].every((size) => size >= 3 && size <= 1024)) {
  process.stderr.write(`${USAGE}\n`);
  process.exit(2);
}

const startedAt = performance.now();
const rows: string[] = [];
const measures = [
  ...whole.map((nodes) => ({ nodes, what: "whole nodes", measure: () => measureWholeNodes(nodes) })),
  ...mesh.map((nodes) => ({ nodes, what: "mesh layer", measure: () => measureLargeMesh(nodes) })),
];
for (const { nodes, what, measure } of measures) {
  const seconds = (performance.now() - startedAt) / 1000;
  if (seconds > secondsMax) {
    process.stderr.write(`${nodes} nodes (${what}): left out, ${secondsMax} s are over\n`);
    continue;
  }
  process.stderr.write(`${nodes} nodes (${what}) ...\n`);
  const figures = measure();
  process.stderr.write(`  took ${((performance.now() - startedAt) / 1000 - seconds).toFixed(0)} s\n`);
  rows.push(rowOf(figures));
}
process.stdout.write(`${[...HEAD, ...rows].join("\n")}\n`);

function rowOf({ idle, write, ...figures }: ScaleFigures): string {
  const { median, leader } = idle;
  const both = (of: (traffic: typeof median) => number): string =>
    `${of(median).toFixed(0)}${leader === undefined ? "" : ` (${of(leader).toFixed(0)})`}`;
  const cells = [
    figures.nodes,
    figures.kind,
    figures.formationMs === undefined ? "-" : (figures.formationMs / 1000).toFixed(1),
    both(({ bytes }) => bytes),
    both(({ pieces }) => pieces),
    both(wireBytes),
    pair(figures.interestMs, 1, 0),
    pair(figures.suspectMs, 1000, 1),
    pair(figures.deadMs, 1000, 1),
    pair(figures.backMs, 1000, 2),
    `${write.leaderBytes.toFixed(0)}, ${write.otherBytes.toFixed(0)}${write.isCalculated ? " (calculated)" : ""}`,
    figures.heapMiB.toFixed(1),
  ];
  return `| ${cells.join(" | ")} |`;
}

function pair(value: Quantiles, unit: number, digits: number): string {
  return `${(value.p50 / unit).toFixed(digits)} / ${(value.p99 / unit).toFixed(digits)}`;
}
