/**
 * Seeds that nobody has seen before, another few hundred with every commit. One in four is run twice, and the two histories must
 * agree to the last event.
 *
 * The seeds follow from the commit, so a failure is there again when its commit is tested again; the message has the command
 * that replays it. SKEIN_SIM_SEED chooses another beginning. On a slow machine no new seed is begun after the time given, and the
 * report says how many there were.
 */

import { expect, test } from "vitest";
import { commitNumber } from "./commit-number.ts";
import { runMany } from "./many-seeds.ts";
import type { Load } from "./run-seed.ts";

interface Portion {
  readonly load: Load;
  readonly seeds: number;
  readonly minutes: number;
  readonly secondsMax: number;
}

const PORTIONS: readonly Portion[] = [
  { load: "writes", seeds: 200, minutes: 5, secondsMax: 100 },
  { load: "household", seeds: 24, minutes: 2, secondsMax: 40 },
];
/** Fewer than one in four of the seeds: this machine cannot judge anything. */
const LEAST_SHARE = 0.25;

/** One in so many is run a second time, and the histories must agree. */
const TWICE_EVERY = 4;

const from = commitNumber();

for (const { load, seeds, minutes, secondsMax } of PORTIONS) {
  const name = `${seeds} seeds of ${minutes} minutes from ${from} on: every promise holds (${load})`;
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
      isTwice: (seed) => seed % TWICE_EVERY === 0,
      secondsMax,
      done: (verdict) => {
        done++;
        simulatedMs += verdict.simulatedMs * (verdict.seed % TWICE_EVERY === 0 ? 2 : 1);
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
      `${load}: ${done} of ${seeds} seeds, ${hours.toFixed(1)} simulated hours in ${seconds.toFixed(0)} s\n`,
    );
    expect(failures).toEqual([]);
    expect(done).toBeGreaterThan(seeds * LEAST_SHARE);
  });
}
