/** `$SYS` of real nodes, read with mosquitto_sub and MQTT.js: each node tells of itself and of the mesh, and only its own clients. */

import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../containers/support/eventually.ts";
import { connect, gather } from "../support/mqtt-clients.ts";
import { type NodeProcess, startMesh, type TestMesh } from "../support/node-process.ts";
import { hasMosquitto, runProgram } from "../support/programs.ts";

let mesh: TestMesh;
let [a, b]: NodeProcess[] = [];

beforeAll(async () => {
  mesh = await startMesh(2, () => ({ args: ["--sys-interval", "1"] }));
  [a, b] = mesh.nodes as [NodeProcess, NodeProcess];
});

afterAll(() => mesh?.remove());

/** What `node` tells first, `count` messages. */
async function told(node: NodeProcess, filter: string, count: number): Promise<Record<string, string>> {
  const args = [
    "-p",
    String(node.ports.mqtt),
    "-t",
    filter,
    "-F",
    "%r %t\t%p",
    "-C",
    String(count),
    "-W",
    "20",
  ];
  const lines = (await runProgram("mosquitto_sub", args)).trim().split("\n");
  const values: Record<string, string> = {};
  for (const line of lines) {
    const [, topic = "", value = ""] = /^1 (.*)\t(.*)$/.exec(line) ?? [];
    values[topic] = value;
  }
  return values;
}

test.runIf(hasMosquitto())(
  "mosquitto_sub '$SYS/#' shows a broker with mosquitto's names and a mesh, as retained messages",
  async () => {
    const broker = await told(a!, "$SYS/broker/#", 50);
    expect(broker).toMatchObject({
      "$SYS/broker/version": expect.stringMatching(/^skein version \d/),
      "$SYS/broker/timestamp": expect.stringMatching(/^20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\+0000$/),
      "$SYS/broker/uptime": expect.stringMatching(/^\d+ seconds$/),
      "$SYS/broker/clients/connected": "1",
      "$SYS/broker/heap/current": expect.stringMatching(/^\d{8,}$/),
      "$SYS/broker/load/messages/received/1min": expect.stringMatching(/^\d+\.\d\d$/),
    });
    const { coordinator, members } = await a!.status();
    expect(await told(a!, "$SYS/mesh/#", 44)).toMatchObject({
      "$SYS/mesh/self": "a",
      "$SYS/mesh/health": "healthy",
      "$SYS/mesh/nodes/alive": "2",
      "$SYS/mesh/coordinator": members.find(({ id }) => id === coordinator)?.name,
      "$SYS/mesh/node/a/state": "alive",
      "$SYS/mesh/node/b/state": "alive",
    });
  },
);

test("each node tells its own clients of itself, and what changes; nothing of it is stored or goes to the other node", async () => {
  const watcher = await connect(a!);
  const seen = new Map<string, string>();
  watcher.on("message", (topic, payload) => seen.set(topic, String(payload)));
  const everything = await connect(b!);
  const strays: string[] = [];
  everything.on("message", (topic) => strays.push(topic));
  await everything.subscribeAsync("#", { qos: 1 });
  await watcher.subscribeAsync("$SYS/#", { qos: 1 });
  await eventually("the first values are here", { withinMs: 5000 }, async () => {
    expect(seen.get("$SYS/broker/clients/connected")).toBe("1");
    expect(seen.get("$SYS/mesh/node/b/clients/connected")).toBe("1");
  });
  const one = await connect(a!);
  const two = await connect(b!);
  await eventually("both are counted, each where it is", { withinMs: 10_000 }, async () => {
    expect(seen.get("$SYS/broker/clients/connected")).toBe("2");
    expect(seen.get("$SYS/mesh/node/b/clients/connected")).toBe("2");
    expect(seen.get("$SYS/mesh/clients/connected")).toBe("4");
  });
  // What came before this on the same links has arrived with it.
  const arrived = gather(everything, 1);
  await one.publishAsync("after/all", "x", { qos: 1 });
  await arrived;
  expect(strays).toEqual(["after/all"]);
  expect((await a!.retained()).count).toBe(0);
  await expect(
    two.publishAsync("$SYS/broker/uptime", "0 seconds", { qos: 1, retain: true }),
  ).rejects.toThrow();
  expect((await b!.retained()).count).toBe(0);
});
