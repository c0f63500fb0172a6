import { ByteReader, ByteWriter, SkeinError } from "@skein/kernel";
import fc from "fast-check";
import { expect, test } from "vitest";

const read = (bytes: Uint8Array): string => new ByteReader(bytes).text();

test("a text read again is the same, whatever was read in between, and the buffer may be used for something else", () => {
  const texts = fc.array(fc.string({ unit: "grapheme", maxLength: 30 }), { minLength: 1, maxLength: 50 });
  fc.assert(
    fc.property(texts, fc.infiniteStream(fc.nat()), (known, choices) => {
      const out = new ByteWriter();
      for (const choice of choices) {
        const text = known[choice % known.length] as string;
        const bytes = out.reset().text(text).finish();
        expect(read(bytes)).toBe(text);
        bytes.fill(0xee);
        if (choice % 100 === 0) break;
      }
    }),
    { numRuns: 30 },
  );
});

test("texts that fill the table many times over come back right, each twice", () => {
  const out = new ByteWriter();
  for (let n = 0; n < 20_000; n++) {
    const text = `topic/${n % 7000}`;
    expect(read(out.reset().text(text).finish())).toBe(text);
  }
});

test("bytes that are no text are refused again and again", () => {
  const malformed = Uint8Array.of(2, 0xc3, 0x28);
  for (let times = 0; times < 3; times++) expect(() => read(malformed)).toThrow(SkeinError);
});
