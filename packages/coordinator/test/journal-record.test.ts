import { ByteWriter, readU32 } from "@skein/kernel";
import fc from "fast-check";
import { expect, test } from "vitest";
import { BatchEncoder } from "../src/journal/batch.ts";
import { crc32c } from "../src/journal/crc32c.ts";
import { decodeRecord, encodeAlone, type JournalRecord, snapshotFrame } from "../src/journal/record.ts";
import { scanSegment } from "../src/journal/segment-scan.ts";

const bytesOf = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));

// RFC 3720 appendix B.4, and the check value of CRC-32C.
test.each([
  ["32 bytes of zeroes", new Uint8Array(32), 0x8a9136aa],
  ["32 bytes of ones", new Uint8Array(32).fill(0xff), 0x62a8ab43],
  ["32 incrementing bytes", Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
  ["32 decrementing bytes", Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
  ["123456789", bytesOf("123456789"), 0xe3069283],
  ["nothing", new Uint8Array(0), 0],
])("crc32c of %s is the value of RFC 3720", (_, bytes, expected) => {
  expect(crc32c(bytes)).toBe(expected);
});

test("crc32c of a whole is crc32c continued over its parts", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), (bytes, cut) => {
      const at = Math.min(cut, bytes.length);
      expect(crc32c(bytes, crc32c(bytes, 0, 0, at), at)).toBe(crc32c(bytes));
    }),
  );
});

const hardState = fc.record({
  term: fc.maxSafeNat(),
  votedFor: fc.option(fc.string({ unit: "grapheme", maxLength: 20 }), { nil: undefined }),
});
const ids = fc.array(fc.string({ unit: "grapheme", maxLength: 8 }), { maxLength: 3 });
const data = fc.uint8Array({ maxLength: 64 });
const record: fc.Arbitrary<JournalRecord> = fc.oneof(
  fc.record({ kind: fc.constant("segment" as const), number: fc.maxSafeNat(), hardState }),
  fc.record({ kind: fc.constant("hardState" as const), hardState }),
  fc.record({ kind: fc.constant("committed" as const), index: fc.maxSafeNat() }),
  fc.record({ kind: fc.constant("reset" as const), index: fc.maxSafeNat(), term: fc.maxSafeNat() }),
  fc.record({
    kind: fc.constant("entry" as const),
    entry: fc.record({
      index: fc.integer({ min: 1 }),
      term: fc.maxSafeNat(),
      kind: fc.constantFrom("command" as const, "configuration" as const, "empty" as const),
      data,
    }),
    previousTerm: fc.maxSafeNat(),
  }),
  fc.record({ kind: fc.constant("superseded" as const), from: fc.maxSafeNat() }),
  fc.record({ kind: fc.constant("suspect" as const), asideSince: fc.maxSafeNat(), hardState }),
  fc.record({
    kind: fc.constant("snapshot" as const),
    snapshot: fc.record({
      index: fc.maxSafeNat(),
      term: fc.maxSafeNat(),
      configuration: fc.record({ voters: ids, votersOutgoing: ids, learners: ids }),
      data,
    }),
  }),
);

test("decoding a record gives back what was encoded, and where it ends", () => {
  fc.assert(
    fc.property(record, data, (value, rest) => {
      const bytes = encodeAlone(value);
      const followed = new Uint8Array([...bytes, ...rest]);
      expect(decodeRecord(followed, 0)).toMatchObject({ record: value, end: bytes.length, previous: 0 });
    }),
  );
});

test("a snapshot in pieces is the same record, and stops on the way", () => {
  const configuration = { voters: ["a"], votersOutgoing: [], learners: ["b"] };
  const snapshot = { index: 300, term: 2, configuration, data: new Uint8Array(1_200_000).fill(7) };
  const frame = snapshotFrame(snapshot);
  expect([frame.next().done, frame.next().done]).toEqual([false, false]);
  const { value } = frame.next();
  expect(Buffer.concat(value ?? [])).toEqual(Buffer.from(encodeAlone({ kind: "snapshot", snapshot })));
});

test("a record with any one byte changed is not a record", () => {
  fc.assert(
    fc.property(record, fc.nat(), fc.integer({ min: 1, max: 255 }), (value, at, mask) => {
      const bytes = encodeAlone(value);
      const place = at % bytes.length;
      bytes[place] = (bytes[place] ?? 0) ^ mask;
      // Bytes 8 to 11 are the generation; read as that generation it is still no record.
      expect(decodeRecord(bytes, 0)).toBeUndefined();
      expect(decodeRecord(bytes, 0, readU32(bytes, 8))).toBeUndefined();
    }),
  );
});

test("scanning arbitrary bytes never throws and never reads past the end", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(3), (bytes, generation) => {
      const scan = scanSegment(bytes, generation);
      expect(scan.goodBytes).toBeLessThanOrEqual(bytes.length);
      if (scan.goodBytes === 0 && bytes.length > 0) expect(scan.damage).not.toBe("none");
    }),
  );
});

const term = (of: number): JournalRecord => ({ kind: "hardState", hardState: { term: of, votedFor: "a" } });

/** Batches of one segment, each a list of terms, without end marks. */
function batches(generation: number, first: number, ...lists: readonly (readonly number[])[]): Uint8Array[] {
  const encoder = new BatchEncoder();
  let previous = first;
  return lists.map((terms) => {
    encoder.begin(generation, previous);
    for (const of of terms) encoder.add(term(of));
    const { bytes, length, hash } = encoder.finish();
    previous = hash;
    return bytes.slice(0, length);
  });
}

const joined = (...parts: readonly Iterable<number>[]): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => [...part]));
const END = [0, 0, 0, 0];
const terms = (scan: ReturnType<typeof scanSegment>): number[] =>
  scan.records.map(({ record }) => (record.kind === "hardState" ? record.hardState.term : -1));

