/**
 * `npm run figures`: measures on the container network what the mesh promises about times and costs.
 *
 *   npm run figures                                      all of them, 20 runs each: about an hour and a half
 *   npm run figures -- --only formation3,powercut-lan    some of them
 *   npm run figures -- --only idle20 --dry               shows, and keeps nothing
 *
 * Results go to test/figures/results.json and docs/figures.md. Exit code 1: something asked for was not reached.
 */

import { parseArgs } from "node:util";
import { removeLeftovers } from "../containers/support/bridge.ts";
import { buildImage, findEngine } from "../containers/support/engine.ts";
import { failOver } from "./fail-over.ts";
import { formation, join } from "./formation.ts";
import { idle } from "./idle.ts";
import { commitName, Laboratory, loadNow, machineName } from "./laboratory.ts";
import { isReached, keepResults, type Result } from "./results.ts";
import { summaryOf } from "./statistics.ts";

/** One row of the table, before it is known where and when. */
export type Measured = Pick<Result, "title" | "unit" | "asked" | "samples">;

const FIGURES: Readonly<Record<string, (lab: Laboratory) => Promise<readonly Measured[]>>> = {
  formation3: (lab) => formation(lab, 3),
  formation20: (lab) => formation(lab, 20),
  join,
  "powercut-lan": (lab) => failOver(lab, "powercut", "lan"),
  "powercut-wired": (lab) => failOver(lab, "powercut", "wired"),
  "kill-lan": (lab) => failOver(lab, "kill", "lan"),
  "kill-wired": (lab) => failOver(lab, "kill", "wired"),
  planned: (lab) => failOver(lab, "planned", "lan"),
  planned2: (lab) => failOver(lab, "planned", "lan", 2),
  idle20: (lab) => idle(lab, 20),
};

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    runs: { type: "string", default: "20" },
    dry: { type: "boolean" },
    help: { type: "boolean" },
  },
});
const names = values.only?.split(",") ?? Object.keys(FIGURES);
const runs = Number(values.runs);
const unknown = names.filter((name) => !(name in FIGURES));
if (values.help === true || unknown.length > 0 || !Number.isInteger(runs) || runs < 1) {
  process.stderr.write(
    `usage: npm run figures -- [--only ${Object.keys(FIGURES).join(",")}] [--runs N] [--dry]\n`,
  );
  process.exit(values.help === true ? 0 : 2);
}

Object.assign(process.env, { SKEIN_TEST_REQUIRE_DOCKER: "true" });
const engine = await findEngine();
if (engine === undefined) process.exit(1);
await removeLeftovers(engine);
await buildImage();
const lab = new Laboratory(engine, runs);
// Of the image, whatever is committed while it is measured.
const commit = commitName();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => void lab.close().finally(() => process.exit(130)));
}
try {
  for (const name of names) {
    const load = loadNow();
    const measured = (await FIGURES[name]?.(lab)) ?? [];
    const circumstances = { date: new Date().toISOString(), commit, machine: machineName() };
    const results = measured.map((row): Result => {
      return { ...row, figure: name, measured: { ...circumstances, load: [load, loadNow()] } };
    });
    for (const result of results) {
      const { median, worst } = summaryOf(result.samples);
      const verdict = isReached(result) ? "reached" : "MISSED";
      lab.say(
        `${result.title}: median ${median.toFixed(2)}, worst ${worst.toFixed(2)} ${result.unit}: ${verdict}`,
      );
      if (verdict === "MISSED") process.exitCode = 1;
    }
    if (values.dry !== true) keepResults(results, Object.keys(FIGURES));
  }
} finally {
  await lab.close();
}
