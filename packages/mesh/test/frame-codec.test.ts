/** Frames and their bodies: what is written is read, and nothing a peer sends does more than drop its link. */

import {
  ByteReader,
  ByteWriter,
  type ClusterId,
  type Incarnation,
  type NodeId,
  SkeinError,
} from "@skein/kernel";
import fc from "fast-check";
import { expect, test } from "vitest";
import * as codec from "../src/codec.ts";
import { FrameSplitter } from "../src/link/frame.ts";
import { decodeMembers, encodeMembers } from "../src/member-codec.ts";
import type { Hello } from "../src/messages.ts";

const nodeIds = fc.stringMatching(/^[0-9a-f]{16}$/).map((text) => text as NodeId);
const incarnations = fc.nat().map((value) => value as Incarnation);
const versions = fc.nat();
const ports = fc.integer({ min: 0, max: 65_535 });
const ranges = fc.tuple(fc.nat(9), fc.nat(9)).map(([oldest, more]) => ({
  oldest: oldest + 1,
  newest: oldest + 1 + more,
}));
const filters = fc.array(fc.constantFrom("a/b", "a/#", "+/x", "$share/g/a/+", "ä/ö", "#"), { maxLength: 20 });
const texts = fc.string({ unit: "grapheme", maxLength: 30 });

function written(write: (out: ByteWriter) => void): Uint8Array {
  const out = new ByteWriter();
  write(out);
  return out.finish();
}

test("HELLO and RESUME survive the wire", () => {
  const hellos = fc.record({
    versions: ranges,
    mesh: texts,
    node: nodeIds,
    incarnation: incarnations,
    nonce: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    name: texts,
    linkPort: ports,
    home: fc.constantFrom("here", "elsewhere", "unknown"),
    uptimeMs: fc.nat(),
  });
  fc.assert(
    fc.property(hellos, (hello) => {
      // Who speaks version 1 only says nothing of its machine.
      const said = hello.versions.newest > 1 ? hello : { ...hello, home: "unknown", uptimeMs: 0 };
      expect(codec.decodeHello(written((out) => codec.encodeHello(hello as Hello, out)))).toEqual(said);
    }),
  );
  const resumes = fc.record({ incarnation: incarnations, lastSequence: versions, interestVersion: versions });
  fc.assert(
    fc.property(resumes, (resume) => {
      expect(codec.decodeResume(written((out) => codec.encodeResume(resume, out)))).toEqual(resume);
    }),
  );
});

test("digests and interest frames survive the wire", () => {
  const rows = fc.record({
    machine: fc.constantFrom("", "00112233445566ff"),
    isWired: fc.constantFrom(undefined, true, false),
    flushP99Ms: versions,
    mqttPort: ports,
    httpPort: ports,
    uptimeMs: versions,
    protocolVersion: versions,
    node: nodeIds,
    incarnation: incarnations,
    hasLeft: fc.boolean(),
    heardAgoMs: versions,
    address: texts,
    factsVersion: versions,
    name: texts,
    cluster: fc.option(fc.constant("uuid" as ClusterId), { nil: undefined }),
    role: fc.constantFrom("leader" as const, "voter" as const, "learner" as const),
    clients: versions,
    holdsAddress: fc.boolean(),
    interestVersion: versions,
  });
  const members = fc.record({ wantsReply: fc.boolean(), rows: fc.array(rows, { maxLength: 5 }) });
  fc.assert(
    fc.property(members, (frame) => {
      expect(decodeMembers(written((out) => encodeMembers(frame, out)))).toEqual(frame);
    }),
  );
  const deltas = fc
    .record({ incarnation: incarnations, from: versions, added: filters, removed: filters })
    .map((delta) => ({ ...delta, to: delta.from + 1 }));
  fc.assert(
    fc.property(deltas, (delta) => {
      expect(codec.decodeInterestDelta(written((out) => codec.encodeInterestDelta(delta, out)))).toEqual(
        delta,
      );
    }),
  );
  const parts = fc.record({
    node: nodeIds,
    incarnation: incarnations,
    version: versions,
    isFirst: fc.boolean(),
    isLast: fc.boolean(),
    filters,
  });
  fc.assert(
    fc.property(parts, (part) => {
      expect(codec.decodeInterestRows(written((out) => codec.encodeInterestRows(part, out)))).toEqual(part);
    }),
  );
});

