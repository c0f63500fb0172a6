/** R29 with real processes: the data directory of a running node is copied and started again at another address. */

import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { connect } from "../support/mqtt-clients.ts";
import { makeNode, startMesh, waitUntilHealthy } from "../support/node-process.ts";

test("R29: the copy becomes a new node within seconds and says so; the original, its mesh and its quorum stay", async () => {
  const mesh = await startMesh(3);
  const [a, b, c] = mesh.nodes as [(typeof mesh.nodes)[0], (typeof mesh.nodes)[0], (typeof mesh.nodes)[0]];
  const copy = await makeNode({
    name: a.name,
    meshKey: mesh.meshKey,
    peers: [b, c].map(({ ports }) => `127.0.0.1:${ports.link}`),
  });
  try {
    const publisher = await connect(b);
    await publisher.publishAsync("home/lamp", "on", { qos: 1, retain: true });
    const { node: original, term } = await a.status();
    cpSync(a.dataDirectory, copy.dataDirectory, { recursive: true });
    rmSync(join(copy.dataDirectory, "lock"), { force: true });
    await copy.start();
    const said = await copy.waitForLog("that it was a copy", ({ msg }) =>
      msg.includes("cloned SD card?). New identity"),
    );
    expect(said.msg).toMatch(
      /^This node carries the same identity as a \(cloned SD card\?\)\. New identity created: a-[0-9a-f]{4}\.$/,
    );
    await copy.waitForStatus("is another node of the same mesh", ({ node, members }) => {
      return node !== original && members.filter(({ state }) => state === "alive").length === 4;
    });
    const after = await copy.status();
    expect(after.name).toBe(`a-${after.node.slice(0, 4)}`);
    await copy.waitForStatus("has what is retained", ({ retained }) => retained === 1);
    // The original was never disturbed: same identity, same term, the same voters.
    expect(await a.status()).toMatchObject({ node: original, term, health: "healthy" });
    await publisher.publishAsync("home/lamp", "off", { qos: 1, retain: true });
    await waitUntilHealthy([a, b, c, copy]);
  } finally {
    await copy.remove();
    await mesh.remove();
  }
});
