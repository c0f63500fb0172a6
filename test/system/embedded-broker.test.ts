import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { connectAsync } from "mqtt";
import { expect, onTestFinished, test } from "vitest";
import { freePorts } from "../support/free-ports.ts";

const EXAMPLE = fileURLToPath(new URL("../support/embedded-broker.ts", import.meta.url));

test("the broker of packages/broker/README.md is test/support/embedded-broker.ts: fifteen lines, and two clients talk through it", async () => {
  const readme = readFileSync(new URL("../../packages/broker/README.md", import.meta.url), "utf8");
  const example = readFileSync(EXAMPLE, "utf8");
  expect(readme).toContain(example);
  expect(example.trimEnd().split("\n").length).toBeLessThanOrEqual(15);

  const [port = 0] = await freePorts(1);
  const child = spawn(process.execPath, ["--conditions=@skein/source", EXAMPLE, `${port}`], {
    stdio: "pipe",
  });
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  await once(child.stdout, "data");
  const [device, panel] = await Promise.all(
    [5, 4].map((protocolVersion) =>
      connectAsync(`mqtt://127.0.0.1:${port}`, {
        protocolVersion: protocolVersion as 4 | 5,
        reconnectPeriod: 0,
      }),
    ),
  );
  const came = new Promise<string>((resolve) =>
    panel?.on("message", (topic, payload) => resolve(`${topic} ${payload}`)),
  );
  await panel?.subscribeAsync("lamp/#", { qos: 1 });
  await device?.publishAsync("lamp/state", "on", { qos: 2, retain: true });
  expect(await came).toBe("lamp/state on");
  await Promise.all([device?.endAsync(true), panel?.endAsync(true)]);
});
