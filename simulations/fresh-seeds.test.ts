/**
 * Seeds that nobody has seen before, another few hundred with every commit: each is run twice, and the two histories must agree
 * to the last event.
 *
 * The seeds follow from the commit, so a failure is there again when its commit is tested again; the message has the command
 * that replays it. SKEIN_SIM_SEED chooses another beginning. On a slow machine no new seed is begun after the time given, and the
 * report says how many there were.
 */

import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { runMany } from "./many-seeds.ts";
import type { Load } from "./run-seed.ts";

interface Portion {
  readonly load: Load;
  readonly seeds: number;
  readonly minutes: number;
  readonly secondsMax: number;
}

const PORTIONS: readonly Portion[] = [
  { load: "writes", seeds: 200, minutes: 5, secondsMax: 180 },
  { load: "household", seeds: 24, minutes: 2, secondsMax: 70 },
];
/** Fewer than one in four of the seeds: this machine cannot judge anything. */
const LEAST_SHARE = 0.25;

const from = firstSeed();

for (const { load, seeds, minutes, secondsMax } of PORTIONS) {
  const name = `${seeds} seeds of ${minutes} minutes from ${from} on, each twice: every promise holds (${load})`;
  test(name, { timeout: 4 * secondsMax * 1000 }, async () => {
    const failures: string[] = [];
    let done = 0;
    let simulatedMs = 0;
    const startedAt = performance.now();
    await runMany({
      from,
      to: from + seeds - 1,
      wishes: { minutes },
      load,
      isTwice: true,
      secondsMax,
      done: (verdict) => {
        done++;
        simulatedMs += 2 * verdict.simulatedMs;
        if (verdict.failure === undefined) return;
        const flag = load === "household" ? " --household" : "";
        failures.push(
          `${verdict.failure.message}\n  npm run sim -- --seed ${verdict.seed} --minutes ${minutes}${flag}`,
        );
      },
    });
    const seconds = (performance.now() - startedAt) / 1000;
    const hours = simulatedMs / 3_600_000;
    process.stdout.write(
      `${load}: ${done} of ${seeds} seeds twice, ${hours.toFixed(1)} simulated hours in ${seconds.toFixed(0)} s\n`,
    );
    expect(failures).toEqual([]);
    expect(done).toBeGreaterThan(seeds * LEAST_SHARE);
  });
}

/** The first 28 bits of the commit: far from those of the next. Outside a checkout always the same. */
function firstSeed(): number {
  const { SKEIN_SIM_SEED } = process.env;
  if (SKEIN_SIM_SEED !== undefined) return Number(SKEIN_SIM_SEED);
  try {
    const commit = execFileSync("git", ["rev-parse", "HEAD"], { encoding: "utf8", stdio: "pipe" });
    return Number.parseInt(commit.slice(0, 7), 16);
  } catch {
    return 1;
  }
}
