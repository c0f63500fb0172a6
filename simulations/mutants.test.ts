/**
 * The checkers see every planted bug: some seed fails with the bug, and passes without. A fifth of them is tried with each
 * commit, chosen by it, because all take longer than CI has; SKEIN_SIM_MUTANTS=all tries all.
 *
 * simulations/mutants.json says at which seed each was caught last; the hunt begins there. A change of the code can change what a
 * seed does, so it goes on from there for a while. `npm run sim:mutants -- --save` keeps the new seeds.
 */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { MUTANTS } from "../packages/testkit/src/mutants/index.ts";
import { commitNumber } from "./commit-number.ts";
import { type Catch, huntMutant } from "./hunt-mutant.ts";

const file = new URL("./mutants.json", import.meta.url);
const catches = JSON.parse(readFileSync(file, "utf8")) as readonly Catch[];

const SEEDS_MAX = 200;
const SECONDS_MAX = 240;

const { SKEIN_SIM_MUTANTS } = process.env;
const isAll = SKEIN_SIM_MUTANTS === "all";
const fifth = commitNumber() % 5;

describe.concurrent("planted bugs are caught", () => {
  for (const mutant of MUTANTS.filter((_, at) => isAll || at % 5 === fifth)) {
    const known = catches.find(({ name }) => name === mutant.name);
    test(`${mutant.name} (seed ${known?.seed})`, { timeout: 2 * SECONDS_MAX * 1000 }, async () => {
      const { scenario } = mutant;
      const hunt = {
        mutant,
        scenario,
        fromSeed: known?.seed ?? 1,
        seedsMax: SEEDS_MAX,
        secondsMax: SECONDS_MAX,
      };
      const { seed, tried } = await huntMutant(hunt);
      expect(seed, `it survived ${tried} seeds`).toBeDefined();
    });
  }
});
