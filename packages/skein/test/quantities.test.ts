import { expect, test } from "vitest";
import { Problem } from "../src/config/addresses.ts";
import { parseCount, parseSeconds, parseSize } from "../src/config/quantities.ts";

test("sizes and times have units, upper and lower case", () => {
  expect(["0", "17", "256k", "4M", "1 g"].map((text) => parseSize(text, 0, 2 ** 40))).toEqual([
    0, 17, 262_144, 4_194_304, 1_073_741_824,
  ]);
  expect(["5", "90s", "2m", "12h", "14D"].map((text) => parseSeconds(text, 0, 1e9))).toEqual([
    5, 90, 120, 43_200, 1_209_600,
  ]);
});

test.each(["", "x", "-1", "1.5", "1kb", "1e3", "9999999999999"])(
  "%j is neither a size nor a time nor a count",
  (text) => {
    expect(parseSize(text, 0, 1e9)).toBeInstanceOf(Problem);
    expect(parseSeconds(text, 0, 1e9)).toBeInstanceOf(Problem);
    expect(parseCount(text, 0, 1e9)).toBeInstanceOf(Problem);
  },
);

test("what is out of range is refused with the range", () => {
  expect(parseCount("0", 1, 9)).toMatchObject({ text: "it must be a whole number from 1 to 9" });
  expect(parseSize("2k", 1, 2047)).toMatchObject({ text: expect.stringContaining("from 1 to 2047 bytes") });
  expect(parseSeconds("1m", 61, 99)).toMatchObject({
    text: expect.stringContaining("from 61 to 99 seconds"),
  });
});
