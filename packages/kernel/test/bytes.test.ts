import { AssertionError, ByteReader, ByteWriter, joined, SkeinError } from "@skein/kernel";
import fc from "fast-check";
import { expect, test } from "vitest";

const field = fc.oneof(
  fc.record({ kind: fc.constant("u8" as const), value: fc.integer({ min: 0, max: 0xff }) }),
  fc.record({ kind: fc.constant("u16" as const), value: fc.integer({ min: 0, max: 0xffff }) }),
  fc.record({ kind: fc.constant("u32" as const), value: fc.integer({ min: 0, max: 0xffff_ffff }) }),
  fc.record({ kind: fc.constant("varint" as const), value: fc.maxSafeNat() }),
  fc.record({ kind: fc.constant("bytes" as const), value: fc.uint8Array({ maxLength: 600 }) }),
  fc.record({ kind: fc.constant("text" as const), value: fc.string({ unit: "grapheme", maxLength: 200 }) }),
);

test("ByteReader reads back whatever ByteWriter wrote, in order", () => {
  fc.assert(
    fc.property(fc.array(field, { maxLength: 20 }), (fields) => {
      const out = new ByteWriter(1);
      for (const each of fields) out[each.kind](each.value as never);
      const input = new ByteReader(out.finish());
      for (const each of fields) expect(input[each.kind]()).toEqual(each.value);
      input.end();
    }),
  );
});

test("ByteReader never reads past its end and throws only ERR_SKEIN_MALFORMED on arbitrary bytes", () => {
  const read = fc.constantFrom("u8", "u16", "u32", "varint", "bytes", "text", "end");
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.array(read, { maxLength: 12 }), (bytes, reads) => {
      const padded = new Uint8Array(bytes.length + 16).fill(0x41);
      padded.set(bytes, 8);
      const input = new ByteReader(padded.subarray(8, 8 + bytes.length));
      try {
        for (const each of reads) input[each as "u8"]();
      } catch (error) {
        expect(error).toBeInstanceOf(SkeinError);
        expect((error as SkeinError).code).toBe("ERR_SKEIN_MALFORMED");
      }
      expect(input.remaining).toBeGreaterThanOrEqual(0);
    }),
  );
});

test("joined() puts pieces behind each other, and takes one run of bytes as it is", () => {
  const one = Uint8Array.of(1, 2);
  expect(joined(one)).toBe(one);
  expect(joined([one, new Uint8Array(0), Uint8Array.of(3)])).toEqual(Uint8Array.of(1, 2, 3));
  expect(joined([])).toEqual(new Uint8Array(0));
});

test("ByteWriter.copyTo() copies what was written, and nothing besides", () => {
  const target = new Uint8Array(5).fill(9);
  new ByteWriter(64).u8(1).u8(2).copyTo(target, 1);
  expect(target).toEqual(Uint8Array.of(9, 1, 2, 9, 9));
});

test("ByteWriter.finish() is a copy: later writes do not change it", () => {
  const out = new ByteWriter();
  const first = out.u8(1).finish();
  out.reset();
  out.u8(2);
  expect([...first]).toEqual([1]);
});

test("ByteWriter.varint() refuses what it could not read back", () => {
  expect(() => new ByteWriter().varint(-1)).toThrow("varint out of range");
  expect(() => new ByteWriter().varint(2 ** 53)).toThrow("varint out of range");
});

test("ByteWriter.setU32() fills in a length afterwards, and only within what was written", () => {
  const out = new ByteWriter(4);
  out
    .u8(7)
    .u32(0)
    .raw(Uint8Array.of(1, 2, 3));
  out.setU32(1, 0x01020304);
  expect(out.finish()).toEqual(Uint8Array.of(7, 1, 2, 3, 4, 1, 2, 3));
  expect(() => out.setU32(5, 1)).toThrow(AssertionError);
});
