/**
 * Seeds that nobody has seen before, another few hundred with every commit. One in four is run twice, and the two histories must
 * agree to the last event.
 *
 * The seeds follow from the commit, so a failure is there again when its commit is tested again; the message has the command
 * that replays it. SKEIN_SIM_SEED chooses another beginning. On a slow machine no new seed is begun after the time given, and the
 * report says how many there were.
 */

import type { ScheduleWishes } from "@skein/testkit";
import { expect, test } from "vitest";
import { commitNumber } from "./commit-number.ts";
import { runMany } from "./many-seeds.ts";
import { commandOf, type Load } from "./run-seed.ts";

interface Portion {
  readonly name: string;
  readonly load: Load;
  readonly seeds: number;
  /** What the seeds do in turn. */
  readonly variants: readonly Omit<ScheduleWishes, "seed">[];
  readonly secondsMax: number;
}

/** The largest first: it takes longest, and every one has its turn before the time is over. */
const SIZES = [20, 13, 8, 2, 1].map((nodes) => ({ nodes, minutes: 1 }));

const PORTIONS: readonly Portion[] = [
  { name: "of 5 minutes", load: "writes", seeds: 200, variants: [{ minutes: 5 }], secondsMax: 100 },
  { name: "of 2 minutes", load: "household", seeds: 24, variants: [{ minutes: 2 }], secondsMax: 40 },
  { name: "of 1 to 20 nodes", load: "writes", seeds: 15, variants: SIZES, secondsMax: 10 },
];
/** Fewer than one in four of the seeds: this machine cannot judge anything. */
const LEAST_SHARE = 0.25;

/** One in so many is run a second time, and the histories must agree. */
const TWICE_EVERY = 4;

/** What was begun in time may take so long, a second run included. */
const LONGEST_SECONDS = 20;

const from = commitNumber();

for (const { name, load, seeds, variants, secondsMax } of PORTIONS) {
  const title = `${seeds} seeds ${name} from ${from} on: every promise holds (${load})`;
  test(title, { timeout: 4 * (secondsMax + LONGEST_SECONDS) * 1000 }, async () => {
    const failures: string[] = [];
    let done = 0;
    let simulatedMs = 0;
    const startedAt = performance.now();
    const wishesOf = (seed: number): ScheduleWishes => ({
      seed,
      ...(variants[(seed - from) % variants.length] as Omit<ScheduleWishes, "seed">),
    });
    await runMany({
      from,
      to: from + seeds - 1,
      wishesOf,
      load,
      isTwice: (seed) => seed % TWICE_EVERY === 0,
      secondsMax,
      done: (verdict) => {
        done++;
        simulatedMs += verdict.simulatedMs * (verdict.seed % TWICE_EVERY === 0 ? 2 : 1);
        if (verdict.failure === undefined) return;
        failures.push(`${verdict.failure.message}\n  ${commandOf(wishesOf(verdict.seed), load)}`);
      },
    });
    const seconds = (performance.now() - startedAt) / 1000;
    const hours = simulatedMs / 3_600_000;
    process.stdout.write(
      `${load} ${name}: ${done} of ${seeds} seeds, ${hours.toFixed(1)} simulated hours in ${seconds.toFixed(0)} s\n`,
    );
    expect(failures).toEqual([]);
    expect(done).toBeGreaterThan(seeds * LEAST_SHARE);
  });
}
