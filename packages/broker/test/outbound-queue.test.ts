import fc from "fast-check";
import { expect, test } from "vitest";
import type { Frame } from "../src/codec/packet-writer.ts";
import { OutboundQueue } from "../src/outbound-queue.ts";

class Sink {
  readonly writes: Uint8Array[] = [];
  hasRoom = true;
  write(bytes: Uint8Array): boolean {
    this.writes.push(bytes);
    return this.hasRoom;
  }
}

function frame(bytes: readonly number[], packetIdAt = -1): Frame {
  return { bytes: Uint8Array.from(bytes), packetIdAt };
}

test("everything pushed in a turn leaves in order, identifiers patched, the shared frames untouched", () => {
  const piece = fc.record({
    bytes: fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 4, maxLength: 30 }),
    packetId: fc.integer({ min: 0, max: 0xffff }),
  });
  const property = fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
    const queue = new OutboundQueue();
    const sink = new Sink();
    const frames = pieces.map(({ bytes, packetId }) => frame(bytes, packetId === 0 ? -1 : 2));
    for (const [i, each] of frames.entries()) queue.push(each, pieces[i]?.packetId ?? 0);
    const expected = pieces.flatMap(({ bytes, packetId }) =>
      packetId === 0 ? bytes : [bytes[0], bytes[1], packetId >> 8, packetId & 0xff, ...bytes.slice(4)],
    );
    expect(queue.bytes).toBe(expected.length);
    queue.flush(sink);
    expect(sink.writes.length).toBe(pieces.length === 0 ? 0 : 1);
    expect([...Buffer.concat(sink.writes)]).toEqual(expected);
    expect(frames.map(({ bytes }) => [...bytes])).toEqual(pieces.map(({ bytes }) => bytes));
    expect(queue.bytes).toBe(0);
    expect(queue.flush(sink)).toBe(true);
  });
  fc.assert(property);
});

test("a single frame without an identifier is written as it is, without a copy", () => {
  const queue = new OutboundQueue();
  const sink = new Sink();
  const only = frame([1, 2, 3]);
  queue.push(only, 0);
  queue.flush(sink);
  expect(sink.writes[0]).toBe(only.bytes);
});

test("a large frame is handed over between the gathered small ones", () => {
  const queue = new OutboundQueue();
  const sink = new Sink();
  const large = frame(new Array(40_000).fill(7));
  for (const each of [frame([1]), frame([2]), large, frame([3]), frame([4])]) queue.push(each, 0);
  queue.flush(sink);
  expect(sink.writes.map(({ length }) => length)).toEqual([2, 40_000, 2]);
  expect(sink.writes[1]).toBe(large.bytes);
});

test("flush says whether the stream wants to be waited for", () => {
  const queue = new OutboundQueue();
  const sink = new Sink();
  sink.hasRoom = false;
  expect(queue.flush(sink)).toBe(true);
  queue.push(frame([1]), 0);
  expect(queue.flush(sink)).toBe(false);
});
