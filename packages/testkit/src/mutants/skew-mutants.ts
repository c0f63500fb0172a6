/** Bugs planted in what nodes of two versions say to each other. */

import type { Mutant } from "./mutate.ts";

const scenario = "skew";

export const SKEW_MUTANTS: readonly Mutant[] = [
  {
    name: "another version of the protocol is refused",
    breaks: "a mesh that is updated box by box: the old and the new boxes are two",
    file: "packages/mesh/src/link/protocol-version.ts",
    search: "return Math.min(a.newest, b.newest) >= Math.max(a.oldest, b.oldest);",
    replacement: "return a.newest === b.newest;",
    scenario,
    load: "writes",
  },
  {
    name: "a node that was taken back to the version before counts as new",
    breaks: "log commands that not every replica knows could be proposed (docs/architecture.md, Versions)",
    file: "packages/mesh/src/membership/membership.ts",
    search: "record.protocolVersion = UNTOLD_VERSION;",
    replacement: "record.protocolVersion = Math.max(record.protocolVersion, UNTOLD_VERSION);",
    scenario,
    load: "writes",
  },
  {
    name: "the log goes on in the newest version, whoever is left that does not know it",
    breaks: "R27: a node that has not been updated yet can do nothing with the log",
    file: "packages/coordinator/src/membership/upgrade.ts",
    search: "lowest = Math.min(lowest, protocolVersion);",
    replacement: "lowest = lowest < 1e9 ? Math.max(lowest, protocolVersion) : protocolVersion;",
    scenario: "upgrade",
    load: "writes",
  },
  {
    name: "who is away does not count when the log goes on in the newest version",
    breaks: "R27: a node that comes back before it was updated can do nothing with the log",
    file: "packages/coordinator/src/membership/upgrade.ts",
    search: "if (members.delete(id) || isInSight) lowest",
    replacement: "members.delete(id);\n    if (isInSight) lowest",
    scenario: "upgrade",
    load: "writes",
  },
  {
    name: "the log stays in the version before for good",
    breaks: "what only the newest version knows is never used",
    file: "packages/coordinator/src/membership/upgrade.ts",
    search: "driver.propose([encodeClusterCommand(command)]);",
    replacement: "encodeClusterCommand(command);",
    scenario: "upgrade",
    load: "writes",
  },
];