test("heads of numbered frames survive the wire", () => {
  const heads = fc.record({
    isOrdinary: fc.boolean(),
    tries: fc.integer({ min: 0, max: 255 }),
    sharedFilters: filters,
  });
  fc.assert(
    fc.property(heads, (head) => {
      const bytes = written((out) => codec.encodeDataHead(head, out));
      expect(codec.decodeDataHead(new ByteReader(bytes))).toEqual(head);
    }),
  );
});

test("arbitrary bytes decode or are refused as malformed, never anything else", () => {
  const decoders: ((bytes: Uint8Array) => unknown)[] = [
    codec.decodeHello,
    codec.decodeResume,
    decodeMembers,
    codec.decodeInterestDelta,
    codec.decodeInterestRows,
    codec.decodeInterestPull,
    codec.decodeInterestAck,
    codec.decodeDataAck,
    (bytes) => codec.decodeDataHead(new ByteReader(bytes)),
    (bytes) => codec.decodeReturnHead(new ByteReader(bytes)),
  ];
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const decode of decoders) expectMalformedOnly(() => decode(bytes));
    }),
    { numRuns: 2000 },
  );
});

test("a filter that is not valid never gets past the decoder", () => {
  for (const filter of ["", "a/#/b", "a+", "$share/g", "$share//a", "a\u0000"]) {
    const bytes = written((out) =>
      codec.encodeInterestDelta(
        { incarnation: 1 as Incarnation, from: 0, to: 1, added: [filter], removed: [] },
        out,
      ),
    );
    expect(() => codec.decodeInterestDelta(bytes)).toThrow(SkeinError);
  }
});

test.each([false, true])(
  "frames come out as they went in, and stay so, however the stream is cut (reads are used again: %s)",
  (isReused) => {
    const frames = fc.array(fc.tuple(fc.integer({ min: 0, max: 255 }), fc.uint8Array({ maxLength: 300 })), {
      maxLength: 20,
    });
    const cuts = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 50 });
    fc.assert(
      fc.property(frames, cuts, (sent, sizes) => {
        const stream = written((out) => {
          for (const [type, body] of sent)
            out
              .u32(body.length + 1)
              .u8(type)
              .raw(body);
        });
        const splitter = new FrameSplitter(1000);
        const got: [number, Uint8Array][] = [];
        let at = 0;
        for (let turn = 0; at < stream.length; turn++) {
          const size = sizes[turn % sizes.length]!;
          const read = stream.slice(at, at + size);
          // Whoever keeps a frame keeps the read that it lies in.
          splitter.push(read, (type, body) => got.push([type, isReused ? body.slice() : body]));
          if (isReused) read.fill(0xee);
          at += size;
        }
        expect(got).toEqual(sent);
      }),
    );
  },
);

test("a frame of no length or above the limit is malformed, and the limit may be raised later", () => {
  const frame = Uint8Array.of(0, 0, 0, 11, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
  const visit = (): void => {};
  expect(() => new FrameSplitter(10).push(frame, visit)).toThrow(SkeinError);
  expect(() => new FrameSplitter(10).push(Uint8Array.of(0, 0, 0, 0, 0), visit)).toThrow(SkeinError);
  expect(() => new FrameSplitter(10).push(Uint8Array.of(255, 255, 255, 255, 1), visit)).toThrow(SkeinError);
  const splitter = new FrameSplitter(10);
  splitter.frameBytesMax = 11;
  let count = 0;
  splitter.push(frame, () => count++);
  expect(count).toBe(1);
});

test("nothing is handed out after stop, not even what was read before", () => {
  const splitter = new FrameSplitter(10);
  let count = 0;
  splitter.push(Uint8Array.of(0, 0, 0, 1, 7, 0, 0, 0, 1, 7), () => {
    count++;
    splitter.stop();
  });
  splitter.push(Uint8Array.of(0, 0, 0, 1, 7), () => count++);
  expect(count).toBe(1);
});

function expectMalformedOnly(decode: () => unknown): void {
  try {
    decode();
  } catch (error) {
    expect(error).toBeInstanceOf(SkeinError);
    expect((error as SkeinError).code).toBe("ERR_SKEIN_MALFORMED");
  }
}
