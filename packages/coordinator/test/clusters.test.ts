/** What a cluster agrees on about others: the rules that hold whoever proposes what in which order. */

import type { ClusterId, Incarnation, NodeId } from "@skein/kernel";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import {
  type ClusterCommand,
  decodeClusterCommand,
  encodeClusterCommand,
} from "../src/state-machine/cluster-commands.ts";
import { ROWS_MAX } from "../src/state-machine/clusters.ts";
import { encodeCommand, retainedOperation } from "../src/state-machine/commands.ts";
import { CONFLICTS_MAX } from "../src/state-machine/conflicts.ts";
import { MergeExport } from "../src/state-machine/merge-export.ts";
import { StateMachine } from "../src/state-machine/state-machine.ts";
import { TOMBSTONES_MAX } from "../src/state-machine/tombstones.ts";
import { retained, textOf } from "./support/world.ts";

const US = "11111111-1111-4111-8111-111111111111" as ClusterId;
const THEM = "22222222-2222-4222-8222-222222222222" as ClusterId;
const OTHER = "33333333-3333-4333-8333-333333333333" as ClusterId;
const NODE = "00000000000000aa" as NodeId;

/** One replica with its log. */
class Replica {
  readonly machine = new StateMachine();
  index = 0;
  #seq = 0;