test("a segment whose last batch has its end mark is good to the end, whatever stands behind", () => {
  const parts = batches(7, 0, [1, 2], [3], [4, 5]);
  const old = batches(4, 0, [90], [91, 92], [93]);
  for (const behind of [[], END, joined(...old), new Uint8Array(5000)]) {
    const scan = scanSegment(joined(...parts, END, behind), 7);
    expect(scan).toMatchObject({ damage: "none", goodBytes: joined(...parts).length });
    expect(terms(scan)).toEqual([1, 2, 3, 4, 5]);
  }
});

test("what an earlier life of a recycled segment has left never parses as a record of this one", () => {
  const header: JournalRecord = { kind: "segment", number: 4, hardState: { term: 9, votedFor: undefined } };
  const encoder = new BatchEncoder();
  encoder.begin(4, 0);
  encoder.add(header);
  for (let of = 10; of < 60; of++) encoder.add(term(of));
  const old = encoder.finish().bytes;
  // Renamed and not yet written to: empty, and no damage.
  expect(scanSegment(old, 7)).toMatchObject({ damage: "none", goodBytes: 0, records: [] });
  // Written over at any length, cut anywhere: records of the new life, as far as they are whole.
  const fresh = joined(...batches(7, 0, [1], [2], [3, 4]), END);
  for (let length = 1; length <= fresh.length; length++) {
    const scan = scanSegment(joined(fresh.slice(0, length), old.slice(length)), 7);
    expect(terms(scan)).toEqual([1, 2, 3, 4].slice(0, scan.records.length));
    expect(scan.damage).toBe(
      length === fresh.length || (length <= 4 && scan.damage === "none") ? "none" : "torn",
    );
  }
});

test("a bad end with nothing but its own batch behind it is torn, with a later batch behind it is rot", () => {
  const [one, two, three] = batches(7, 0, [1], [2, 3], [4]) as [Uint8Array, Uint8Array, Uint8Array];
  const cut = joined(one, two.subarray(0, two.length - 1));
  expect(scanSegment(cut, 7)).toMatchObject({ damage: "torn", after: [] });
  expect(terms(scanSegment(cut, 7))).toEqual([1, 2]);
  // The first half of a batch did not reach the medium, its second half did.
  const holed = joined(one, two, END);
  holed.fill(0, one.length, one.length + 12);
  expect(scanSegment(holed, 7)).toMatchObject({ goodBytes: one.length, damage: "torn" });
  expect(scanSegment(joined(one, two), 7)).toMatchObject({ damage: "torn" });

  const rotten = joined(one, two, three, END);
  rotten[one.length + 2] = 0xff;
  expect(scanSegment(rotten, 7)).toMatchObject({ goodBytes: one.length, damage: "rotten" });
  expect(scanSegment(rotten, 7).after.map(({ record }) => record)).toEqual([term(3), term(4)]);
});

test("a batch that does not continue the one before it has lost its predecessor: rot, though every record is good", () => {
  const [one, , three] = batches(7, 0, [1], [2], [3]) as [Uint8Array, Uint8Array, Uint8Array];
  expect(scanSegment(joined(one, three, END), 7)).toMatchObject({
    goodBytes: one.length,
    damage: "rotten",
    after: [{ record: term(3), isInside: false }],
  });
  // The same at the beginning, where the batch before stands in another segment.
  const [first] = batches(8, 1234, [5]) as [Uint8Array];
  expect(scanSegment(joined(first, END), 8, 1234).damage).toBe("none");
  expect(scanSegment(joined(first, END), 8, 4321).damage).toBe("rotten");
  expect(scanSegment(joined(first, END), 8).damage).toBe("none");
});

test("what stands inside a bad record may be somebody's message: it is told apart, unless the length is bad, too", () => {
  const forged = new BatchEncoder();
  forged.begin(7, 99);
  forged.add({
    kind: "entry",
    entry: { index: 5, term: 5, kind: "command", data: new Uint8Array(3) },
    previousTerm: 5,
  });
  const encoder = new BatchEncoder();
  encoder.begin(7, 0);
  const entry = { index: 1, term: 1, kind: "command", data: forged.finish().bytes } as const;
  encoder.add({ kind: "entry", entry, previousTerm: 0 });
  const one = encoder.finish();
  const [two] = batches(7, one.hash, [2]) as [Uint8Array];
  const rotten = joined(one.bytes.subarray(0, one.length), two, END);
  // A byte of its term.
  rotten[18] = (rotten[18] as number) ^ 1;
  expect(scanSegment(rotten, 7).after).toMatchObject([
    { isInside: true, record: { kind: "entry", entry: { index: 5 } } },
    { isInside: false, record: term(2) },
  ]);
  rotten[3] = (rotten[3] as number) ^ 1;
  expect(scanSegment(rotten, 7).after.map(({ isInside }) => isInside)).toEqual([false, false]);
});

test("the search behind damage is bounded: bytes that promise endless records count as rot", () => {
  // Every third offset claims a record of 131,328 bytes of generation 0x01000201: an unbounded search would check 45 GB.
  const generation = 0x01000201;
  const [one] = batches(generation, 0, [1]) as [Uint8Array];
  const out = new ByteWriter();
  for (let i = 0; i < 350_000; i++) out.u8(0).u8(2).u8(1);
  expect(scanSegment(joined(one, [0, 2, 1, 0, 2, 1]), generation).damage).toBe("torn");
  const endless = new Uint8Array(one.length + out.length);
  endless.set(one);
  endless.set(out.finish(), one.length);
  expect(scanSegment(endless, generation)).toMatchObject({ damage: "rotten", after: [] });
});
