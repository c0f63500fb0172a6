import { wordlist } from "@scure/bip39/wordlists/english.js";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Problem } from "../src/config/addresses.ts";
import { newCode, parseCode } from "../src/joining/code.ts";
import { saltOf, stretch, stretchNow } from "../src/joining/stretch.ts";

const bytes = fc.uint8Array({ minLength: 10, maxLength: 10 });
const codeOf = (seed: Uint8Array): string => newCode({ bytes: () => seed });

test("newCode() is five words of the list, each chosen by 11 bits of its own", () => {
  fc.assert(
    fc.property(bytes, (seed) => {
      const words = codeOf(seed).split("-");
      const numbers = words.map((word) => wordlist.indexOf(word));
      const expected = [0, 1, 2, 3, 4].map(
        (at) => (((seed[2 * at] ?? 0) << 8) | (seed[2 * at + 1] ?? 0)) % 2048,
      );
      expect(numbers).toEqual(expected);
    }),
  );
});

test("the word list has 2048 words that are known by their first four letters", () => {
  expect(wordlist.length).toBe(2048);
  expect(new Set(wordlist.map((word) => word.slice(0, 4))).size).toBe(2048);
});

test("parseCode() does not mind capitals, spaces, hyphens, commas and words cut to four letters", () => {
  const separator = fc.constantFrom("-", " ", "  ", " - ", ", ", "\t", "_", "\n");
  const spelling = fc.constantFrom<(word: string) => string>(
    (word) => word,
    (word) => word.toUpperCase(),
    (word) => `${word[0]?.toUpperCase()}${word.slice(1)}`,
    (word) => (word.length > 4 && !wordlist.includes(word.slice(0, 4)) ? word.slice(0, 4) : word),
  );
  fc.assert(
    fc.property(bytes, separator, spelling, (seed, between, spell) => {
      const code = codeOf(seed);
      expect(parseCode(`  ${code.split("-").map(spell).join(between)} `)).toBe(code);
    }),
  );
});

test("parseCode() never throws, whatever is typed", { timeout: 60_000 }, () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 60 }), (text) => {
      const result = parseCode(text);
      expect(typeof result === "string" || result instanceof Problem).toBe(true);
    }),
  );
});

test.each([
  ["maple-ocaen-river-table-dove", '"ocaen" is not a word of any code (did you mean "ocean"?)'],
  ["maple-ocean-rivver-table-dove", '"rivver" is not a word of any code (did you mean "river"?)'],
  ["maple-ocean-qqqqqq-table-dove", '"qqqqqq" is not a word of any code (look at the code again)'],
  ["maple ocean river table", "it has 4 words, and a code has 5, such as maple-ocean-river-table-dove"],
  ["", "it has 0 words, and a code has 5, such as maple-ocean-river-table-dove"],
  [
    "maple ocean river table dove maple",
    "it has 6 words, and a code has 5, such as maple-ocean-river-table-dove",
  ],
])("parseCode(%j) says: %s", (typed, text) => {
  expect(parseCode(typed)).toEqual(new Problem(text));
});

test("stretching gives the newcomer, who does it at once, and the node, which does it aside, the same 33 bytes", {
  timeout: 60_000,
}, async () => {
  const salt = saltOf(new Uint8Array(32).fill(7));
  const now = stretchNow("maple-ocean-river-table-dove", salt);
  expect(now.length).toBe(33);
  expect(await stretch("maple-ocean-river-table-dove", salt)).toEqual(now);
  expect(stretchNow("maple-ocean-river-table-dove", "0000000000000000")).not.toEqual(now);
  expect(stretchNow("maple-ocean-river-table-dress", salt)).not.toEqual(now);
});

test("the salt is the same at every node of a mesh, 16 hexadecimal digits, and another for another key", () => {
  const salt = saltOf(new Uint8Array(32).fill(7));
  expect(salt).toMatch(/^[0-9a-f]{16}$/);
  expect(saltOf(new Uint8Array(32).fill(7))).toBe(salt);
  expect(saltOf(new Uint8Array(32).fill(8))).not.toBe(salt);
});
