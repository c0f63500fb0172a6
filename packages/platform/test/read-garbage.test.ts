import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const MODULE = fileURLToPath(new URL("../src/machine/read-garbage.ts", import.meta.url));

/** Makes 1.2 GB of garbage in buffers of the size that sockets are read into, then prints how often the young generation was collected. */
const PROGRAM = `
  import { constants, PerformanceObserver } from "node:perf_hooks";
  import { collectReadBuffersYoung } from ${JSON.stringify(MODULE)};
  collectReadBuffersYoung();
  let young = 0;
  new PerformanceObserver((list) => {
    for (const { detail } of list.getEntries()) if (detail.kind === constants.NODE_PERFORMANCE_GC_MINOR) young++;
  }).observe({ entryTypes: ["gc"] });
  for (let turn = 0; turn < 600; turn++) {
    for (let i = 0; i < 32; i++) Buffer.allocUnsafeSlow(65_536);
    await new Promise(setImmediate);
  }
  setTimeout(() => process.stdout.write(String(young)), 50);
`;

test("buffers of reads are collected while they are young, and V8 knows the flag", async () => {
  const args = ["--experimental-strip-types", "--no-warnings", "--input-type=module", "--eval", PROGRAM];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args);
  expect(stderr).toBe("");
  // Every 12 MB; without the flag every 64 MB.
  expect(Number(stdout)).toBeGreaterThan(50);
});
