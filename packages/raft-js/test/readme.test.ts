import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { applied, leader } from "./support/readme-example.ts";

test("the README's example is test/support/readme-example.ts, and it replicates a command to three servers", () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const example = readFileSync(new URL("support/readme-example.ts", import.meta.url), "utf8");
  expect(readme).toContain(example.replaceAll(/^export const/gm, "const"));
  expect(leader).not.toBe("nobody");
  expect([...applied.values()]).toEqual([["hi"], ["hi"], ["hi"]]);
});
