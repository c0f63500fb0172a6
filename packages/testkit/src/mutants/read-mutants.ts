/**
 * Bugs planted in the way of a read of retained messages: each shows somebody what is outdated, or what may still be
 * lost.
 */

import type { Mutant } from "./mutate.ts";

const RAFT = "packages/raft-js/src";
const COORDINATOR = "packages/coordinator/src";

export const READ_MUTANTS: readonly Mutant[] = [
  {
    name: "read the replica as it is",
    breaks: "P8: a replica that is behind shows what was replaced (thesis 6.4)",
    file: `${COORDINATOR}/retained/current-reads.ts`,
    search: "    this.#waiting.push(waiting);\n    if (!this.#isAsking) this.#ask();",
    replacement: "    this.#answer(waiting.reader, true);",
    load: "writes",
    scenario: "partitions",
  },
  {
    name: "a leader answers reads without a quorum",
    breaks: "P8: one that was deposed and does not know it shows what was replaced (thesis 6.4)",
    file: `${RAFT}/read-index.ts`,
    search: "(server.followers.get(voter)?.ackedRound ?? 0)",
    replacement: "Number.POSITIVE_INFINITY",
    load: "writes",
    scenario: "partitions",
  },
  {
    name: "a new leader answers reads before its first commit",
    breaks: "P8: it may not know yet what was committed before it (Raft section 8, thesis 6.4)",
    file: `${RAFT}/read-index.ts`,
    search: "if (!reads.hasWaiting || reads.isUnderWay || !hasCommittedInTerm(server)) return;",
    replacement:
      "if (!reads.hasWaiting || reads.isUnderWay || hasCommittedInTerm(server) === undefined) return;",
    and: {
      file: `${RAFT}/heartbeats.ts`,
      search: "if (hasCommittedInTerm(server)) server.reads.begin(round, log.commitIndex);",
      replacement: "server.reads.begin(round, log.commitIndex);",
    },
    load: "writes",
    scenario: "elections",
  },
  {
    name: "read before the index is applied",
    breaks: "P8: a follower that is catching up shows what was replaced (thesis 6.4)",
    file: `${RAFT}/server.ts`,
    search: "if (index <= lastApplied) effects.push",
    replacement: "if (index >= 0) effects.push",
    // A leader tells of a commit at once, on the way on which its answer to the read follows. It need not: a heartbeat would do.
    and: {
      file: `${RAFT}/leader.ts`,
      search: 'if (progress.state === "replicate" && progress.sentCommit < index)',
      replacement: 'if (progress.state === "replicate" && progress.sentCommit < 0)',
    },
    load: "writes",
    scenario: "partitions",
  },
  {
    name: "uncommitted writes are shown",
    breaks: "P8: what was read is lost, or the next reader elsewhere sees what was before it",
    file: `${COORDINATOR}/retained/retained.ts`,
    search: "reader.mayRead(isCurrent ? this.#committed : this.#own);",
    replacement: "reader.mayRead(isCurrent ? this.#own : this.#own);",
    and: {
      file: `${COORDINATOR}/retained/current-reads.ts`,
      search: "isConfirmed && proposedSeq <= settledSeq",
      replacement: "isConfirmed && proposedSeq + settledSeq >= 0",
    },
    load: "writes",
    scenario: "partitions",
  },
  {
    name: "no read waits for a quorum",
    breaks: "P8: on a healthy mesh a node shows what it happens to know",
    file: `${COORDINATOR}/retained/current-reads.ts`,
    search: "if (!hasLeader() ||",
    replacement: "if (hasLeader() || !hasLeader() ||",
    load: "writes",
    scenario: "calm",
  },
  {
    name: "who was not answered in time is current",
    breaks: "P8: a minority passes off its own last state as everybody's",
    file: `${COORDINATOR}/retained/current-reads.ts`,
    search: "this.#answer(reader, isConfirmed);",
    replacement: "this.#answer(reader, isConfirmed || over.length > 0);",
    load: "writes",
    scenario: "partitions",
  },
];
