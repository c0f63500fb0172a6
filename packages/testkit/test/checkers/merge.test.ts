import { expect, test } from "vitest";
import { MergeUnion } from "../../src/checkers/merge-union.ts";
import type { AppliedClusterCommand, AppliedCommand, Observation } from "../../src/observations.ts";
import { check, published, seen } from "../support/history.ts";

const common = { term: 1, hash: 0 } as const;
const MERGED = { other: "lost", cut: 2 } as const;

/** `node` applies at `index` of `cluster` that `topic` holds `value`. */
function wrote(cluster: string, index: number, topic: string, value: number): Observation {
  const numbered = { proposer: cluster, incarnation: 1, seq: index, through: index } as const;
  const command: AppliedCommand = {
    ...numbered,
    topic,
    payloadId: `p${value}`,
    value,
    held: value,
    alone: undefined,
  };
  return seen(index, "applied", { ...common, node: `${cluster} node`, cluster, index, command });
}

function decided(cluster: string, index: number, kind: string, more: Partial<AppliedClusterCommand> = {}) {
  const nothing = { topics: [], conflicts: [], owed: [], mayLack: false };
  const clusters = { kind, isApplied: true, other: "", cut: 0, chunk: 0, ...nothing, ...more };
  return seen(index, "applied", { ...common, node: `${cluster} node`, cluster, index, clusters });
}

const sent = (payloadId: string): Observation =>
  published(0, "client", "lost node", { payloadId, retain: true });
const ackedByLoser = (payloadId: string): Observation =>
  seen(9, "publishAcked", { node: "lost node", client: "client", payloadId, reasonCode: 0 });

const chunk = (topic: string, held: number, number = 0): Observation =>
  decided("won", 2 + number, "merge", { ...MERGED, chunk: number, topics: [{ topic, held }] });
/** Each side wrote one topic, then the loser has its cut at 2. */
const APART = [wrote("won", 1, "a", 1), wrote("lost", 1, "b", 2), decided("lost", 2, "dissolve")];

const owing = (...payloads: string[]) => ({ owed: [{ client: "c", payloads }] });
/** The loser owes a session two messages at its cut. */
const OWING = [wrote("won", 1, "a", 1), decided("lost", 2, "dissolve", owing("1", "2"))];

test.each<[string, Observation[]]>([
  [
    "what sessions were owed they are owed",
    [...OWING, chunk("a", 1), decided("won", 3, "merged", { ...MERGED, ...owing("0", "1", "3", "2") })],
  ],
  [
    "there was no room for all of it",
    [...OWING, chunk("a", 1), decided("won", 3, "merged", { ...MERGED, ...owing("1"), mayLack: true })],
  ],
  ["both sides are held", [...APART, chunk("b", 2), decided("won", 3, "merged", MERGED)]],
  [
    "what one side loses is listed",
    [
      wrote("won", 1, "a", 1),
      wrote("lost", 1, "a", 2),
      decided("lost", 2, "dissolve"),
      chunk("a", 1),
      decided("won", 3, "merged", { ...MERGED, conflicts: [{ topic: "a", value: 2 }] }),
    ],
  ],
  [
    "a write of the winner has replaced it since",
    [...APART, chunk("b", 2), wrote("won", 3, "b", 7), decided("won", 4, "merged", MERGED)],
  ],
  ["a write before the cut is acknowledged after it", [sent("p2"), ...APART, ackedByLoser("p2")]],
  [
    "a resumed cluster acknowledges",
    [...APART, decided("lost", 3, "resume", { cut: 2 }), sent("p9"), ackedByLoser("p9")],
  ],
])("a merge keeps its promises: %s", (_name, history) => {
  check(new MergeUnion("replicated"), history);
});

test.each<[string, Observation[]]>([
  [
    "a message owed by the loser is gone",
    [...OWING, chunk("a", 1), decided("won", 3, "merged", { ...MERGED, ...owing("0", "1") })],
  ],
  ["a session of the loser is gone", [...OWING, chunk("a", 1), decided("won", 3, "merged", MERGED)]],
  [
    "messages owed by the loser change places",
    [...OWING, chunk("a", 1), decided("won", 3, "merged", { ...MERGED, ...owing("2", "1") })],
  ],
  ["a value of the loser is gone", [...APART, decided("won", 3, "merged", MERGED)]],
  [
    "a value of the winner is gone",
    [...APART, chunk("a", 2), chunk("b", 2, 1), decided("won", 5, "merged", MERGED)],
  ],
  ["a chunk is taken twice", [...APART, chunk("b", 2), decided("won", 3, "merge", MERGED)]],
  [
    "the loser resumes after it has been merged",
    [...APART, chunk("b", 2), decided("won", 3, "merged", MERGED), decided("lost", 3, "resume", { cut: 2 })],
  ],
  [
    "it is merged after it has resumed",
    [...APART, decided("lost", 3, "resume", { cut: 2 }), chunk("b", 2), decided("won", 3, "merged", MERGED)],
  ],
  ["a write that is in no log is acknowledged after the cut", [sent("p9"), ...APART, ackedByLoser("p9")]],
  [
    "a write behind the cut is acknowledged",
    [sent("p9"), ...APART, wrote("lost", 3, "b", 9), ackedByLoser("p9")],
  ],
])("a merge breaks a promise: %s", (_name, history) => {
  expect(() => check(new MergeUnion("replicated"), history)).toThrow(/^merge: /);
});
