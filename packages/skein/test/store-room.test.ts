import { expect, test } from "vitest";
import { roomIn, storeRoom } from "../src/store-room.ts";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

test("roomIn() is the least of 1 GiB, a share of the memory and a quarter of the free disk, and 16 MiB on any machine", () => {
  expect(roomIn({ memoryBytes: 64 * GIB, diskBytes: 500 * GIB })).toBe(GIB);
  expect(roomIn({ memoryBytes: GIB, diskBytes: 500 * GIB })).toBe(64 * MIB);
  expect(roomIn({ memoryBytes: GIB, diskBytes: undefined })).toBe(64 * MIB);
  expect(roomIn({ memoryBytes: 64 * GIB, diskBytes: 2 * GIB + 5 })).toBe(512 * MIB);
  expect(roomIn({ memoryBytes: 64 * MIB, diskBytes: 0 })).toBe(16 * MIB);
});

test("storeRoom() is what the operator has set, if anything", () => {
  expect(storeRoom({ owedBytesMax: 5, dataDirectory: "." })).toBe(5);
  expect(storeRoom({ owedBytesMax: undefined, dataDirectory: "." })).toBeGreaterThanOrEqual(16 * MIB);
});
