/** Orderly stops: leadership is handed over, not lost (P1: planned hand-over within a second). */

import { afterAll, beforeAll, expect, test } from "vitest";
import { connect } from "../../support/mqtt-clients.ts";
import { type NodeProcess, startMesh, type TestMesh, waitUntilHealthy } from "../../support/node-process.ts";

let mesh: TestMesh;

beforeAll(async () => {
  mesh = await startMesh(3);
});
afterAll(async () => {
  await mesh?.remove();
});

test("P1: when the coordinator is stopped in order, another one leads within a second, three times in a row", async () => {
  for (let round = 0; round < 3; round++) {
    await waitUntilHealthy(mesh.nodes);
    const statuses = await Promise.all(mesh.nodes.map((node) => node.status()));
    const at = statuses.findIndex(({ node, coordinator }) => node === coordinator);
    const old = mesh.nodes[at] as NodeProcess;
    const next = mesh.nodes[(at + 1) % 3] as NodeProcess;
    const client = await connect(next);
    const startedAt = performance.now();
    const stopping = old.stop();
    await next.waitForStatus("another coordinator", ({ coordinator, quorum }) => {
      return coordinator !== null && coordinator !== statuses[at]?.node && quorum;
    });
    const tookMs = performance.now() - startedAt;
    await client.publishAsync(`hand-over/${round}`, "x", { qos: 1, retain: true });
    await client.endAsync();
    expect(tookMs).toBeLessThan(1000);
    await stopping;
    await old.start();
  }
});
