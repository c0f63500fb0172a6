import { type ClusterId, type Incarnation, type NodeId, SkeinError } from "@skein/kernel";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { type ControlFrame, decodeFrame, encodeFrame } from "../src/frames.ts";

const clusters = fc.uuid() as unknown as fc.Arbitrary<ClusterId>;
const bytes = fc.uint8Array({ maxLength: 50 });
const hex = fc.nat({ max: 2 ** 32 - 1 }).map((n) => n.toString(16).padStart(8, "0"));
const nodes = fc.tuple(hex, hex).map(([high, low]) => (high + low) as NodeId);
const entries = fc.record({
  index: fc.integer({ min: 1 }),
  term: fc.nat(),
  kind: fc.constantFrom("command" as const, "configuration" as const, "empty" as const),
  data: bytes,
});
const snapshots = fc.record({
  index: fc.nat(),
  term: fc.nat(),
  configuration: fc.constant({ voters: ["a"], votersOutgoing: [], learners: ["b"] }),
  data: bytes,
});
const frames: fc.Arbitrary<ControlFrame> = clusters.chain((cluster) =>
  fc.oneof(
    bytes.map((message) => ({ kind: "raft", cluster, message }) as const),
    fc.array(bytes, { maxLength: 5 }).map((commands) => ({ kind: "proposal", cluster, commands }) as const),
    nodes.map((joiner) => ({ kind: "join", cluster, joiner }) as const),
    fc
      .constantFrom("joined", "resign", "notMember", "survey")
      .map((kind) => ({ kind, cluster }) as ControlFrame),
    fc.boolean().map((isReady) => ({ kind: "leave", cluster, isReady }) as const),
    nodes.map((target) => ({ kind: "forget", cluster, target }) as const),
    fc.tuple(nodes, hex).map(([target, error]) => ({ kind: "forgot", cluster, target, error }) as const),
    fc
      .tuple(clusters, fc.maxSafeNat(), fc.maxSafeNat())
      .map(([parent, index, term]) => ({ kind: "forked", cluster, parent, index, term }) as const),
    fc
      .tuple(fc.maxSafeNat(), fc.maxSafeNat())
      .map(([index, term]) => ({ kind: "surveyed", cluster, index, term }) as const),
    fc
      .tuple(fc.constantFrom("reach", "reached"), fc.maxSafeNat())
      .map(([kind, index]) => ({ kind, cluster, index }) as ControlFrame),
    fc
      .tuple(fc.constantFrom("outbox", "written", "count"), fc.maxSafeNat())
      .map(([kind, request]) => ({ kind, cluster, request }) as ControlFrame),
    fc
      .tuple(
        fc.maxSafeNat(),
        fc.maxSafeNat().map((number) => number as Incarnation),
        fc.maxSafeNat(),
      )
      .map(
        ([request, incarnation, seq]) => ({ kind: "counted", cluster, request, incarnation, seq }) as const,
      ),
    fc
      .tuple(
        fc.maxSafeNat().map((number) => number as Incarnation),
        fc.maxSafeNat(),
        hex,
      )
      .map(([incarnation, seq, clientId]) => ({ kind: "had", cluster, incarnation, seq, clientId }) as const),
    fc.array(bytes, { maxLength: 5 }).map((commands) => ({ kind: "early", cluster, commands }) as const),
    fc.tuple(fc.maxSafeNat(), hex, bytes).map(([index, publisher, payload]) => {
      const message = { topic: "t", payload, qos: 1, retain: false, properties: undefined } as const;
      return { kind: "will", cluster, index, publisher, message } as const;
    }),
    fc.record({
      kind: fc.constant("repair" as const),
      cluster: fc.constant(cluster),
      index: fc.maxSafeNat(),
      term: fc.maxSafeNat(),
    }),
    fc.record({
      kind: fc.constant("repaired" as const),
      cluster: fc.constant(cluster),
      index: fc.maxSafeNat(),
      term: fc.maxSafeNat(),
      missing: fc.record({ snapshot: fc.option(snapshots, { nil: undefined }), entries: fc.array(entries) }),
    }),
  ),
);

test("a frame comes back from its bytes as it was", () => {
  fc.assert(
    fc.property(frames, (frame) => {
      expect(decodeFrame(encodeFrame(frame))).toEqual(frame);
    }),
  );
});

test("node ids that end in the same bits are told apart, in whatever order they come", () => {
  const alike = fc.constantFrom(
    "0000000000000001",
    "0000000100000001",
    "0000000100000041",
    "0000000000000041",
  );
  fc.assert(
    fc.property(fc.array(alike, { minLength: 2 }), (ids) => {
      for (const id of ids) {
        const joiner = id as NodeId;
        const frame: ControlFrame = { kind: "join", cluster: "c" as ClusterId, joiner };
        expect(decodeFrame(encodeFrame(frame))).toEqual(frame);
      }
    }),
  );
});

test("arbitrary and cut bytes throw nothing but ERR_SKEIN_MALFORMED", () => {
  const inputs = fc.oneof(
    fc.uint8Array({ maxLength: 80 }),
    fc.tuple(frames, fc.nat({ max: 80 })).map(([frame, at]) => encodeFrame(frame).slice(0, at)),
  );
  fc.assert(
    fc.property(inputs, (input) => {
      try {
        decodeFrame(input);
      } catch (error) {
        expect(error).toBeInstanceOf(SkeinError);
        expect((error as SkeinError).code).toBe("ERR_SKEIN_MALFORMED");
      }
    }),
    { numRuns: 500 },
  );
});

test("a proposal that promises more commands than allowed is malformed before anything is allocated for it", () => {
  const frame = encodeFrame({ kind: "proposal", cluster: "c" as ClusterId, commands: [] });
  frame[frame.length - 1] = 0x7f;
  expect(() => decodeFrame(frame)).toThrow("wanted");
  expect(() => decodeFrame(Uint8Array.from([...frame.slice(0, -1), 0xff, 0xff, 0x7f]))).toThrow("commands");
});

test("a kind that only a newer version knows is no error, whatever its body holds", () => {
  const known = encodeFrame({ kind: "joined", cluster: "c" as ClusterId });
  expect(decodeFrame(Uint8Array.from([200, ...known.slice(1), 1, 2, 3]))).toBeUndefined();
});
