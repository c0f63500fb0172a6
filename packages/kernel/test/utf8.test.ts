import { decodeUtf8, encodeUtf8Into, SkeinError, utf8Length } from "@skein/kernel";
import fc from "fast-check";
import { expect, test } from "vitest";

const encode = (text: string): Uint8Array => {
  const bytes = new Uint8Array(utf8Length(text));
  encodeUtf8Into(text, bytes, 0);
  return bytes;
};

test("UTF-8 encoding agrees with the platform's TextEncoder, unpaired surrogates included", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "grapheme" }), (binary, graphemes) => {
      for (const text of [binary, graphemes]) expect(encode(text)).toEqual(new TextEncoder().encode(text));
    }),
  );
});

test("UTF-8 decoding accepts exactly what the platform's fatal TextDecoder accepts (RFC 3629)", () => {
  const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const reference = (bytes: Uint8Array): string | undefined => {
    try {
      return strict.decode(bytes);
    } catch {
      return undefined; // Malformed input is the case under test.
    }
  };
  const nearUtf8 = fc.array(
    fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0xc0, 0xe0, 0xed, 0xf4, 0x80, 0xbf)),
  );
  fc.assert(
    fc.property(nearUtf8, (values) => {
      const bytes = Uint8Array.from(values);
      const expected = reference(bytes);
      if (expected === undefined) expect(() => decodeUtf8(bytes, 0, bytes.length)).toThrow(SkeinError);
      else expect(decodeUtf8(bytes, 0, bytes.length)).toBe(expected);
    }),
    { numRuns: 2000 },
  );
});

test("UTF-8 decoding gives back text of ASCII runs of any length with anything between them", () => {
  const ascii = fc.string({ unit: "binary-ascii", maxLength: 20 });
  const other = fc.string({ unit: "grapheme", maxLength: 2 });
  fc.assert(
    fc.property(fc.array(fc.tuple(ascii, other), { maxLength: 6 }), (pairs) => {
      const text = pairs.flat().join("");
      const bytes = encode(`<${text}>`);
      expect(decodeUtf8(bytes, 1, bytes.length - 1)).toBe(text);
    }),
  );
});
