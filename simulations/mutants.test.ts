/** The checkers still see what they once saw: each recorded catch fails with its bug planted, and passes without. */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { MUTANTS } from "../packages/testkit/src/mutants/index.ts";
import { type Catch, passesWithout, runOne } from "./hunt-mutant.ts";

const file = new URL("./mutants.json", import.meta.url);
const catches = JSON.parse(readFileSync(file, "utf8")) as readonly Catch[];

// A change of the code can change what a seed does. Then another seed shows it: npm run sim:mutants -- --only NAME --save
describe.concurrent("planted bugs are caught", () => {
  for (const { name, scenario, seed, checker } of catches) {
    test(`${name}: seed ${seed}, ${checker}`, async () => {
      const mutant = MUTANTS.find((known) => known.name === name);
      if (mutant === undefined) throw new Error("there is no such mutant");
      const run = { mutant, scenario: scenario ?? undefined };
      expect((await runOne(run, seed, true)).checker).toBe(checker);
      expect(await passesWithout(run, seed), "it fails without the bug").toBe(true);
    });
  }
});
