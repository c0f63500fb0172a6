/** Retained writes that were acknowledged without a quorum, when the log takes them at last. */

import type { ClusterId, Incarnation, NodeId } from "@skein/kernel";
import { expect, test } from "vitest";
import { encodeCommand, retainedOperation } from "../src/state-machine/commands.ts";
import { RETAINED_BYTES_MAX } from "../src/state-machine/retained-state.ts";
import { StateMachine } from "../src/state-machine/state-machine.ts";
import { TOMBSTONES_MAX } from "../src/state-machine/tombstones.ts";
import { retained, textOf } from "./support/world.ts";

const CLUSTER = "00000000-0000-4000-8000-000000000001" as ClusterId;
const [MAJORITY, ONE, OTHER] = ["a", "b", "c"].map((digit) => digit.repeat(16)) as [NodeId, NodeId, NodeId];

/** A log: each write is one entry. */
class Log {
  readonly machine: StateMachine;
  index: number;
  readonly #seqs = new Map<NodeId, number>();

  constructor(machine = new StateMachine(), index = 10) {
    this.machine = machine;
    this.index = index;
  }

  /** `alone`: the log position that `node` had seen, and when it wrote. Returns the entry's index. */
  write(node: NodeId, topic: string, text: string, alone?: { seenThrough: number; stamp: number }): number {
    const seq = (this.#seqs.get(node) ?? 0) + 1;
    this.#seqs.set(node, seq);
    const bytes = encodeCommand({
      envelope: { node, incarnation: 1 as Incarnation, seq },
      stamp: alone?.stamp ?? (this.index + 1) * 100,
      alone: alone === undefined ? undefined : { cluster: CLUSTER, had: [], isAcknowledged: true, ...alone },
      operation: retainedOperation(retained(topic, text)),
    });
    const index = ++this.index;
    expect(this.machine.apply(bytes, index).outcome).toBe("applied");
    return index;
  }

  get value(): string | undefined {
    return textOf(this.machine.retained.get("t"));
  }

  get lost(): (string | undefined)[] {
    return this.machine.conflicts.all().map(({ message }) => textOf(message));
  }
}

test("what the node had seen is replaced", () => {
  const log = new Log();
  const seenThrough = log.write(MAJORITY, "t", "old");
  log.write(MAJORITY, "another", "x");
  log.write(ONE, "t", "new", { seenThrough, stamp: 1500 });
  expect([log.value, log.lost]).toEqual(["new", []]);
  const deleted = log.write(ONE, "t", "", { seenThrough, stamp: 1600 });
  expect([log.value, log.machine.tombstones.get("t")?.index]).toEqual([undefined, deleted]);
});

test("what the majority has written since stays, however late the other write was, and the other value is listed", () => {
  const log = new Log();
  const seenThrough = log.write(MAJORITY, "t", "old");
  log.write(MAJORITY, "t", "of the majority");
  log.write(ONE, "t", "late", { seenThrough, stamp: 900_000 });
  expect([log.value, log.lost]).toEqual(["of the majority", ["late"]]);
  log.write(ONE, "t", "", { seenThrough, stamp: 900_001 });
  expect([log.value, log.lost]).toEqual(["of the majority", ["late", ""]]);
  expect(log.machine.conflicts.all()[0]).toMatchObject({
    lost: { cluster: CLUSTER, stamp: 900_000 },
    kept: { cluster: CLUSTER, stamp: 1200, isDeletion: false },
  });
});

test("of what one node had written to a topic only the last value is listed", () => {
  const log = new Log();
  log.write(MAJORITY, "t", "of the majority");
  for (const [at, node] of [ONE, OTHER, ONE].entries())
    log.write(node, "t", `${node[0]} ${at}`, { seenThrough: 1, stamp: 900_000 + at });
  expect([log.value, log.lost]).toEqual(["of the majority", ["c 1", "b 2"]]);
  // Its clock went back with a restart; the log has its order all the same.
  log.write(ONE, "t", "b 3", { seenThrough: 1, stamp: 800_000 });
  expect(log.lost).toEqual(["c 1", "b 3"]);
  // From an outbox of an earlier cluster, once more.
  log.write(ONE, "t", "older", { seenThrough: 0, stamp: 1 });
  expect(log.lost).toEqual(["c 1", "b 3"]);
});

test("a deletion that gives way is listed: to a value of the majority, or to a later one of another node without a quorum", () => {
  const log = new Log();
  const seenThrough = log.write(MAJORITY, "t", "old");
  log.write(MAJORITY, "t", "of the majority");
  for (const stamp of [900_000, 900_001]) log.write(ONE, "t", "", { seenThrough, stamp });
  expect([log.value, log.lost]).toEqual(["of the majority", [""]]);
  expect(log.machine.conflicts.all()[0]).toMatchObject({
    lost: { stamp: 900_001, alone: ONE },
    kept: { isDeletion: false },
  });
  log.write(ONE, "t", "and then a value", { seenThrough, stamp: 900_002 });
  expect(log.lost).toEqual(["and then a value"]);

  const minorities = new Log();
  const seen = minorities.write(MAJORITY, "t", "old");
  minorities.write(ONE, "t", "", { seenThrough: seen, stamp: 1100 });
  minorities.write(OTHER, "t", "later", { seenThrough: seen, stamp: 1101 });
  expect([minorities.value, minorities.lost]).toEqual(["later", [""]]);
});

test("a topic that both sides have deleted is no conflict", () => {
  const log = new Log();
  const seenThrough = log.write(MAJORITY, "t", "old");
  log.write(MAJORITY, "t", "");
  log.write(ONE, "t", "", { seenThrough, stamp: 900_000 });
  log.write(OTHER, "t", "", { seenThrough, stamp: 900_001 });
  expect([log.value, log.lost]).toEqual([undefined, []]);
});

test("a topic that the majority has deleted since stays deleted, and the other value is listed", () => {
  const log = new Log();
  const seenThrough = log.write(MAJORITY, "t", "old");
  log.write(MAJORITY, "t", "");
  log.write(ONE, "t", "late", { seenThrough, stamp: 900_000 });
  expect([log.value, log.lost, log.machine.conflicts.all()[0]?.kept.isDeletion]).toEqual([
    undefined,
    ["late"],
    true,
  ]);
});

test("a topic that the majority has deleted, and so many others since that this is forgotten, comes back, and the deletion is listed", () => {
  const log = new Log();
  const seenThrough = log.write(MAJORITY, "t", "old");
  const deleted = log.write(MAJORITY, "t", "");
  for (let n = 0; n < TOMBSTONES_MAX; n++) log.write(MAJORITY, `others/${n}`, "");
  expect(log.machine.tombstones.get("t")).toBeUndefined();
  const restored = new Log();
  restored.machine.restore(log.machine.snapshot());
  for (const { machine } of [log, restored]) {
    const writes = new Log(machine, log.index);
    // Who had seen all that is forgotten has seen the deletion of any topic that is not known any more.
    writes.write(OTHER, "t", "seen", { seenThrough: deleted, stamp: 900_000 });
    expect([writes.value, writes.lost]).toEqual(["seen", []]);
    writes.write(OTHER, "t", "", { seenThrough: deleted, stamp: 900_001 });
    machine.tombstones.delete("t");
    writes.write(ONE, "t", "", { seenThrough, stamp: 900_002 });
    expect([writes.value, writes.lost]).toEqual([undefined, []]);
    machine.tombstones.delete("t");
    for (const text of ["late", "later"]) writes.write(ONE, "t", text, { seenThrough, stamp: 900_003 });
    expect([writes.value, writes.lost]).toEqual(["later", [""]]);
    expect(machine.conflicts.all()[0]).toMatchObject({ kept: { isDeletion: false } });
  }
  expect(restored.machine.snapshot()).toEqual(log.machine.snapshot());
});

test("where the log of another cluster was seen, the stamp tells whether a deletion that is forgotten may be newer", () => {
  const log = new Log();
  const deleted = log.write(MAJORITY, "t", "");
  for (let n = 0; n < TOMBSTONES_MAX; n++) log.write(MAJORITY, `others/${n}`, "");
  log.write(ONE, "t", "newer", { seenThrough: 0, stamp: deleted * 100 + 1 });
  expect([log.value, log.lost]).toEqual(["newer", []]);
  log.write(ONE, "u", "older", { seenThrough: 0, stamp: deleted * 100 });
  expect(log.lost).toEqual([""]);
});

test("the writes of one node follow each other, and an ordinary write follows all", () => {
  const log = new Log();
  for (const [text, stamp] of [
    ["first", 50],
    ["second", 60],
    ["third", 55],
  ] as const)
    log.write(ONE, "t", text, { seenThrough: 1, stamp });
  expect([log.value, log.lost]).toEqual(["third", []]);
  log.write(ONE, "t", "with a quorum again");
  expect([log.value, log.lost]).toEqual(["with a quorum again", []]);
  log.write(OTHER, "t", "of another minority", { seenThrough: 1, stamp: 70 });
  expect([log.value, log.lost]).toEqual(["with a quorum again", ["of another minority"]]);
});

test.each([
  [100, 200, "second", ["first"]],
  [200, 100, "first", ["second"]],
  [100, 100, "first", ["second"]],
])(
  "of two nodes without a quorum the later write stays (%i, %i), and the other one is listed",
  (first, second, stays, lost) => {
    const log = new Log();
    log.write(ONE, "t", "first", { seenThrough: 5, stamp: first });
    log.write(OTHER, "t", "second", { seenThrough: 7, stamp: second });
    expect([log.value, log.lost]).toEqual([stays, lost]);
  },
);

test("where both have written the same there is nothing to list", () => {
  const log = new Log();
  log.write(ONE, "t", "on", { seenThrough: 5, stamp: 100 });
  log.write(OTHER, "t", "on", { seenThrough: 7, stamp: 200 });
  const ordinary = log.write(MAJORITY, "t", "off");
  log.write(OTHER, "t", "off", { seenThrough: ordinary - 1, stamp: 300 });
  expect([log.value, log.lost]).toEqual(["off", []]);
});

test("where the log of another cluster was seen the later write stays", () => {
  const log = new Log();
  log.write(MAJORITY, "t", "at 1100");
  log.write(ONE, "t", "at 900", { seenThrough: 0, stamp: 900 });
  expect([log.value, log.lost]).toEqual(["at 1100", ["at 900"]]);
  log.write(ONE, "t", "at 1200", { seenThrough: 0, stamp: 1200 });
  expect([log.value, log.lost]).toEqual(["at 1200", ["at 900"]]);
});

test("what another cluster's log was seen by comes again without replacing what its node has written since", () => {
  const log = new Log();
  for (let round = 0; round < 2; round++)
    for (const stamp of [100, 200]) log.write(ONE, "t", `at ${stamp}`, { seenThrough: 0, stamp });
  expect(log.value).toBe("at 200");
  log.write(ONE, "t", "", { seenThrough: 12, stamp: 300 });
  log.write(ONE, "t", "at 200", { seenThrough: 0, stamp: 200 });
  expect(log.value).toBeUndefined();
});

test("a value for which the store has no room is listed: its publisher has its acknowledgement", () => {
  const log = new Log();
  const filler = { message: retained("filler", "x"), stamp: 1, index: 1 };
  log.machine.retained.set(filler, RETAINED_BYTES_MAX, 1);
  log.write(ONE, "t", "x", { seenThrough: 1, stamp: 1 });
  expect([log.value, log.lost.length]).toEqual([undefined, 1]);
});

test("a replica that was restored from a snapshot decides the same", () => {
  const log = new Log();
  log.write(ONE, "t", "first", { seenThrough: 5, stamp: 100 });
  log.write(ONE, "u", "x", { seenThrough: 5, stamp: 100 });
  log.write(ONE, "u", "", { seenThrough: 5, stamp: 110 });
  const restored = new Log();
  restored.machine.restore(log.machine.snapshot());
  restored.index = log.index;
  expect(restored.machine.stateHash()).toBe(log.machine.stateHash());
  for (const each of [log, restored]) {
    each.write(OTHER, "t", "second", { seenThrough: 7, stamp: 90 });
    each.write(OTHER, "u", "y", { seenThrough: 7, stamp: 105 });
    expect([each.value, each.lost]).toEqual(["first", ["second", "y"]]);
  }
  expect(restored.machine.snapshot()).toEqual(log.machine.snapshot());
});
