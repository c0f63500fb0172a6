/** Bugs planted in consensus and its journal. Each is a mistake that somebody has made. */

import type { Mutant } from "./mutate.ts";

const RAFT = "packages/raft-js/src";
const JOURNAL = "packages/coordinator/src/journal";

export const RAFT_MUTANTS: readonly Mutant[] = [
  {
    name: "vote without persisting",
    breaks: "election safety after a power cut (Raft §5.2)",
    file: `${RAFT}/follower.ts`,
    search: "server.setHardState(server.term, from);",
    replacement:
      "server.send(from, reply); server.electionDeadline = server.now + electionTimeoutMs(server); return;",
    scenario: "elections",
  },
  {
    name: "forget the vote on restart",
    breaks: "election safety after a crash (Raft §5.2)",
    file: `${RAFT}/server.ts`,
    search: "this.#hardState = initial.hardState;",
    replacement: "this.#hardState = { term: initial.hardState.term, votedFor: undefined };",
    scenario: "elections",
  },
  {
    name: "forget the term on restart",
    breaks: "terms only rise (Raft §5.1)",
    file: `${RAFT}/server.ts`,
    search: "this.#hardState = initial.hardState;",
    replacement:
      "this.#hardState = { term: initial.entries.at(-1)?.term ?? initial.snapshot.term, votedFor: undefined };",
    scenario: "elections",
  },
  {
    name: "commit by counting entries of old terms",
    breaks: "leader completeness (Raft §5.4.2, figure 8)",
    file: `${RAFT}/leader.ts`,
    search: "index <= log.commitIndex || log.termAt(index) !== server.term",
    replacement: "index <= log.commitIndex",
    scenario: "figure8",
  },
  {
    name: "change voters in one step",
    breaks: "overlap of majorities (Raft §6)",
    file: `${RAFT}/configuration.ts`,
    search: "return { voters, votersOutgoing, learners };",
    replacement: "return { voters, votersOutgoing: [], learners };",
    scenario: "growth",
  },
  {
    name: "one voter decides",
    breaks: "leader completeness: the majority is not asked (Raft §5.3)",
    file: `${RAFT}/quorum.ts`,
    search: "values[Math.floor(voters.length / 2)]",
    replacement: "values[0]",
  },
  {
    name: "elected by one vote too few",
    breaks: "election safety (Raft §5.2)",
    file: `${RAFT}/quorum.ts`,
    search: "const majority = Math.floor(voters.length / 2) + 1;",
    replacement: "const majority = Math.max(1, Math.floor(voters.length / 2));",
    scenario: "partitions",
  },
  {
    name: "the longer log wins, whatever its last term",
    breaks: "leader completeness (Raft §5.4.1)",
    file: `${RAFT}/log.ts`,
    search: "return term > this.lastTerm || (term === this.lastTerm && index >= this.lastIndex);",
    replacement: "return term >= 0 && index >= this.lastIndex;",
    scenario: "elections",
  },
  {
    name: "a log must be behind in term and in index to be refused",
    breaks: "leader completeness (Raft §5.4.1)",
    file: `${RAFT}/log.ts`,
    search: "return term > this.lastTerm || (term === this.lastTerm && index >= this.lastIndex);",
    replacement: "return !(this.lastIndex > index && this.lastTerm > term);",
    scenario: "elections",
  },
  {
    name: "any log is up to date",
    breaks: "leader completeness (Raft §5.4.1)",
    file: `${RAFT}/log.ts`,
    search: "return term > this.lastTerm || (term === this.lastTerm && index >= this.lastIndex);",
    replacement: "return term >= 0 && index >= 0;",
    scenario: "partitions",
  },
  {
    name: "append without looking at what is before",
    breaks: "log matching (Raft §5.3)",
    file: `${RAFT}/follower.ts`,
    search: "if (prevLogIndex >= commitIndex && log.termAt(prevLogIndex) !== prevLogTerm) {",
    replacement: "if (log.termAt(prevLogIndex) === undefined) {",
    scenario: "elections",
  },
  {
    name: "heartbeats commit what the follower may not have",
    breaks: "state-machine safety",
    file: `${RAFT}/heartbeats.ts`,
    search: "const commit = Math.min(matchIndex, log.commitIndex);",
    replacement: "const commit = matchIndex < 0 ? 0 : log.commitIndex;",
    and: {
      file: `${RAFT}/plausible.ts`,
      search: "message.commit <= message.matchIndex &&",
      replacement: "",
    },
    scenario: "partitions",
  },
  {
    name: "no restart vote block and no stickiness",
    breaks: "at most one lease (thesis 4.2.3)",
    file: `${RAFT}/follower.ts`,
    search:
      "  const votesFrom = Math.max(server.votesFrom, server.heardLeaderAt + server.options.electionMinMs);",
    replacement: "  const votesFrom = 0;",
    scenario: "elections",
  },
  {
    name: "no restart vote block",
    breaks: "at most one lease: a voter forgets whom it heard",
    file: `${RAFT}/server.ts`,
    search: "this.votesFrom = isAlone ? now : now + options.electionMinMs;",
    replacement: "this.votesFrom = isAlone ? now : now;",
    scenario: "elections",
  },
  {
    name: "lease from receive time",
    breaks: "at most one lease (thesis 6.4.1)",
    file: `${RAFT}/leader.ts`,
    search: "progress.ackedSentAt = Math.max(progress.ackedSentAt, sentAt);",
    replacement: "progress.ackedSentAt = Math.max(progress.ackedSentAt, server.now);",
    scenario: "elections",
  },
  {
    name: "acknowledge before the disk has it",
    breaks: "leader completeness after a power cut (Raft figure 2)",
    file: `${RAFT}/server.ts`,
    search: "this.#sendAfter.push({ to, message });",
    replacement: 'this.#sends.push({ kind: "send", to, message });',
    scenario: "blackouts",
  },
  {
    name: "a suspect server counts",
    breaks: "a server that lost entries votes before it has them back (P12)",
    file: `${RAFT}/server.ts`,
    search: "this.isSuspect = initial.isSuspect && !isAlone;",
    replacement: "this.isSuspect = initial.isSuspect && isAlone;",
    scenario: "amnesia",
  },
  {
    name: "skip fsync of term and vote",
    breaks: "election safety after a power cut (Raft figure 2)",
    file: `${JOURNAL}/journal.ts`,
    search: "this.#mustSyncEntries || parts.some(isForced)",
    replacement: "this.#mustSyncEntries && parts.some(isForced)",
    scenario: "blackouts",
  },
  {
    name: "truncate on corruption",
    breaks: "a rotten record takes acknowledged entries with it, unmarked (P12)",
    file: `${JOURNAL}/recovery.ts`,
    search: "this.#replay.assumeLostVote();\n    this.#mark();\n    this.#mustBegin",
    replacement: "this.#mustBegin",
    // What is legible behind the damage would be used again, and nothing be missing for long.
    and: {
      file: `${JOURNAL}/journal.ts`,
      search: "isIncomplete: recovered.remains.lastIndex > lastIndex,",
      replacement: "isIncomplete: false,",
    },
    scenario: "rotten",
  },
];
