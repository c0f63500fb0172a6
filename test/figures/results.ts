/**
 * What was measured, on which machine and at which commit: kept in a file, and shown as the table of docs/figures.md.
 *
 * A figure that is measured again replaces its earlier result and no other.
 */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { summaryOf } from "./statistics.ts";

/** What should be reached; a limit that is left out was not asked for. */
interface Asked {
  readonly median?: number;
  readonly worst?: number;
}

/** One row of the table. */
export interface Result {
  readonly title: string;
  /** `npm run figures -- --only NAME` measures it. */
  readonly figure: string;
  readonly unit: "ms" | "%" | "MB" | "kB/s";
  readonly asked: Asked;
  readonly samples: readonly number[];
  readonly measured: Circumstances;
}

/** Where and when. */
interface Circumstances {
  readonly date: string;
  readonly commit: string;
  readonly machine: string;
  /** Load averages of one minute at the start and at the end: what else went on. */
  readonly load: readonly [number, number];
}

const FILE = join(import.meta.dirname, "results.json");
const PAGE = join(import.meta.dirname, "../../docs/figures.md");

function readResults(): readonly Result[] {
  return existsSync(FILE) ? (JSON.parse(readFileSync(FILE, "utf8")) as Result[]) : [];
}

/** Replaces rows of the same figure, and writes the page anew. */
export function keepResults(fresh: readonly Result[], order: readonly string[]): void {
  const figures = new Set(fresh.map(({ figure }) => figure));
  const kept = readResults().filter(({ figure }) => !figures.has(figure));
  const rank = ({ figure }: Result): number => order.indexOf(figure);
  const all = [...kept, ...fresh].sort((a, b) => rank(a) - rank(b));
  writeFileSync(FILE, `${JSON.stringify(all, undefined, 2)}\n`);
  writeFileSync(PAGE, pageOf(all));
}

/** Whether the samples keep what was asked. */
export function isReached({ samples, asked }: Pick<Result, "samples" | "asked">): boolean {
  const { median, worst } = summaryOf(samples);
  return median <= (asked.median ?? Infinity) && worst <= (asked.worst ?? Infinity);
}

/** docs/figures.md. Pure. */
function pageOf(results: readonly Result[]): string {
  const rows = results.map((result) => {
    const { title, figure, unit, asked, samples, measured } = result;
    const { runs, median, worst } = summaryOf(samples);
    const show = (value: number): string => shown(value, unit);
    const limits = [
      asked.median === undefined ? "" : `median ${show(asked.median)}`,
      asked.worst === undefined ? "" : `worst ${show(asked.worst)}`,
    ].filter((text) => text !== "");
    const verdict = isReached(result) ? "yes" : "**no**";
    const load = measured.load.map((value) => value.toFixed(1)).join(" to ");
    return `| ${title} | ${runs} | ${show(median)} | ${show(worst)} | ${limits.join(", ")} | ${verdict} | \`${figure}\`, ${measured.commit}, ${load} |`;
  });
  const machines = [...new Set(results.map(({ measured }) => measured.machine))];
  const dates = [...new Set(results.map(({ measured }) => measured.date.slice(0, 10)))].sort();
  return `# Figures of the mesh in containers

Written by \`npm run figures\` (\`test/figures/figures.ts\`), which measures on the container network: real nodes, one bridge, the
clients and the clock on the Docker host. \`npm run figures -- --only NAME --runs 20\` repeats one and replaces its rows.

Measured on: ${machines.join("; ")}. ${dates.join(", ")}.

Power cut means that the cable is pulled (\`docker network disconnect\`): nobody closes a connection. Times begin with the fault; the
address is back when a CONNECT to it is answered, a client when its own reconnect was. The last column names the
figure, the commit and the machine's load average at begin and end: with other work on the cores the times are longer.

| what | runs | median | worst | asked | reached | measured |
|---|---|---|---|---|---|---|
${rows.join("\n")}
`;
}

function shown(value: number, unit: Result["unit"]): string {
  if (unit === "ms") return value >= 1000 ? `${(value / 1000).toFixed(1)} s` : `${Math.round(value)} ms`;
  return `${value.toFixed(value < 10 ? 2 : 1)} ${unit}`;
}
