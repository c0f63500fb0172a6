import { expect, test } from "vitest";
import { WholeSnapshots } from "../../src/checkers/whole-snapshots.ts";
import { check, seen } from "../support/history.ts";

const damaged = (at: number, node: string, how: "power" | "disk") => seen(at, "damaged", { node, how });

test("a snapshot may be damaged on a disk that is, or is the copy of one", () => {
  check(new WholeSnapshots(), [
    damaged(1, "a", "disk"),
    seen(2, "snapshotDamaged", { node: "a" }),
    seen(3, "copied", { node: "b", of: "a" }),
    seen(4, "snapshotDamaged", { node: "b" }),
  ]);
});

test("a damaged snapshot bites after a crash and after a power cut", () => {
  for (const history of [[], [damaged(1, "a", "power")], [damaged(1, "b", "disk")]])
    expect(() =>
      check(new WholeSnapshots(), [...history, seen(2, "snapshotDamaged", { node: "a" })]),
    ).toThrow(/a starts without its snapshot/);
});
