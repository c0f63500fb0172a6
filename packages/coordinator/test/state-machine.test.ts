import { type ClusterId, type Incarnation, type NodeId, SkeinError, seededPrng } from "@skein/kernel";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { STAMP_MAX, STAMPS_PER_MS } from "../src/hybrid-clock.ts";
import {
  decodeClusterCommand,
  encodeClusterCommand,
  isClusterCommand,
} from "../src/state-machine/cluster-commands.ts";
import {
  type Command,
  decodeCommand,
  encodeCommand,
  retainedOperation,
} from "../src/state-machine/commands.ts";
import { PROPOSERS_MAX, Sequencer } from "../src/state-machine/sequencer.ts";
import { decodeSnapshot } from "../src/state-machine/snapshot.ts";
import { StateMachine } from "../src/state-machine/state-machine.ts";
import { retained, textOf } from "./support/world.ts";

const A = "00000000000000aa" as NodeId;
const B = "ffffffffffffff0b" as NodeId;

function command(node: NodeId, incarnation: number, seq: number, topic: string, text: string): Uint8Array {
  const envelope = { node, incarnation: incarnation as Incarnation, seq };
  return encodeCommand({ envelope, stamp: 0, operation: retainedOperation(retained(topic, text)) });
}

const topics = fc.constantFrom("a", "a/b", "a/b/c", "$SYS/x", "é/ü", "/", "b//c");
const messages = fc.record({
  topic: topics,
  payload: fc.uint8Array({ minLength: 1, maxLength: 40 }),
  qos: fc.constantFrom(0, 1, 2) as fc.Arbitrary<0 | 1 | 2>,
  retain: fc.boolean(),
  properties: fc.option(
    fc.record(
      {
        contentType: fc.string(),
        correlationData: fc.uint8Array({ maxLength: 9 }),
        messageExpirySeconds: fc.nat(100),
      },
      { requiredKeys: ["contentType", "correlationData"] },
    ),
    { nil: undefined },
  ),
});
const commands: fc.Arbitrary<Command> = fc.record({
  envelope: fc.record({
    node: fc.constantFrom(A, B),
    incarnation: fc.integer({ min: 1, max: 2 ** 40 }) as unknown as fc.Arbitrary<Incarnation>,
    seq: fc.integer({ min: 1, max: 2 ** 52 }),
  }),
  stamp: fc.integer({ min: 0, max: STAMP_MAX }),
  alone: fc.option(
    fc.record({
      cluster: fc.uuid() as unknown as fc.Arbitrary<ClusterId>,
      seenThrough: fc.nat(),
      stamp: fc.integer({ min: 0, max: STAMP_MAX }),
      had: fc.array(fc.string(), { maxLength: 3 }),
      isAcknowledged: fc.constant(true),
      isReleased: fc.constantFrom(true as const, undefined),
    }),
    { nil: undefined },
  ),
  operation: fc.oneof(
    messages.map((message) => ({ kind: "retainedSet", message }) as const),
    topics.map((topic) => ({ kind: "retainedDelete", topic }) as const),
    fc.nat().map((through) => ({ kind: "conflictsClear", through }) as const),
    fc.nat().map((through) => ({ kind: "skip", through }) as const),
    fc.uuid().map((cluster) => ({ kind: "mergeApprove", cluster: cluster as ClusterId }) as const),
  ),
});

test("a command comes back from its bytes as it was", () => {
  fc.assert(
    fc.property(commands, (original) => {
      expect(decodeCommand(encodeCommand(original))).toEqual(original);
    }),
  );
});

test("what has expired by the log's own time leaves the set, with any command and with the time of the leader", () => {
  const machine = new StateMachine();
  let seq = 0;
  const apply = (topic: string, seconds: number, messageExpirySeconds?: number): void => {
    const properties = messageExpirySeconds === undefined ? undefined : { messageExpirySeconds };
    const operation = retainedOperation({ ...retained(topic, "x"), properties });
    const envelope = { node: A, incarnation: 1 as Incarnation, seq: ++seq };
    machine.apply(encodeCommand({ envelope, stamp: seconds * 1000 * STAMPS_PER_MS, operation }), seq);
  };
  const topics = () => machine.retained.sorted().map(({ topic }) => topic);
  apply("short", 1000, 10);
  apply("long", 1000, 60);
  apply("ever", 1000);
  apply("later", 1009);
  expect(topics()).toEqual(["ever", "later", "long", "short"]);
  apply("later", 1010);
  expect(topics()).toEqual(["ever", "later", "long"]);
  apply("long", 1050);
  apply("short", 1050, 30);
  const copy = new StateMachine();
  copy.restore(machine.snapshot());
  for (const each of [machine, copy]) {
    const stamp = 1081 * 1000 * STAMPS_PER_MS;
    each.apply(encodeClusterCommand({ kind: "tick", stamp, ageMinutes: 0 }), ++seq);
    expect(each.retained.sorted().map(({ topic }) => topic)).toEqual(["ever", "later", "long"]);
  }
  expect(copy.stateHash()).toBe(machine.stateHash());
  expect(copy.snapshot()).toEqual(machine.snapshot());
});

