import fc from "fast-check";
import { expect, test } from "vitest";
import { PacketReader } from "../../src/codec/packet-reader.ts";

interface Seen {
  readonly packets: number[][];
  /** What was kept of each: bytes, and where in them its body lies. */
  readonly kept: [Uint8Array, number, number][];
  refused: number | undefined;
}

function reading(packetBytesMax: number): { readonly reader: PacketReader; readonly seen: Seen } {
  const seen: Seen = { packets: [], kept: [], refused: undefined };
  const reader = new PacketReader(
    {
      packet: (header, bytes, at, end) => {
        seen.packets.push([header, ...bytes.subarray(at, end)]);
        seen.kept.push([bytes, at, end]);
      },
      unreadable: (reasonCode) => {
        seen.refused = reasonCode;
      },
    },
    packetBytesMax,
  );
  return { reader, seen };
}

function frame(header: number, body: readonly number[]): number[] {
  const length: number[] = [];
  let rest = body.length;
  do {
    length.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>= 7;
  } while (rest > 0);
  return [header, ...length, ...body];
}

test("however a stream is cut into chunks, the same packets come out", () => {
  const packet = fc.tuple(
    fc.integer({ min: 0, max: 255 }),
    fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 300 }),
  );
  const property = fc.property(
    fc.array(packet, { maxLength: 8 }),
    fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
    (packets, sizes) => {
      const { reader, seen } = reading(1_000);
      const stream = packets.flatMap(([header, body]) => frame(header, body));
      for (let at = 0, i = 0; at < stream.length; i++) {
        const size = sizes[i % sizes.length] ?? 1;
        reader.feed(Uint8Array.from(stream.slice(at, at + size)));
        at += size;
      }
      expect(seen.packets).toEqual(packets.map(([header, body]) => [header, ...body]));
      // Also when all others have been read.
      expect(seen.kept.map(([bytes, at, end]) => [...bytes.subarray(at, end)])).toEqual(
        packets.map(([, body]) => body),
      );
      expect(seen.refused).toBeUndefined();
    },
  );
  fc.assert(property);
});

test("a packet above the maximum is refused as soon as its length is known, and nothing follows", () => {
  const { reader, seen } = reading(100);
  reader.feed(Uint8Array.from([0xc0, 0, 0x30, 0x80]));
  expect(seen.refused).toBeUndefined();
  reader.feed(Uint8Array.from([0x01]));
  expect(seen.refused).toBe(0x95);
  reader.feed(Uint8Array.from([0xc0, 0]));
  expect(seen.packets).toEqual([[0xc0]]);
});

test("the maximum counts the fixed header", () => {
  const exact = reading(102);
  exact.reader.feed(Uint8Array.from(frame(0x30, new Array(100).fill(1))));
  expect(exact.seen.packets).toHaveLength(1);
  const tooSmall = reading(101);
  tooSmall.reader.feed(Uint8Array.from(frame(0x30, new Array(100).fill(1))));
  expect(tooSmall.seen).toEqual({ packets: [], kept: [], refused: 0x95 });
});

test("[MQTT-1.5.5-1] lengths of five bytes or with a needless zero are malformed", () => {
  for (const bytes of [
    [0x30, 0xff, 0xff, 0xff, 0xff],
    [0x30, 0x85, 0x00],
  ]) {
    const { reader, seen } = reading(Number.MAX_SAFE_INTEGER);
    reader.feed(Uint8Array.from(bytes));
    expect(seen.refused).toBe(0x81);
  }
});

test("a handler that stops the reader gets no further packet of the same chunk", () => {
  const packets: number[] = [];
  const reader: PacketReader = new PacketReader(
    {
      packet: (header) => {
        packets.push(header);
        reader.stop();
      },
      unreadable: () => expect.unreachable(),
    },
    100,
  );
  reader.feed(Uint8Array.from([0xc0, 0, 0xd0, 0]));
  expect(packets).toEqual([0xc0]);
});

test("what comes while it is paused is read afterwards, in order, wherever it was cut", () => {
  const packets = [frame(0x10, [1]), frame(0x30, [2, 3]), frame(0x30, [4]), frame(0x30, [5])];
  const bytes = packets.flat();
  for (let cut = 0; cut <= bytes.length; cut++) {
    const seen: number[] = [];
    const reader: PacketReader = new PacketReader(
      {
        packet: (_header, chunk, at) => {
          seen.push(chunk[at] as number);
          if (seen.length === 1 || seen.length === 3) reader.pause();
        },
        unreadable: () => undefined,
      },
      100,
    );
    reader.feed(Uint8Array.from(bytes.slice(0, cut)));
    reader.feed(Uint8Array.from(bytes.slice(cut)));
    expect(seen).toEqual([1]);
    reader.resume();
    expect(seen).toEqual([1, 2, 4]);
    reader.resume();
    expect(seen).toEqual([1, 2, 4, 5]);
  }
});

test("a reader that is stopped while it is paused keeps nothing", () => {
  const { reader, seen } = reading(100);
  reader.pause();
  reader.feed(Uint8Array.from(frame(0x30, [1])));
  reader.stop();
  reader.resume();
  expect(seen.packets).toEqual([]);
});
