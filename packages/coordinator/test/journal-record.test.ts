import { ByteWriter } from "@skein/kernel";
import fc from "fast-check";
import { expect, test } from "vitest";
import { crc32c } from "../src/journal/crc32c.ts";
import { decodeRecord, encodeAlone, encodeRecord, type JournalRecord } from "../src/journal/record.ts";
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
  fc.record({ kind: fc.constant("reset" as const), index: fc.maxSafeNat(), term: fc.maxSafeNat() }),
  fc.record({
    kind: fc.constant("entry" as const),
    entry: fc.record({
      index: fc.integer({ min: 1 }),
      term: fc.maxSafeNat(),
      kind: fc.constantFrom("command" as const, "configuration" as const, "empty" as const),
      data,
    }),
  }),
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
      expect(decodeRecord(followed, 0)).toEqual({ record: value, end: bytes.length });
    }),
  );
});

test("a record with any one byte changed is not a record", () => {
  fc.assert(
    fc.property(record, fc.nat(), fc.integer({ min: 1, max: 255 }), (value, at, mask) => {
      const bytes = encodeAlone(value);
      const place = at % bytes.length;
      bytes[place] = (bytes[place] ?? 0) ^ mask;
      expect(decodeRecord(bytes, 0)).toBeUndefined();
    }),
  );
});

test("scanning arbitrary bytes never throws and never reads past the end", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const scan = scanSegment(bytes);
      expect(scan.goodBytes).toBeLessThanOrEqual(bytes.length);
      expect(scan.damage === "none").toBe(scan.goodBytes === bytes.length);
    }),
  );
});

test("a bad end with nothing good behind it is torn, with a good record behind it is rot", () => {
  const one = encodeAlone({ kind: "hardState", hardState: { term: 1, votedFor: "a" } });
  const two = encodeAlone({ kind: "hardState", hardState: { term: 2, votedFor: "b" } });
  const torn = new Uint8Array([...one, ...two.subarray(0, two.length - 1)]);
  expect(scanSegment(torn)).toMatchObject({ goodBytes: one.length, damage: "torn", after: [] });
  const zeros = new Uint8Array([...one, ...new Uint8Array(4096)]);
  expect(scanSegment(zeros)).toMatchObject({ goodBytes: one.length, damage: "torn" });

  const rotten = new Uint8Array([...one, ...two, ...one]);
  rotten[one.length + 2] = 0xff;
  expect(scanSegment(rotten)).toMatchObject({
    goodBytes: one.length,
    damage: "rotten",
    after: [{ kind: "hardState", hardState: { term: 1, votedFor: "a" } }],
  });
});

test("the search behind damage is bounded: bytes that promise endless records count as rot", () => {
  // Every third offset claims a record of 262,400 bytes: an unbounded search would check about 90 GB.
  const out = new ByteWriter();
  encodeRecord({ kind: "hardState", hardState: { term: 1, votedFor: undefined } }, out);
  const start = out.length;
  for (let i = 0; i < 350_000; i++) out.u8(0).u8(4).u8(1);
  const scan = scanSegment(out.finish());
  expect(scan).toMatchObject({ goodBytes: start, damage: "rotten", after: [] });
});
