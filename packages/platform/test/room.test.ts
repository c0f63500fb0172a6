import { mkdtempSync, rmSync } from "node:fs";
import { totalmem } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { systemRoom } from "../src/files/room.ts";

test("systemRoom() is what the machine has at most, and knows no disk of a folder that is not there", () => {
  const folder = mkdtempSync(join(import.meta.dirname, "room-"));
  try {
    const { memoryBytes, diskBytes } = systemRoom(folder);
    expect(memoryBytes).toBeGreaterThan(0);
    expect(memoryBytes).toBeLessThanOrEqual(totalmem());
    expect(diskBytes).toBeGreaterThan(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
  expect(systemRoom(folder).diskBytes).toBeUndefined();
});
