/** A node that becomes another one goes on in the same process, on the same ports. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig, openLog, startNode } from "skein";
import { expect, onTestFinished, test } from "vitest";
import { freePorts } from "../support/free-ports.ts";

test("a node that starts anew has another id, the same ports and API, and serves again; the stop waits for it", async () => {
  const directory = mkdtempSync(join(tmpdir(), "skein-test-"));
  const [http = 0] = await freePorts(1);
  const flags = {
    name: "pi1",
    listen: "mqtt://127.0.0.1:0",
    link: "127.0.0.1:0",
    http: `127.0.0.1:${http}`,
    "data-dir": directory,
    mdns: false,
  };
  const config = await loadConfig({ flags, environment: {}, hostName: "pi1" });
  const log = await openLog({ level: "error", isTerminal: false, isColored: false });
  const node = await startNode(config, log);
  onTestFinished(async () => {
    await node.stop();
    rmSync(directory, { recursive: true, force: true });
  });
  await node.serving;
  const before = node.status();
  node.startAnew("a test");
  await expect.poll(() => node.status().node, { timeout: 5000 }).not.toBe(before.node);
  await expect.poll(() => node.status().quorum, { timeout: 10_000 }).toBe(true);
  const overHttp = (await (await fetch(`http://127.0.0.1:${http}/api/status`)).json()) as { node: string };
  expect(overHttp.node).toBe(node.status().node);
  await expect
    .poll(async () => (await fetch(`http://127.0.0.1:${http}/readyz`)).status, { timeout: 5000 })
    .toBe(200);
  node.startAnew("again, while it is stopped");
  await node.stop();
});
