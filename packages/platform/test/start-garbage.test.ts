import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const MODULE = fileURLToPath(new URL("../src/machine/start-garbage.ts", import.meta.url));

/** Lets `count` objects grow old and lets go of them; prints how many MB of the heap are in use before and after the call. */
const programWith = (count: number): string => `
  import { collectStartGarbage } from ${JSON.stringify(MODULE)};
  let kept = [];
  for (let i = 0; i < ${count}; i++) kept.push({ of: [i] });
  kept = undefined;
  const usedMb = () => process.memoryUsage().heapUsed / 2 ** 20;
  const before = usedMb();
  collectStartGarbage();
  process.stdout.write(JSON.stringify({ before, after: usedMb(), global: typeof globalThis.gc }));
`;

async function runWith(count: number): Promise<{ before: number; after: number; global: string }> {
  const program = programWith(count);
  const args = ["--experimental-strip-types", "--no-warnings", "--input-type=module", "--eval", program];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args);
  expect(stderr, "V8 knows the flag").toBe("");
  return JSON.parse(stdout);
}

test("what has grown old and is not used any more is given back; the program sees no function for it", async () => {
  const { before, after, global } = await runWith(150_000);
  expect(before).toBeGreaterThan(15);
  expect(after).toBeLessThan(8);
  expect(global).toBe("undefined");
});

test("a large heap is left alone: looking at all of it takes long", async () => {
  const { before, after } = await runWith(600_000);
  expect(before).toBeGreaterThan(40);
  expect(after).toBeGreaterThan(before - 1);
});
