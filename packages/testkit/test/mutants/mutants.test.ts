import { readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { expect, test } from "vitest";
import { editsOf, MUTANTS, mutate } from "../../src/mutants/index.ts";

const read = (file: string): string => readFileSync(new URL(`../../../../${file}`, import.meta.url), "utf8");

test.each(MUTANTS)(
  "$name: its text is there exactly once, and what it makes is still TypeScript",
  (mutant) => {
    for (const edit of mutant.and === undefined ? [mutant] : [mutant, mutant.and]) {
      const source = read(edit.file);
      const mutated = mutate(edit, source);
      expect(mutated).not.toBe(source);
      expect(stripTypeScriptTypes(mutated)).not.toBe("");
    }
  },
);

test("there are at least 20, each with a name of its own", () => {
  expect(MUTANTS.length).toBeGreaterThanOrEqual(20);
  expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
});

test("a mutant whose text has gone, or is there twice, is an error", () => {
  const mutant = { name: "m", breaks: "", file: "a/b.ts", search: "x", replacement: "y" };
  expect(mutate(mutant, "1 x 2")).toBe("1 y 2");
  expect(() => mutate(mutant, "1 2")).toThrow(/occurs 0 times/);
  expect(() => mutate(mutant, "x x")).toThrow(/occurs 2 times/);
  expect(editsOf(mutant, "file:///somewhere/a/b.ts")).toEqual([mutant]);
  expect(editsOf({ ...mutant, and: mutant }, "file:///somewhere/a/b.ts")).toHaveLength(2);
  expect(editsOf(mutant, "file:///somewhere/aa/b.ts")).toEqual([]);
});
