/** Bugs planted in what nodes of two versions say to each other. */

import type { Mutant } from "./mutate.ts";

const scenario = "skew";

export const SKEW_MUTANTS: readonly Mutant[] = [
  {
    name: "packets go on as they came, whoever reads them",
    breaks: "a mesh that is updated box by box: what the version before does not know is lost",
    file: "packages/mesh/src/forwarding/forwarder.ts",
    search: "if (packet !== undefined && link.protocolVersion >= VERSION_PUBLISH_PACKETS)",
    replacement: "if (packet !== undefined)",
    scenario,
  },
  {
    name: "another version of the protocol is refused",
    breaks: "a mesh that is updated box by box: the old and the new boxes are two",
    file: "packages/mesh/src/link/protocol-version.ts",
    search: "return newest >= Math.max(a.oldest, b.oldest) ? newest : undefined;",
    replacement: "return a.newest === b.newest ? newest : undefined;",
    scenario,
    load: "writes",
  },
  {
    name: "a node that was taken back to the version before counts as new",
    breaks: "log commands that not every replica knows could be proposed (docs/architecture.md, Versions)",
    file: "packages/mesh/src/membership/membership.ts",
    search: "record.protocolVersion = hello.versions.newest;",
    replacement: "record.protocolVersion = Math.max(record.protocolVersion, hello.versions.newest);",
    scenario,
    load: "writes",
  },
];
