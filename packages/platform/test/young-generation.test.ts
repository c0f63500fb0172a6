import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const MODULE = fileURLToPath(new URL("../src/young-generation.ts", import.meta.url));

/** Keeps some 100 MB of small objects, a turn for each few KB, then prints how large the young generation became, in MB. */
const PROGRAM = `
  import { getHeapSpaceStatistics } from "node:v8";
  import { boundYoungGeneration } from ${JSON.stringify(MODULE)};
  boundYoungGeneration();
  const kept = [];
  let peak = 0;
  for (let turn = 0; turn < 2000; turn++) {
    for (let i = 0; i < 500; i++) kept.push({ turn, of: [i] });
    await new Promise(setImmediate);
    const space = getHeapSpaceStatistics().find((each) => each.space_name === "new_space");
    peak = Math.max(peak, space.space_size / 2 ** 20);
  }
  process.stdout.write(String(peak));
`;

test("the young generation does not grow beyond what is enough, and V8 knows the flag", async () => {
  const args = ["--experimental-strip-types", "--no-warnings", "--input-type=module", "--eval", PROGRAM];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args);
  expect(stderr).toBe("");
  expect(Number(stdout)).toBeGreaterThanOrEqual(4);
  expect(Number(stdout)).toBeLessThanOrEqual(24);
});
