/** Every failure that a simulation ever found stays fixed. */

import { readFileSync } from "node:fs";
import type { Schedule } from "@skein/testkit";
import { expect, test } from "vitest";
import { type Load, run, runSeed } from "./run-seed.ts";

interface Regression {
  /** The seed that found it, as seeds were at `commit`; what is replayed is the shortened `schedule`. */
  readonly seed: number;
  /** The commit at which it failed. */
  readonly commit: string;
  readonly found: string;
  readonly schedule: Schedule;
  /** True: not fixed yet; the test says so when it is. */
  readonly isOpen?: boolean;
  /** Default: writes. */
  readonly load?: Load;
}

const file = new URL("./regressions.json", import.meta.url);
const regressions = JSON.parse(readFileSync(file, "utf8")) as readonly Regression[];

for (const { schedule, load = "writes", isOpen = false, seed, found } of regressions) {
  test(`seed ${seed}: ${found}${isOpen ? " (open)" : ""}`, () => {
    const verdict = run(schedule, load);
    if (isOpen) expect(verdict.failure, "it is fixed: take isOpen away").toBeDefined();
    else expect(verdict.failure).toBeUndefined();
  });
}

test("any seed gives the same history twice, and no promise is broken in it", () => {
  for (const seed of [1, 2, 3]) expect(runSeed({ seed, minutes: 1 }, "writes", true).failure).toBeUndefined();
});

test("a shorter schedule of the same seed gives another history", () => {
  const [one, two] = [1, 2].map((minutes) => runSeed({ seed: 1, minutes }, "writes", false).hash);
  expect(one).not.toBe(two);
});
