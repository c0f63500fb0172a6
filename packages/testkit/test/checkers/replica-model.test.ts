/** The model of the replicated state knows which writes that were acknowledged without a quorum take effect. */

import { expect, test } from "vitest";
import { ReplicaModel } from "../../src/checkers/replica-model.ts";
import type { AppliedCommand, Observation } from "../../src/observations.ts";
import { check, seen } from "../support/history.ts";

type Write = Partial<AppliedCommand> & { readonly value: number };

/** One node applies `writes` of one topic as entries 1, 2, 3, ...; `held`: what it holds then, by default what is written. */
function history(writes: readonly Write[]): Observation[] {
  const seqs = new Map<string, number>();
  return writes.map((write, at) => {
    const { proposer = "a", value, held = value } = write;
    const seq = (seqs.get(proposer) ?? 0) + 1;
    seqs.set(proposer, seq);
    const command = {
      proposer,
      incarnation: 1,
      seq,
      through: seq,
      topic: "t",
      payloadId: "",
      alone: undefined,
      ...write,
      held,
    };
    const index = at + 1;
    const entry = { cluster: "one", index, term: 1, dataHash: 0, digest: "", command, clusters: undefined };
    return seen(at, "applied", { node: "n", ...entry } as never);
  });
}

test.each<[string, boolean, Write[]]>([
  [
    "what its node had seen is replaced",
    true,
    [{ value: 1 }, { value: 2, proposer: "b", alone: { seenThrough: 1, stamp: 5 } }],
  ],
  [
    "what the majority has written since stays",
    true,
    [{ value: 0 }, { value: 1 }, { value: 2, held: 1, proposer: "b", alone: { seenThrough: 1, stamp: 5 } }],
  ],
  [
    "and must not be replaced",
    false,
    [{ value: 0 }, { value: 1 }, { value: 2, proposer: "b", alone: { seenThrough: 1, stamp: 5 } }],
  ],
  [
    "of two the later one stays",
    true,
    [
      { value: 1, proposer: "b", alone: { seenThrough: 9, stamp: 5 } },
      { value: 2, held: 1, proposer: "c", alone: { seenThrough: 9, stamp: 4 } },
    ],
  ],
  [
    "and not the earlier one",
    false,
    [
      { value: 1, proposer: "b", alone: { seenThrough: 9, stamp: 5 } },
      { value: 2, proposer: "c", alone: { seenThrough: 9, stamp: 4 } },
    ],
  ],
  [
    "those of one node follow each other",
    true,
    [
      { value: 1, proposer: "b", alone: { seenThrough: 9, stamp: 5 } },
      { value: 2, proposer: "b", alone: { seenThrough: 9, stamp: 4 } },
    ],
  ],
  [
    "what stays may have expired",
    true,
    [
      { value: 0 },
      { value: 1 },
      { value: 2, held: null, proposer: "b", alone: { seenThrough: 1, stamp: 5 } },
    ],
  ],
])("of writes without a quorum %s: %s", (_, isRight, writes) => {
  const judge = (): void => check(new ReplicaModel("replicated"), history(writes));
  if (isRight) judge();
  else expect(judge).toThrow("replica model");
});
