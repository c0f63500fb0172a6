import { hashOfBytes, isSameBytes } from "@skein/kernel";
import fc from "fast-check";
import { expect, test } from "vitest";

const bytesOf = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

test("the same bytes have the same hash, wherever they lie", () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), fc.uint8Array(), (before, bytes, after) => {
      const all = Uint8Array.from([...before, ...bytes, ...after]);
      const [from, to] = [before.length, before.length + bytes.length];
      expect(hashOfBytes(all, from, to)).toBe(hashOfBytes(bytes, 0, bytes.length));
      expect(isSameBytes(bytes, all, from, to)).toBe(true);
    }),
  );
});

test("bytes are the same as no others", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3 }), fc.uint8Array({ maxLength: 3 }), (one, other) => {
      expect(isSameBytes(one, other, 0, other.length)).toBe(`${one}` === `${other}`);
    }),
  );
});

test("topics that differ in any one place spread over a table as if thrown at it", () => {
  const shapes = [
    (n: string) => `bench/${n}/state`,
    (n: string) => `${n}/lamp`,
    (n: string) => `home/room/${n}`,
    (n: string) => n,
    (n: string) => `zigbee2mqtt/0x00158d000${n}/set`,
  ];
  for (const shape of shapes) {
    const places = new Set<number>();
    for (let n = 0; n < 2048; n++) {
      const bytes = bytesOf(shape(String(n).padStart(4, "0")));
      places.add(hashOfBytes(bytes, 0, bytes.length) & 2047);
    }
    // By chance 1294 of 2048 are hit, give or take 22.
    expect(places.size, shape("0000")).toBeGreaterThan(1200);
  }
});
