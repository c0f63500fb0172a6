/** Bugs planted in how leadership is handed over on purpose. */

import type { Mutant } from "./mutate.ts";

const load = "writes";

export const TRANSFER_MUTANTS: readonly Mutant[] = [
  {
    name: "the lease is kept while leadership is handed over",
    breaks:
      "at most one lease: those that vote for the successor have just heard the leader (thesis 3.10, 6.4.1)",
    file: "packages/raft-js/src/lease.ts",
    search: "if (!server.isLeader || server.transfer !== undefined) return undefined;",
    replacement: "if (!server.isLeader) return undefined;",
    scenario: "transfers",
    load,
  },
  {
    name: "the successor is not told that it may campaign",
    breaks: "P1: a planned hand-over takes an election timeout",
    file: "packages/raft-js/src/transfer.ts",
    search: '  server.send(transfer.to, { kind: "timeoutNow", term });\n',
    replacement: '  if (term < 0) server.send(transfer.to, { kind: "timeoutNow", term });\n',
    scenario: "handovers",
    load,
  },
];
