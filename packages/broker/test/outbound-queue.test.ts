import fc from "fast-check";
import { expect, test } from "vitest";
import { type Frame, ownFrame } from "../src/codec/packet-writer.ts";
import { BatchPool } from "../src/outbound/outbound-batch.ts";
import { OutboundQueue } from "../src/outbound/outbound-queue.ts";

class Sink {
  readonly writes: Uint8Array[] = [];
  hasRoom = true;
  bufferedBytes = 0;
  write(bytes: Uint8Array): boolean {
    this.writes.push(bytes);
    return this.hasRoom;
  }
}

const pool = new BatchPool();

function frame(bytes: readonly number[], packetIdAt = -1): Frame {
  return ownFrame(Uint8Array.from(bytes), packetIdAt);
}

/** Frames that lie side by side in one buffer, as they were read. */
function neighbours(sizes: readonly number[], hasId: boolean): Frame[] {
  const bytes = Uint8Array.from({ length: sizes.reduce((sum, size) => sum + size, 0) }, (_, i) => i % 251);
  let at = 0;
  return sizes.map((size) => {
    const own = { bytes, at, end: at + size, packetIdAt: hasId ? at + 2 : -1 };
    at += size;
    return own;
  });
}

const piece = fc.record({
  sizes: fc.array(fc.integer({ min: 4, max: 30 }), { minLength: 1, maxLength: 40 }),
  packetId: fc.integer({ min: 0, max: 0xffff }),
  isTwice: fc.boolean(),
});

test("everything pushed in a turn leaves in order in one write, identifiers patched, the shared frames untouched", () => {
  const property = fc.property(
    fc.array(piece, { maxLength: 8 }),
    fc.constantFrom(0, 1000),
    (pieces, bufferedBytes) => {
      const queue = new OutboundQueue(pool);
      const sink = new Sink();
      sink.bufferedBytes = bufferedBytes;
      const expected: number[] = [];
      const pushed: [Frame, readonly number[]][] = [];
      for (const { sizes, packetId, isTwice } of pieces) {
        const frames = neighbours(sizes, packetId !== 0);
        for (const each of isTwice ? [...frames, ...frames] : frames) {
          const { bytes, at, end, packetIdAt } = each;
          const own = [...bytes.subarray(at, end)];
          pushed.push([each, own]);
          queue.push(each, packetId);
          if (packetId === 0) expected.push(...own);
          else {
            const id = packetIdAt - at;
            expected.push(...own.slice(0, id), packetId >> 8, packetId & 0xff, ...own.slice(id + 2));
          }
        }
      }
      expect(queue.bytes).toBe(expected.length);
      queue.flush(sink);
      expect(sink.writes.length).toBe(pieces.length === 0 ? 0 : 1);
      expect([...Buffer.concat(sink.writes)]).toEqual(expected);
      for (const [{ bytes, at, end }, own] of pushed) expect([...bytes.subarray(at, end)]).toEqual(own);
      expect(queue.bytes).toBe(0);
      expect(queue.flush(sink)).toBe(true);
    },
  );
  fc.assert(property);
});

test("a single frame without an identifier is written as it is, without a copy", () => {
  const queue = new OutboundQueue(pool);
  const sink = new Sink();
  const only = frame([1, 2, 3]);
  queue.push(only, 0);
  queue.flush(sink);
  expect(sink.writes[0]).toBe(only.bytes);
});

test("neighbours without identifiers are written as one view of their buffer, without a copy", () => {
  const queue = new OutboundQueue(pool);
  const sink = new Sink();
  const frames = neighbours([5, 6, 7, 8], false);
  for (const each of frames.slice(1, 3)) queue.push(each, 0);
  queue.flush(sink);
  expect(sink.writes.map(({ buffer, byteOffset, length }) => [buffer, byteOffset, length])).toEqual([
    [frames[0]?.bytes.buffer, 5, 13],
  ]);
});

test("frames of two buffers are no neighbours, though the one begins where the other ends", () => {
  const queue = new OutboundQueue(pool);
  const sink = new Sink();
  const [first] = neighbours([5, 6], false);
  const [, second] = neighbours([5, 6], false).map((each) => ({
    ...each,
    bytes: each.bytes.map((byte) => byte + 100),
  }));
  for (const each of [first, second]) queue.push(each as Frame, 0);
  queue.flush(sink);
  expect([...Buffer.concat(sink.writes)]).toEqual([0, 1, 2, 3, 4, 105, 106, 107, 108, 109, 110]);
});

test("what waits for a slow socket keeps no buffer alive that is much larger", () => {
  const queue = new OutboundQueue(pool);
  const sink = new Sink();
  sink.bufferedBytes = 1;
  const [small] = neighbours([10, 1000], false);
  queue.push(small as Frame, 0);
  queue.flush(sink);
  expect(sink.writes[0]?.buffer.byteLength).toBe(10);
  const [most] = neighbours([500, 100], false);
  queue.push(most as Frame, 0);
  queue.flush(sink);
  expect(sink.writes[1]?.buffer).toBe(most?.bytes.buffer);
});

test("a large frame is handed over between the gathered small ones", () => {
  const queue = new OutboundQueue(pool);
  const sink = new Sink();
  const large = frame(new Array(40_000).fill(7));
  for (const each of [frame([1]), frame([2]), large, frame([3]), frame([4])]) queue.push(each, 0);
  queue.flush(sink);
  expect(sink.writes.map(({ length }) => length)).toEqual([2, 40_000, 2]);
  expect(sink.writes[1]).toBe(large.bytes);
});

test("large frames with identifiers are patched in a copy, each where it belongs", () => {
  const queue = new OutboundQueue(pool);
  const sink = new Sink();
  const large = (): Frame => frame(new Array(40_000).fill(7), 2);
  for (const [each, id] of [
    [frame([1]), 0],
    [large(), 0x0102],
    [large(), 0],
    [large(), 0x0304],
  ] as const)
    queue.push(each, id);
  queue.flush(sink);
  const all = Buffer.concat(sink.writes);
  expect(all.length).toBe(120_001);
  expect([all.readUInt16BE(3), all.readUInt16BE(40_003), all.readUInt16BE(80_003)]).toEqual([
    0x0102, 0x0707, 0x0304,
  ]);
});

test("flush says whether the stream wants to be waited for", () => {
  const queue = new OutboundQueue(pool);
  const sink = new Sink();
  sink.hasRoom = false;
  expect(queue.flush(sink)).toBe(true);
  queue.push(frame([1]), 0);
  expect(queue.flush(sink)).toBe(false);
});