test("what has expired counts in a merge as deleted when it was written: nothing older comes back, nor does the order of expiry matter", () => {
  const machine = new StateMachine();
  const write = (seq: number, topic: string, seconds: number, messageExpirySeconds: number): Uint8Array => {
    const operation = retainedOperation({ ...retained(topic, "x"), properties: { messageExpirySeconds } });
    const envelope = { node: A, incarnation: 1 as Incarnation, seq };
    return encodeCommand({ envelope, stamp: seconds * 1000 * STAMPS_PER_MS, operation });
  };
  machine.apply(write(1, "z", 1000, 10), 1);
  machine.apply(write(2, "a", 1001, 20), 2);
  const copy = new StateMachine();
  copy.restore(machine.snapshot());
  for (const each of [machine, copy]) each.apply(write(3, "late", 1100, 5), 3);
  expect(machine.tombstones.all()).toEqual([
    { topic: "a", stamp: 1001 * 1000 * STAMPS_PER_MS, index: 2 },
    { topic: "z", stamp: 1000 * 1000 * STAMPS_PER_MS, index: 1 },
  ]);
  expect(copy.snapshot()).toEqual(machine.snapshot());
});

test("arbitrary and mutilated bytes throw ERR_SKEIN_MALFORMED or decode; they never change a state machine by half", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.uint8Array({ maxLength: 60 }), commands.map(encodeCommand)),
      fc.nat(),
      (bytes, at) => {
        const mutilated = bytes.slice(0, at % (bytes.length + 1));
        for (const input of [bytes, mutilated]) {
          let isDecodable = true;
          try {
            if (isClusterCommand(input)) decodeClusterCommand(input);
            else decodeCommand(input);
          } catch (error) {
            expect(error).toBeInstanceOf(SkeinError);
            isDecodable = false;
          }
          const machine = new StateMachine();
          const before = machine.snapshot();
          const { outcome } = machine.apply(input, 1);
          if (!isDecodable) expect(outcome).toBe("malformed");
          if (outcome !== "applied") expect(machine.snapshot()).toEqual(before);
        }
      },
    ),
    { examples: [[Uint8Array.of(3, 1, 0, 0), 0]] },
  );
});

test("[MQTT-3.3.1-6] an empty payload deletes; [MQTT-3.3.1-8] a newer message replaces", () => {
  const machine = new StateMachine();
  machine.apply(command(A, 1, 1, "t", "one"), 1);
  machine.apply(command(A, 1, 2, "t", "two"), 2);
  expect(textOf(machine.retained.get("t"))).toBe("two");
  machine.apply(command(A, 1, 3, "t", ""), 3);
  expect(machine.retained.count).toBe(0);
  expect(machine.outcomes).toMatchObject({ applied: 3 });
});

test("reference design 4.3 rule 1: repeats, gaps and fenced incarnations change nothing", () => {
  const machine = new StateMachine();
  expect(machine.apply(command(A, 1, 2, "t", "gap"), 1).outcome).toBe("gap");
  expect(machine.apply(command(A, 1, 1, "t", "1"), 2).outcome).toBe("applied");
  expect(machine.apply(command(A, 1, 1, "t", "again"), 3).outcome).toBe("repeated");
  expect(machine.apply(command(A, 2, 2, "t", "gap"), 4).outcome).toBe("gap");
  expect(machine.apply(command(A, 1, 2, "t", "2"), 5).outcome).toBe("applied");
  expect(machine.apply(command(A, 2, 1, "t", "new start"), 6).outcome).toBe("applied");
  expect(machine.apply(command(A, 1, 3, "t", "old start"), 7).outcome).toBe("fenced");
  expect(machine.apply(command(B, 1, 1, "u", "other node"), 8).outcome).toBe("applied");
  expect(textOf(machine.retained.get("t"))).toBe("new start");
});

test("proposals that are lost, repeated and reordered are applied exactly once and in order", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 31 }), fc.integer({ min: 1, max: 30 }), (seed, count) => {
      const prng = seededPrng(seed);
      const machine = new StateMachine();
      const order: number[] = [];
      let index = 0;
      // The proposer keeps sending a random piece of what is open; the network loses and shuffles it.
      for (let round = 0; machine.sequencer.last(A, 1 as Incarnation) < count; round++) {
        expect(round).toBeLessThan(5000);
        const oldest = machine.sequencer.last(A, 1 as Incarnation) + 1;
        const from = Math.max(1, oldest - prng.below(4));
        const sent: number[] = [];
        for (let seq = from; seq <= Math.min(count, oldest + 5); seq++) if (prng.below(4) > 0) sent.push(seq);
        sent.sort(() => prng.below(3) - 1);
        for (const seq of sent) {
          if (machine.apply(command(A, 1, seq, "t", String(seq)), ++index).outcome === "applied")
            order.push(seq);
        }
      }
      expect(order).toEqual(Array.from({ length: count }, (_, i) => i + 1));
    }),
    { numRuns: 60 },
  );
});

