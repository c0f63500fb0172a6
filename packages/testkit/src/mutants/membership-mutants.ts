/** Bugs planted in who belongs to the mesh and who votes, and in what becomes of a copied disk. */

import type { Mutant } from "./mutate.ts";

const COORDINATOR = "packages/coordinator/src";
const load = "writes";

export const MEMBERSHIP_MUTANTS: readonly Mutant[] = [
  {
    name: "a minority replaces its dead voters",
    breaks: "leader completeness: the majority is not asked (architecture.md section 5)",
    file: `${COORDINATOR}/membership/voter-watch.ts`,
    search:
      'if (node === self || state === "alive" || state === "suspect") return false;\n' +
      "    const heardAt = Math.max(raft.followers.get(node)?.lastHeardAt ?? 0, this.#since ?? now);\n" +
      "    return now - heardAt >= afterMs;",
    replacement:
      'if (node === self || state === "left" || afterMs > DEAD_AFTER_MS) return false;\n' +
      "    const heardAt = Math.max(raft.followers.get(node)?.lastHeardAt ?? 0, this.#since ?? now);\n" +
      "    return now - heardAt >= 1500;",
    and: {
      file: "packages/raft-js/src/quorum.ts",
      search: "return Math.min(incoming, majorityValue(configuration.votersOutgoing, reached));",
      replacement: "return incoming;",
    },
    scenario: "voters",
    load,
  },
  {
    name: "forgotten without a quorum",
    breaks: "a minority founds the mesh anew beside the majority (reference design, 1.5)",
    file: `${COORDINATOR}/membership/forgetting.ts`,
    search: "if (left.length > 0)\n",
    replacement: "if (left.length === others.length)\n",
    scenario: "minority",
    load,
  },
  {
    name: "a voter leaves with its data before the mesh has let it go",
    breaks: "a voter is gone that still counts: a majority of fewer has to be found",
    file: `${COORDINATOR}/membership/departure.ts`,
    search: "partedAt: undefined };\n    this.tick(now);",
    replacement: "partedAt: undefined };\n    this.removed();",
    scenario: "membership",
    load,
  },
  {
    name: "four of four vote",
    breaks: "an even number of voters outlives no more deaths than one less (architecture.md section 5)",
    file: `${COORDINATOR}/membership/voter-policy.ts`,
    search: "return members >= 3 ? 3 : 1;",
    replacement: "return members >= 3 ? Math.min(5, members) : 1;",
    scenario: "membership",
    load,
  },
  {
    name: "a copy of a disk keeps its identity",
    breaks: "two machines are one node (reference design, trap 5)",
    file: "packages/skein/src/assembly.ts",
    search: "this.coordinator.ending.startAnew(reason, this.#options.name);",
    replacement: 'this.#ports.log("identity").warn({}, reason);',
    scenario: "clones",
    load,
  },
  {
    name: "an original whose copy was started more often is left outside",
    breaks: "the house must start a box again and again (users.md 5.5)",
    file: "packages/skein/src/own-identity.ts",
    search: "coordinator.ending.outrun(by.incarnation,",
    replacement: "void (by.incarnation,",
    scenario: "standIns",
    load,
  },
  {
    name: "the copy has the better right to the identity",
    breaks: "a copied disk drives the original out",
    file: "packages/mesh/src/link/twins.ts",
    search: "return byHome > 0;",
    replacement: "return byHome < 0;",
    scenario: "clones",
    load,
  },
];
