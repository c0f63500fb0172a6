/** How soon boxes that were switched on are one mesh. Each run is a new mesh on empty disks. */

import { performance } from "node:perf_hooks";
import type { Measured } from "./figures.ts";
import type { Laboratory } from "./laboratory.ts";

const PATIENCE_MS = 120_000;

/** `count` boxes switched on at once, from when the last process has started to when all agree. */
export async function formation(lab: Laboratory, count: number): Promise<readonly Measured[]> {
  const afterLast: number[] = [];
  const afterFirst: number[] = [];
  for (let run = 1; run <= lab.runs; run += 1) {
    const mesh = await lab.mesh(count);
    const start = performance.now();
    await mesh.start();
    const startedMs = Math.round(performance.now() - start);
    const { afterMs } = await mesh.formed(PATIENCE_MS);
    lab.say(
      `formation of ${count}, run ${run}: ${afterMs} ms (the engine took ${startedMs} ms to start them)`,
    );
    afterLast.push(afterMs);
    afterFirst.push(startedMs + afterMs);
    await lab.remove(mesh);
  }
  const worst = count <= 3 ? 8000 : 20_000;
  return [
    {
      title: `${count} boxes switched on at once are one mesh`,
      unit: "ms",
      asked: { worst },
      samples: afterLast,
    },
    { title: `the same, from when the first is switched on`, unit: "ms", asked: {}, samples: afterFirst },
  ];
}

/** One more box for a mesh of 3, 4, 5, 6 and 7, from when its process has started to when all agree. */
export async function join(lab: Laboratory): Promise<readonly Measured[]> {
  const samples: number[] = [];
  while (samples.length < lab.runs) {
    const mesh = await lab.mesh(8);
    await Promise.all(mesh.nodes.slice(0, 3).map((node) => node.start()));
    await mesh.formed(PATIENCE_MS, mesh.nodes.slice(0, 3));
    for (let size = 4; size <= 8 && samples.length < lab.runs; size += 1) {
      const nodes = mesh.nodes.slice(0, size);
      await nodes.at(-1)?.start();
      const { afterMs } = await mesh.formed(PATIENCE_MS, nodes);
      lab.say(`number ${size} joins: ${afterMs} ms`);
      samples.push(afterMs);
    }
    await lab.remove(mesh);
  }
  return [{ title: "one more box joins", unit: "ms", asked: { worst: 5000 }, samples }];
}
