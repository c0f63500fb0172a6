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
  /** A machine that gets through fewer seeds cannot judge anything. */
  readonly least: number;
}

/** What the swarm does not draw; what takes longest comes last. */
const RARE = [
  ...[1, 2].map((nodes) => ({ nodes, minutes: 1 })),
  ...["foreign", "skew", "transfers", "upgrade"].map((scenario) => ({ scenario, minutes: 1 })),
  ...[8, 13, 20].map((nodes) => ({ nodes, minutes: 1 })),
];

const PORTIONS: readonly Portion[] = [
  {
    name: "of 5 minutes",
    load: "writes",
    seeds: 200,
    variants: [{ minutes: 5 }],
    secondsMax: 60,
    least: 24,
  },
  {
    name: "of 2 minutes",
    load: "household",
    seeds: 24,
    // What the swarm does not draw, and needs clients.
    variants: [{ minutes: 2 }, { minutes: 2 }, { scenario: "sharing", minutes: 2 }],
    secondsMax: 26,
    least: 3,
  },
  { name: "of what is rarer", load: "writes", seeds: 16, variants: RARE, secondsMax: 12, least: 3 },
];

/** One in so many is run a second time, and the histories must agree. */
const TWICE_EVERY = 4;

/** What was begun in time may take so long, a second run included. */
const LONGEST_SECONDS = 20;

const from = commitNumber();

for (const { name, load, seeds, variants, secondsMax, least } of PORTIONS) {
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
    expect(done).toBeGreaterThanOrEqual(least);
  });
}
