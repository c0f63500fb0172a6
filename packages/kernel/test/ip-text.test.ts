import * as fc from "fast-check";
import { expect, test } from "vitest";
import { formatIp, parseIp } from "../src/index.ts";

test("addresses survive the way to text and back", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(4, 16).chain((length) => fc.uint8Array({ minLength: length, maxLength: length })),
      (bytes) => {
        expect(parseIp(formatIp(bytes))).toEqual(bytes);
      },
    ),
  );
});

test.each([
  ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
  ["::", "::"],
  ["::1", "::1"],
  ["FE80:0::0:1", "fe80::1"],
  ["::ffff:10.0.0.1", "::ffff:a00:1"],
  ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
])("%s is written as %s", (text, written) => {
  expect(formatIp(parseIp(text) ?? new Uint8Array())).toBe(written);
});

test.each([
  "",
  "1.2.3",
  "1.2.3.4.5",
  "1.2.3.256",
  "01.2.3.4",
  "1.2.3.4:6,bind=9.9.9.9",
  "1:2:3",
  "::1::",
  "1:2:3:4:5:6:7:8:9",
  "1:2:3:4:5:6:7:8::",
  "fe80::1%eth0",
  "::g",
  "::1.2.3",
  "1.2.3.4::",
])("%j is no address", (text) => {
  expect(parseIp(text)).toBeUndefined();
});

test("arbitrary text is an address only if it holds nothing but digits, dots and colons", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(parseIp(text) === undefined || /^[\da-f:.]+$/i.test(text)).toBe(true);
    }),
  );
});
