/** All short runs of three servers, from everything that two terms may have left on their disks. */

import { expect, test } from "vitest";
import { explore } from "./support/small-scope.ts";
import { allStarts } from "./support/small-starts.ts";

const { RAFT_STEPS } = process.env as { RAFT_STEPS?: string };

test("Raft figure 3 holds in every run of two campaigns and six steps, from every start that two terms can leave", () => {
  const starts = allStarts(2);
  const counts = starts.map((start) => explore(start, Number(RAFT_STEPS ?? 6), 2));
  expect(starts.length).toBe(68);
  expect(counts.reduce((sum, states) => sum + states)).toBeGreaterThan(100_000);
}, 600_000);
