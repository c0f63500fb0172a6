import type { Incarnation, NodeId } from "@skein/kernel";
import { expect, test } from "vitest";
import { Admission } from "../src/proposals/admission.ts";
import { Sequencer } from "../src/state-machine/sequencer.ts";

const NODE = "000000000000000a" as NodeId;

function admitted(
  admission: Admission,
  of: readonly (readonly [incarnation: number, seq: number])[],
): number {
  const envelopes = of.map(([incarnation, seq]) => {
    return { node: NODE, incarnation: incarnation as Incarnation, seq };
  });
  return envelopes.filter((envelope) => admission.admit(envelope)).length;
}

test("what earlier processes of a node have left and what it proposes now are appended once, however often they are sent", () => {
  const admission = new Admission(new Sequencer());
  const sent = [
    [5, 1],
    [5, 2],
    [6, 1],
    [6, 2],
    [6, 3],
  ] as const;
  expect(Array.from({ length: 4 }, () => admitted(admission, sent))).toEqual([5, 0, 0, 0]);
  expect(admitted(admission, [...sent, [6, 4]])).toBe(1);
  admission.reset();
  expect(admitted(admission, sent)).toBe(5);
});

test("what comes behind a gap is appended once, and once more when the gap is closed", () => {
  const admission = new Admission(new Sequencer());
  const behind = [
    [5, 3],
    [5, 4],
  ] as const;
  expect([admitted(admission, behind), admitted(admission, behind)]).toEqual([2, 0]);
  expect([admitted(admission, [[5, 5]]), admitted(admission, [...behind, [5, 5]])]).toEqual([1, 0]);
  const whole = [[5, 1], [5, 2], ...behind, [5, 5]] as const;
  expect([admitted(admission, whole), admitted(admission, whole)]).toEqual([5, 0]);
});

test("what raft refuses is admitted again; what was appended before it is not", () => {
  const admission = new Admission(new Sequencer());
  expect(
    admitted(admission, [
      [5, 1],
      [5, 2],
    ]),
  ).toBe(2);
  const mark = admission.mark(NODE);
  const refused = [
    [5, 3],
    [6, 1],
  ] as const;
  expect(admitted(admission, refused)).toBe(2);
  admission.goBack(NODE, mark);
  expect(admitted(admission, [[5, 1], [5, 2], ...refused])).toBe(2);
});
