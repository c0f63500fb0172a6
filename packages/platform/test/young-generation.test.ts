import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const MODULE = fileURLToPath(new URL("../src/machine/young-generation.ts", import.meta.url));

/** Keeps `turns` times some 50 KB of small objects, then prints how large the young generation became, in MB. */
const programAfter = (calls: string, turns: number): string => `
  import { getHeapSpaceStatistics } from "node:v8";
  import { boundYoungGeneration, holdYoungGeneration } from ${JSON.stringify(MODULE)};
  ${calls}
  const kept = [];
  let peak = 0;
  for (let turn = 0; turn < ${turns}; turn++) {
    for (let i = 0; i < 500; i++) kept.push({ turn, of: [i] });
    await new Promise(setImmediate);
    const space = getHeapSpaceStatistics().find((each) => each.space_name === "new_space");
    peak = Math.max(peak, space.space_size / 2 ** 20);
  }
  process.stdout.write(String(peak));
`;

async function peakAfter(calls: string, turns: number): Promise<number> {
  const program = programAfter(calls, turns);
  const args = ["--experimental-strip-types", "--no-warnings", "--input-type=module", "--eval", program];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args);
  expect(stderr, "V8 knows the flag").toBe("");
  return Number(stdout);
}

test("the young generation does not grow beyond what is enough, whether it was held before or not", async () => {
  for (const calls of ["boundYoungGeneration();", "holdYoungGeneration(); boundYoungGeneration();"]) {
    const peak = await peakAfter(calls, 2000);
    expect(peak).toBeGreaterThanOrEqual(4);
    expect(peak).toBeLessThanOrEqual(24);
  }
});

test("while it is held, as much as a program is when it is read makes it grow less", async () => {
  expect(await peakAfter("", 100)).toBeGreaterThan(4);
  expect(await peakAfter("holdYoungGeneration();", 100)).toBeLessThanOrEqual(4);
});