  put(topic: string, text: string, stamp: number): string {
    const envelope = { node: NODE, incarnation: 1 as Incarnation, seq: this.#seq + 1 };
    const bytes = encodeCommand({ envelope, stamp, operation: retainedOperation(retained(topic, text)) });
    const { outcome } = this.machine.apply(bytes, ++this.index);
    if (outcome !== "held") this.#seq++;
    return outcome;
  }

  does(command: ClusterCommand): string {
    return this.machine.apply(encodeClusterCommand(command), ++this.index).outcome;
  }

  value(topic: string): string | undefined {
    const message = this.machine.retained.get(topic);
    return message === undefined ? undefined : textOf(message);
  }

  /** Gives itself up in favour of `winner`, who takes everything in. Returns the cut. */
  mergeInto(winner: Replica, { chunkBytes = 1000, shift = 0, now = 1e9 } = {}): number {
    expect(this.does({ kind: "dissolve", winner: US, chunkBytes })).toBe("applied");
    const cut = this.index;
    const pieces = new MergeExport(this.machine, chunkBytes);
    for (let chunk = 0; ; chunk++) {
      const piece = pieces.chunk(chunk);
      if (piece === undefined) break;
      const { isLast, bytes } = piece;
      const command = { winner: US, loser: THEM, cut, chunk, isLast, stamp: now, shift, bytes };
      expect(winner.does({ kind: "merge", ...command })).toBe("applied");
    }
    expect(winner.does({ kind: "merged", loser: THEM, cut })).toBe("applied");
    return cut;
  }

  get lost(): string[] {
    return this.machine.conflicts.all().map(({ message }) => `${message.topic}=${textOf(message)}`);
  }
}

const merge = (cut: number, chunk: number, isLast: boolean, bytes = new Uint8Array()): ClusterCommand => {
  return { kind: "merge", winner: US, loser: THEM, cut, chunk, isLast, stamp: 1, shift: 0, bytes };
};

const ids = fc.uuid() as unknown as fc.Arbitrary<ClusterId>;
const numbers = fc.nat();
const commands: fc.Arbitrary<ClusterCommand> = fc.oneof(
  fc.record({ kind: fc.constant("tick" as const), stamp: numbers, ageMinutes: numbers }),
  fc.record({
    kind: fc.constant("dissolve" as const),
    winner: ids,
    chunkBytes: fc.integer({ min: 1, max: 1e6 }),
  }),
  fc.record({ kind: fc.constant("resume" as const), cut: numbers }),
  fc.record({
    kind: fc.constant("merge" as const),
    winner: ids,
    loser: ids,
    cut: numbers,
    chunk: numbers,
    isLast: fc.boolean(),
    stamp: numbers,
    shift: fc.integer(),
    bytes: fc.uint8Array({ maxLength: 50 }),
  }),
  fc.record({ kind: fc.constantFrom("merged" as const, "mergeAbort" as const), loser: ids, cut: numbers }),
  fc.record({ kind: fc.constant("fork" as const), parent: ids, index: numbers }),
);

test("a command about clusters comes back from its bytes as it was", () => {
  fc.assert(
    fc.property(commands, (command) => {
      expect(decodeClusterCommand(encodeClusterCommand(command))).toEqual(command);
    }),
  );
});

test("any commands in any order: equal states, and a snapshot goes on like the original", () => {
  fc.assert(
    fc.property(fc.array(commands, { maxLength: 30 }), fc.nat(), (log, at) => {
      const one = new StateMachine();
      let two = new StateMachine();
      log.forEach((command, i) => {
        if (i === at % (log.length + 1)) {
          const copy = new StateMachine();
          copy.restore(two.snapshot());
          two = copy;
        }
        const bytes = encodeClusterCommand(command);
        expect(two.apply(bytes, i + 1).outcome).toBe(one.apply(bytes, i + 1).outcome);
      });
      expect(two.snapshot()).toEqual(one.snapshot());
      expect(two.stateHash()).toBe(one.stateHash());
    }),
  );
});

test("each chunk is taken once and in order, MERGED only after the last one, and nothing follows it", () => {
  const replica = new Replica();
  expect(replica.does({ kind: "merged", loser: THEM, cut: 7 })).toBe("void");
  expect(replica.does(merge(7, 1, false))).toBe("void");
  expect(replica.does(merge(7, 0, false))).toBe("applied");
  expect(replica.does(merge(7, 0, false))).toBe("void");
  expect(replica.does({ kind: "merged", loser: THEM, cut: 7 })).toBe("void");
  expect(replica.does(merge(7, 1, true))).toBe("applied");
  expect(replica.does(merge(7, 2, true))).toBe("void");
  expect(replica.does({ kind: "merged", loser: THEM, cut: 6 })).toBe("void");
  expect(replica.does({ kind: "merged", loser: THEM, cut: 7 })).toBe("applied");
  expect(replica.does({ kind: "mergeAbort", loser: THEM, cut: 7 })).toBe("void");
  expect(replica.does(merge(9, 0, true))).toBe("void");
  expect(replica.machine.clusters.row(THEM)).toMatchObject({ phase: "merged", cut: 7, chunks: 2 });
});

test("MERGE_ABORT makes MERGED of that cut impossible for good; a later attempt begins anew", () => {
  const replica = new Replica();
  replica.does(merge(7, 0, true));
  expect(replica.does({ kind: "mergeAbort", loser: THEM, cut: 7 })).toBe("applied");
  expect(replica.does({ kind: "merged", loser: THEM, cut: 7 })).toBe("void");
  expect(replica.does(merge(7, 0, true))).toBe("void");
  expect(replica.does(merge(9, 0, true))).toBe("applied");
  expect(replica.does({ kind: "mergeAbort", loser: THEM, cut: 7 })).toBe("void");
  expect(replica.does({ kind: "merged", loser: THEM, cut: 9 })).toBe("applied");
});

test("a cluster that takes another one in does not dissolve, and a dissolved one takes nobody in", () => {
  const replica = new Replica();
  replica.does(merge(7, 0, false));
  expect(replica.does({ kind: "dissolve", winner: OTHER, chunkBytes: 9 })).toBe("void");
  replica.does({ kind: "mergeAbort", loser: THEM, cut: 7 });
  expect(replica.does({ kind: "dissolve", winner: OTHER, chunkBytes: 9 })).toBe("applied");
  expect(replica.does({ kind: "dissolve", winner: THEM, chunkBytes: 9 })).toBe("void");
  expect(replica.does(merge(9, 0, true))).toBe("void");
  expect(replica.does({ kind: "mergeAbort", loser: THEM, cut: 9 })).toBe("applied");
});

test("while dissolved nothing of a client counts; what was held counts once after RESUME of that very cut", () => {
  const replica = new Replica();
  expect(replica.put("t", "1", 1)).toBe("applied");
  replica.does({ kind: "dissolve", winner: OTHER, chunkBytes: 9 });
  const cut = replica.index;
  expect(replica.put("t", "2", 2)).toBe("held");
  expect(replica.does({ kind: "resume", cut: cut + 1 })).toBe("void");
  expect(replica.put("t", "2", 2)).toBe("held");
  expect(replica.value("t")).toBe("1");
  expect(replica.does({ kind: "resume", cut })).toBe("applied");
  expect(replica.put("t", "2", 2)).toBe("applied");
  expect(replica.value("t")).toBe("2");
});

test("of two values the later one is served and the other one is listed; equal ones and single ones are no conflict", () => {
  const [us, them] = [new Replica(), new Replica()];
  us.put("same", "x", 10);
  us.put("ours later", "us", 30);
  us.put("theirs later", "us", 31);
  us.put("only us", "us", 32);
  them.put("same", "x", 10);
  them.put("ours later", "them", 20);
  them.put("theirs later", "them", 50);
  them.put("only them", "them", 51);
  them.mergeInto(us);
  const topics = ["same", "ours later", "theirs later", "only us", "only them"];
  expect(topics.map((topic) => us.value(topic))).toEqual(["x", "us", "them", "us", "them"]);
  expect(us.lost.sort()).toEqual(["ours later=them", "theirs later=us"]);
  expect(us.machine.conflicts.all()[0]).toMatchObject({
    lost: { cluster: THEM, stamp: 20 },
    kept: { cluster: US, stamp: 30, isDeletion: false },
  });
});

test("the later of a deletion and a value wins on either side, and what gave way is listed", () => {
  const [us, them] = [new Replica(), new Replica()];
  us.put("we deleted", "", 30);
  them.put("they deleted before", "", 19);
  them.put("we deleted", "them", 20);
  us.put("they deleted", "us", 31);
  them.put("they deleted", "", 50);
  us.put("deleted before", "", 32);
  them.put("deleted before", "them", 60);
  us.put("they deleted before", "us", 33);
  us.put("both deleted", "", 34);
  them.put("both deleted", "", 61);
  them.mergeInto(us);
  const topics = ["we deleted", "they deleted", "deleted before", "they deleted before", "both deleted"];
  expect(topics.map((topic) => us.value(topic))).toEqual([undefined, undefined, "them", "us", undefined]);
  expect(us.lost.sort()).toEqual([
    "deleted before=",
    "they deleted before=",
    "they deleted=us",
    "we deleted=them",
  ]);
  for (const { message, kept } of us.machine.conflicts.all())
    expect(kept.isDeletion, message.topic).toBe(message.payload.length > 0);
});

test("a clock that is ten years off on one side decides nothing: what counts is how long before the merge it was", () => {
  for (const offset of [-1e12, 1e12]) {
    const [us, them] = [new Replica(), new Replica()];
    const start = 2e12;
    us.put("ours later", "us", start + 300);
    us.put("theirs later", "us", start + 301);
    them.put("ours later", "them", start + offset + 200);
    them.put("theirs later", "them", start + offset + 500);
    them.mergeInto(us, { shift: -offset, now: start + 1000 });
    expect([us.value("ours later"), us.value("theirs later")]).toEqual(["us", "them"]);
    // Nothing of the wrong clock is left: the next write here is the newest thing there is.
    expect(us.machine.newest).toBe(start + 1000);
    us.put("ours later", "us again", start + 1001);
    expect(us.machine.retained.item("ours later")?.stamp).toBe(start + 1001);
  }
});

test("after a fork the older cluster wins where both wrote, whatever the clocks say; untouched values give way", () => {
  for (const isForkWinner of [false, true]) {
    const parent = new Replica();
    for (const topic of ["both", "fork only", "parent only", "nobody"]) parent.put(topic, "old", 1);
    const fork = new Replica();
    fork.machine.restore(parent.machine.snapshot());
    fork.index = parent.index;
    fork.does({ kind: "fork", parent: isForkWinner ? THEM : US, index: fork.index });
    parent.index++;
    const forkNode = "00000000000000bb" as NodeId;
    let seq = 0;
    for (const topic of ["both", "fork only"]) {
      const envelope = { node: forkNode, incarnation: 1 as Incarnation, seq: ++seq };
      const operation = retainedOperation(retained(topic, "fork"));
      fork.machine.apply(encodeCommand({ envelope, stamp: 900, operation }), ++fork.index);
    }
    parent.put("both", "parent", 10);
    parent.put("parent only", "parent", 11);
    const [winner, loser] = isForkWinner ? [fork, parent] : [parent, fork];
    loser.mergeInto(winner);
    const topics = ["both", "fork only", "parent only", "nobody"];
    expect(topics.map((topic) => winner.value(topic))).toEqual(["parent", "fork", "parent", "old"]);
    expect(winner.lost).toEqual(["both=fork"]);
  }
});

test("after a fork the older cluster's value of a topic that was deleted so long ago that this is forgotten is taken, and the deletion is listed", () => {
  for (const deletionsSince of [1, TOMBSTONES_MAX]) {
    const parent = new Replica();
    for (const topic of ["t", "untouched"]) parent.put(topic, "old", 1);
    const fork = new Replica();
    fork.machine.restore(parent.machine.snapshot());
    fork.index = parent.index;
    fork.does({ kind: "fork", parent: THEM, index: fork.index });
    parent.index++;
    const envelope = { node: "00000000000000bb" as NodeId, incarnation: 1 as Incarnation };
    for (let n = 0; n <= deletionsSince; n++) {
      const operation = { kind: "retainedDelete", topic: n === 0 ? "t" : `others/${n}` } as const;
      fork.machine.apply(
        encodeCommand({ envelope: { ...envelope, seq: n + 1 }, stamp: 10, operation }),
        ++fork.index,
      );
    }
    parent.put("t", "parent", 20);
    parent.mergeInto(fork);
    expect([fork.value("t"), fork.value("untouched"), fork.lost]).toEqual(["parent", "old", ["t="]]);
  }
});

test("what a cluster had in its conflicts and whom it had taken in is not lost with it", () => {
  const [us, them] = [new Replica(), new Replica()];
  them.put("t", "them", 5);
  const third = new Replica();
  third.put("t", "third", 4);
  third.does({ kind: "dissolve", winner: THEM, chunkBytes: 1000 });
  const piece = new MergeExport(third.machine, 1000).chunk(0);
  const cut = third.index;
  const { isLast = true, bytes = new Uint8Array() } = piece ?? {};
  them.does({ kind: "merge", winner: THEM, loser: OTHER, cut, chunk: 0, isLast, stamp: 9, shift: 0, bytes });
  them.does({ kind: "merged", loser: OTHER, cut });
  them.mergeInto(us);
  expect(us.lost).toEqual(["t=third"]);
  expect(us.machine.clusters.row(OTHER)).toMatchObject({ phase: "merged" });
  expect(us.machine.clusters.row(THEM)).toMatchObject({ phase: "merged" });
});

test("a state cut into the smallest pieces is the same as in one", () => {
  const build = (chunkBytes: number): Uint8Array => {
    const [us, them] = [new Replica(), new Replica()];
    for (let i = 0; i < 20; i++) them.put(`t/${i}`, `value ${i}`, i + 1);
    for (let i = 0; i < 20; i += 3) them.put(`t/${i}`, "", 30 + i);
    us.put("t/1", "us", 2);
    them.mergeInto(us, { chunkBytes });
    us.index = 1000;
    const { retained: messages, conflicts, tombstones } = us.machine;
    expect(messages.count).toBe(13);
    expect(conflicts.count + tombstones.count).toBe(1 + 7);
    return new TextEncoder().encode(messages.digest());
  };
  expect(build(1)).toEqual(build(1e6));
});

test("everything that is remembered is bounded: clusters, conflicts, deletions", () => {
  const replica = new Replica();
  for (let n = 0; n < ROWS_MAX + 10; n++) {
    const loser = `${String(n).padStart(8, "0")}-1111-4111-8111-111111111111` as ClusterId;
    replica.does({ kind: "mergeAbort", loser, cut: 1 });
  }
  const { rows } = replica.machine.clusters.state();
  expect(rows).toHaveLength(ROWS_MAX);
  expect(rows[0]?.cluster).toMatch(/^00000010/);
  const { conflicts, tombstones } = replica.machine;
  const kept = { cluster: US, stamp: 2, isDeletion: false };
  for (let n = 0; n < CONFLICTS_MAX + 5; n++)
    conflicts.add({ message: retained(`t/${n}`, "x"), lost: { cluster: THEM, stamp: 1 }, kept });
  expect(conflicts.count).toBe(CONFLICTS_MAX);
  expect(conflicts.dropped).toBe(5);
  expect(conflicts.all()[0]).toMatchObject({ id: 6, message: { topic: "t/5" } });
  conflicts.clearThrough(10);
  expect(conflicts.all()[0]?.id).toBe(11);
  for (let n = 0; n < TOMBSTONES_MAX + 5; n++) tombstones.add(`t/${n}`, { stamp: 1, index: n });
  expect(tombstones.count).toBe(TOMBSTONES_MAX);
  expect(tombstones.get("t/4")).toBeUndefined();
  expect(tombstones.get("t/5")).toBeDefined();
});

test("snapshots and commands of the first format are still read", () => {
  const machine = new StateMachine();
  // Format 1: one proposer (node, incarnation 1, last 2, index 3) and one retained message.
  const envelope = { node: NODE, incarnation: 1 as Incarnation, seq: 3 };
  const stamped = encodeCommand({ envelope, stamp: 5, operation: { kind: "retainedDelete", topic: "t" } });
  // format, node, incarnation, seq | stamp | kind and body
  const old = Uint8Array.from([1, ...stamped.slice(1, 11), ...stamped.slice(12)]);
  const proposer = [...stamped.slice(1, 9), 1, 2, 3];
  machine.restore(Uint8Array.from([1, 1, ...proposer, 0]));
  expect(machine.sequencer.last(NODE, 1 as Incarnation)).toBe(2);
  expect(machine.apply(old, 4).outcome).toBe("applied");
  expect(machine.tombstones.get("t")).toEqual({ stamp: 1, index: 4 });
});
