import { expect, test } from "vitest";
import { Membership } from "../../src/checkers/membership.ts";
import { Twins } from "../../src/checkers/twins.ts";
import type { Observation } from "../../src/observations.ts";
import { check, seen, started } from "../support/history.ts";

const TWINS: Observation[] = [...started(0, "a"), ...started(10, "a (copy)"), copied(10)];
const becameAnother = (at: number): Observation => seen(at, "vanished", { node: "a (copy)" });
const stopped = (at: number, how: "pause" | "resume" | "crash"): Observation =>
  seen(at, "stopped", { node: "a", how });
/** Time goes on. */
const later = (at: number): Observation =>
  seen(at, "applied", { node: "b", cluster: "c", index: at, term: 1, hash: 0 });

function copied(at: number): Observation {
  return seen(at, "copied", { node: "a (copy)", of: "a" });
}

test.each<[string, Observation[]]>([
  ["the copy becomes another node", [...TWINS, later(14_000), becameAnother(15_000), later(60_000)]],
  [
    "the original was frozen meanwhile",
    [
      ...TWINS,
      stopped(1000, "pause"),
      later(60_000),
      stopped(60_001, "resume"),
      later(70_000),
      becameAnother(71_000),
    ],
  ],
])("twins part: %s", (_name, history) => {
  check(new Twins(), history);
});

test.each<[string, Observation[]]>([
  ["both go on", [...TWINS, later(15_011)]],
  ["the copy is still one at the end", [...TWINS, later(14_000)]],
  ["the original yields", [...TWINS, seen(3000, "vanished", { node: "a" })]],
])("twins do not part as they must: %s", (_name, history) => {
  expect(() => check(new Twins(), history)).toThrow(/^twins: /);
});

test("a node that belongs to another cluster under the same id has founded the mesh anew, which nobody asked for", () => {
  const belongs = (at: number, to: string): Observation => seen(at, "belongs", { node: "a", to });
  check(new Membership(), [...started(0, "a"), belongs(1, "one"), ...started(2, "a"), belongs(3, "one")]);
  expect(() => check(new Membership(), [...started(0, "a"), belongs(1, "one"), belongs(2, "two")])).toThrow(
    /^membership: a has founded two anew/,
  );
});
