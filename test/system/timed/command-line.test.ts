/** What someone at the keyboard waits for. */

import { expect, test } from "vitest";
import { runSkein } from "../../support/node-process.ts";

test("skein --help answers within a second", async () => {
  // The best of three: what else this machine does meanwhile is not the program's fault.
  const times: number[] = [];
  for (let run = 0; run < 3; run++) {
    const startedAt = performance.now();
    expect((await runSkein(["--help"])).code).toBe(0);
    times.push(performance.now() - startedAt);
  }
  expect(Math.min(...times)).toBeLessThan(1000);
});
