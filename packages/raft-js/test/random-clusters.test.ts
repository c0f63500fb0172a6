/**
 * Many short lives of clusters under faults. Every run checks the properties of paper figure 3 at each step, and that
 * the cluster works again once it is healed. A failure names its seed; the same seed replays the same run.
 */

import { expect, test } from "vitest";
import { liveAndGrow, liveWithFixedVoters } from "./support/random-life.ts";

const { RAFT_SEEDS, RAFT_SEED } = process.env as { RAFT_SEEDS?: string; RAFT_SEED?: string };
const SEEDS = Number(RAFT_SEEDS ?? 120);
const FIRST_SEED = Number(RAFT_SEED ?? 1);
/** Far above what the default takes, also on a busy machine. */
const LONGEST_MS = 60_000 + SEEDS * 500;

/** Rare situations and the lives that met them. */
const met = new Map<string, number>();

function runSeeds(life: (seed: number) => ReadonlySet<string>): void {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    for (const situation of life(seed)) met.set(situation, (met.get(situation) ?? 0) + 1);
  }
}

test(
  "Raft figure 3: a cluster that grows from one server and changes at will stays safe, and works once healed",
  () => runSeeds(liveAndGrow),
  LONGEST_MS,
);

test(
  "Raft figure 3: voters of which one loses acknowledged entries, or all but one at once, stay safe and elect",
  () => runSeeds(liveWithFixedVoters),
  LONGEST_MS,
);

// What these lives do not reach they do not test. One seed alone need not reach everything.
test.runIf(SEEDS >= 120)("the random clusters get into the situations that they are for", () => {
  expect(
    [...met]
      .filter(([, lives]) => lives >= 2)
      .map(([situation]) => situation)
      .sort(),
  ).toEqual([
    "a configuration is joint",
    "a joint configuration meets a partition",
    "a later piece of a snapshot comes from another leader than the one before",
    "a leader is cut off while all but one of the others restart",
    "a leader removes itself",
    "a learner is promoted behind a partition",
    "a lease is released after its transfer has ended and the next has begun",
    "a log catches up while a snapshot for it is looked at",
    "a network is cut between the two sets of a joint configuration",
    "a read is answered",
    "a snapshot is looked at for longer than its leader leads",
    "a transfer is under way in a joint configuration",
    "a voter of a joint configuration is down",
    "a voter of a joint configuration is suspect",
    "a write is half done when its server crashes",
    "a wrong state is found and replaced",
    "entries that were overwritten come back",
    "leadership is transferred in a joint configuration",
    "seven servers vote",
    "the power of all fails",
  ]);
});