test("equal logs give byte-equal snapshots, and a restored machine goes on as the original", () => {
  fc.assert(
    fc.property(fc.array(commands, { maxLength: 40 }), fc.nat(), (log, cut) => {
      const original = new StateMachine();
      const other = new StateMachine();
      const sequenced = sequence(log);
      const at = cut % (sequenced.length + 1);
      for (const [i, bytes] of sequenced.slice(0, at).entries()) original.apply(bytes, i + 1);
      other.restore(original.snapshot());
      expect(other.snapshot()).toEqual(original.snapshot());
      expect(other.retained.bytes).toBe(original.retained.bytes);
      for (const [i, bytes] of sequenced.slice(at).entries()) {
        expect(other.apply(bytes, at + i + 1).outcome).toBe(original.apply(bytes, at + i + 1).outcome);
      }
      expect(other.snapshot()).toEqual(original.snapshot());
      expect(other.retained.digest()).toBe(original.retained.digest());
    }),
  );
});

test("a damaged snapshot throws and changes nothing", () => {
  const machine = new StateMachine();
  machine.apply(command(A, 1, 1, "t", "one"), 1);
  const snapshot = machine.snapshot();
  for (let length = 0; length < snapshot.length; length++) {
    expect(() => machine.restore(snapshot.slice(0, length))).toThrow(SkeinError);
  }
  expect(() => decodeSnapshot(new Uint8Array([9]))).toThrow(SkeinError);
  expect(machine.snapshot()).toEqual(snapshot);
});

test("a kept message does not hold on to the buffer it came in, nor changes with it", () => {
  const machine = new StateMachine();
  const bytes = command(A, 1, 1, "t", "stays");
  const buffer = Buffer.alloc(64 * 1024);
  buffer.set(bytes, 100);
  machine.apply(buffer.subarray(100, 100 + bytes.length), 1);
  buffer.fill(0);
  const message = machine.retained.get("t");
  expect(textOf(message)).toBe("stays");
  expect(message?.payload.buffer.byteLength).toBe(5);
});

test("a command that takes several places is next where its first is due or past, and is repeated where its last is", () => {
  const take = (last: number, seq: number, through: number) => {
    const sequencer = new Sequencer();
    const envelope = { node: A, incarnation: 1 as Incarnation, seq: 1 };
    if (last > 0) sequencer.take(envelope, 1, last);
    return [sequencer.take({ ...envelope, seq }, 2, through), sequencer.last(A, envelope.incarnation)];
  };
  expect(take(4, 5, 9)).toEqual(["next", 9]);
  // Some of the commands whose places it takes had come through after all.
  expect(take(7, 5, 9)).toEqual(["next", 9]);
  expect(take(9, 5, 9)).toEqual(["repeated", 9]);
  expect(take(3, 5, 9)).toEqual(["gap", 3]);
});

test("the table of proposers is bounded: the quietest row makes room", () => {
  const sequencer = new Sequencer();
  const nodeOf = (n: number): NodeId => n.toString(16).padStart(16, "0") as NodeId;
  const first = 1 as Incarnation;
  for (let n = 0; n < PROPOSERS_MAX; n++) {
    sequencer.take({ node: nodeOf(n), incarnation: first, seq: 1 }, n + 1);
  }
  sequencer.take({ node: nodeOf(0), incarnation: first, seq: 2 }, PROPOSERS_MAX + 1);
  sequencer.take({ node: nodeOf(PROPOSERS_MAX), incarnation: first, seq: 1 }, PROPOSERS_MAX + 2);
  expect(sequencer.rows()).toHaveLength(PROPOSERS_MAX);
  expect(sequencer.last(nodeOf(0), first)).toBe(2);
  expect(sequencer.last(nodeOf(1), first)).toBe(0);
});

/** Gives each command of an arbitrary log a plausible place in its proposer's sequence, with some repeats and gaps. */
function sequence(log: readonly Command[]): Uint8Array[] {
  const last = new Map<NodeId, number>();
  return log.map(({ envelope, stamp, operation }, i) => {
    const seq = (last.get(envelope.node) ?? 0) + 1;
    if (i % 5 !== 4) last.set(envelope.node, seq);
    const incarnation = (1 + Math.floor(i / 15)) as Incarnation;
    if (i % 15 === 0) last.clear();
    return encodeCommand({ envelope: { node: envelope.node, incarnation, seq }, stamp, operation });
  });
}
