/** Bugs planted in the merge of two clusters. */

import type { Mutant } from "./mutate.ts";

const CLUSTERS = "packages/coordinator/src/state-machine/clusters.ts";
const scenario = "merges";
const load = "writes";

export const MERGE_MUTANTS: readonly Mutant[] = [
  {
    name: "merged before all chunks are in",
    breaks: "P8: what was not handed over yet is given up",
    file: CLUSTERS,
    search: '...chunk,\n      phase: "merging",',
    replacement: '...chunk,\n      isComplete: true,\n      phase: "merging",',
    scenario,
    load,
  },
  {
    name: "a dissolved cluster takes writes after its cut",
    breaks: "P8: an acknowledged write is lost with the cluster",
    file: "packages/coordinator/src/state-machine/state-machine.ts",
    search: 'if (this.#standsStill) return { outcome: "held", command };',
    replacement: 'if ((this.clusters.dissolution?.cut ?? 0) < 0) return { outcome: "held", command };',
    scenario,
    load,
  },
  {
    name: "the loser goes on without an answer",
    breaks: "P8: what it acknowledges then is given up with it",
    file: "packages/coordinator/src/merge/merge-planner.ts",
    search: 'if (message.phase === "aborted") {',
    replacement: "if (message.next >= 0) {",
    scenario,
    load,
  },
  {
    name: "a value that lost is not listed",
    breaks: "P8: a side is lost silently",
    file: "packages/coordinator/src/state-machine/take-merge.ts",
    search: "if (!isLost) return;",
    replacement: "if (!isLost || row.cut >= 0) return;",
    scenario,
    load,
  },
  {
    name: "the loser keeps the address until it is told",
    breaks: "P1: two hold the address for long",
    file: "packages/coordinator/src/merge/merge-planner.ts",
    search: "if (clusters.dissolution?.winner === other) return",
    replacement: "if (clusters.dissolution?.winner === cluster) return",
    scenario,
    load,
  },
];
