/** Three real nodes are one bus: real clients on any node reach subscribers on every node. */

import { fileURLToPath } from "node:url";
import type { MqttClient } from "mqtt";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connect, gather, publishMany, type QoS } from "../support/mqtt-clients.ts";
import { type NodeProcess, runSkein, startMesh, type TestMesh } from "../support/node-process.ts";
import { hasMosquitto, pythonWithPaho, runProgram, startProgram } from "../support/programs.ts";

let mesh: TestMesh;
let a: NodeProcess;
let b: NodeProcess;
let c: NodeProcess;

beforeAll(async () => {
  mesh = await startMesh(3);
  [a, b, c] = mesh.nodes as [NodeProcess, NodeProcess, NodeProcess];
});
afterAll(async () => {
  await mesh?.remove();
});

/** Collects sequence numbers by publisher until each of them has sent its last one, `end`. */
function collect(client: MqttClient, publishers: number): Promise<Map<string, number[]>> {
  const received = new Map<string, number[]>();
  return new Promise((resolve) => {
    let ended = 0;
    client.on("message", (_, payload) => {
      const [publisher = "", sequence = ""] = payload.toString().split(":");
      if (sequence !== "end") {
        const own = received.get(publisher) ?? [];
        received.set(publisher, own);
        own.push(Number(sequence));
      } else if (++ended === publishers) {
        resolve(received);
      }
    });
  });
}

/** Publishers and subscribers on all nodes; returns when every subscriber has seen every publisher's end. */
async function exchange(topic: string, qos: QoS, perPublisher: number): Promise<Map<string, number[]>[]> {
  const versions = [4, 5, 5] as const;
  const subscribers = await Promise.all(
    mesh.nodes.map((node, at) => connect(node, { protocolVersion: versions[at] ?? 5 })),
  );
  await Promise.all(subscribers.map((client) => client.subscribeAsync(`${topic}/#`, { qos })));
  const publishers = await Promise.all(
    mesh.nodes.map((node, at) => connect(node, { protocolVersion: versions[2 - at] ?? 5 })),
  );
  const results = subscribers.map((client) => collect(client, publishers.length));
  await Promise.all(
    publishers.map(async (client, at) => {
      const send = (sequence: number | string) => ({
        topic: `${topic}/${at}`,
        payload: `${at}:${sequence}`,
        qos,
      });
      await publishMany(client, perPublisher, send);
      await publishMany(client, 1, () => send("end"));
    }),
  );
  return Promise.all(results);
}

test.each([1, 0, 2] as const)(
  "P7: 10,000 messages at QoS %i from publishers on all nodes reach subscribers on all nodes, each once, in publish order",
  async (qos) => {
    const perPublisher = Math.ceil(10_000 / 3);
    const expected = Array.from({ length: perPublisher }, (_, at) => at);
    for (const received of await exchange(`bulk/${qos}`, qos, perPublisher)) {
      for (const publisher of ["0", "1", "2"]) expect(received.get(publisher)).toEqual(expected);
    }
  },
);

test("wildcards match across nodes, and each subscriber gets a message once", async () => {
  const subscriber = await connect(a);
  await subscriber.subscribeAsync(["home/+/temperature", "home/kitchen/#"], { qos: 1 });
  const publisher = await connect(c);
  const received = gather(subscriber, 4);
  for (const topic of ["kitchen/temperature", "kitchen/lamp", "attic/temperature", "attic/lamp", "kitchen"])
    await publisher.publishAsync(`home/${topic}`, topic, { qos: 1 });
  expect((await received).map(({ payload }) => payload)).toEqual([
    "kitchen/temperature",
    "kitchen/lamp",
    "attic/temperature",
    "kitchen",
  ]);
});

test("a retained message published on one node reaches later subscribers on the others, marked as retained", async () => {
  const publisher = await connect(a, { protocolVersion: 4 });
  await publisher.publishAsync("retained/lamp", "on", { qos: 1, retain: true });
  for (const node of [b, c]) {
    await node.waitForStatus("has the message", ({ retained }) => retained > 0);
    const subscriber = await connect(node);
    const received = gather(subscriber, 1);
    await subscriber.subscribeAsync("retained/#", { qos: 1 });
    expect(await received).toEqual([{ topic: "retained/lamp", payload: "on", qos: 1, retain: true }]);
  }
});

test.each([4, 5] as const)(
  "the will of a client (protocol level %i) that vanishes is published on every node",
  async (protocolVersion) => {
    const subscribers = await Promise.all(mesh.nodes.map((node) => connect(node)));
    await Promise.all(subscribers.map((client) => client.subscribeAsync("will/#", { qos: 1 })));
    const will = {
      topic: `will/${protocolVersion}`,
      payload: Buffer.from("gone"),
      qos: 1,
      retain: false,
    } as const;
    const doomed = await connect(b, { protocolVersion, will });
    const received = subscribers.map((client) => gather(client, 1));
    doomed.stream.destroy();
    for (const messages of await Promise.all(received))
      expect(messages).toEqual([{ topic: will.topic, payload: "gone", qos: 1, retain: false }]);
  },
);

test("a shared subscription gives each message to exactly one member mesh-wide", async () => {
  const count = 300;
  const members = await Promise.all(mesh.nodes.map((node) => connect(node)));
  await Promise.all(members.map((client) => client.subscribeAsync("$share/workers/jobs/#", { qos: 1 })));
  const witness = await connect(b);
  await witness.subscribeAsync("jobs/#", { qos: 1 });
  const seen: string[][] = members.map(() => []);
  let taken = 0;
  const allTaken = new Promise<void>((resolve) => {
    for (const [at, client] of members.entries()) {
      client.on("message", (_, payload) => {
        seen[at]?.push(payload.toString());
        if (++taken === count) resolve();
      });
    }
  });
  const witnessed = gather(witness, count);
  for (const [at, node] of mesh.nodes.entries()) {
    const publisher = await connect(node);
    await publishMany(publisher, count / 3, (sequence) => ({
      topic: `jobs/${sequence % 7}`,
      payload: `${at}:${sequence}`,
      qos: 1,
    }));
  }
  await allTaken;
  const expected = mesh.nodes.flatMap((_, at) => Array.from({ length: count / 3 }, (_, n) => `${at}:${n}`));
  expect((await witnessed).map(({ payload }) => payload).sort()).toEqual([...expected].sort());
  expect(seen.flat().sort()).toEqual([...expected].sort());
  for (const own of seen) expect(own.length).toBeGreaterThan(0);
});

test("P4: what is published on another node right after SUBACK is received, 200 times in a row", async () => {
  const subscriber = await connect(a);
  const publisher = await connect(b);
  for (let round = 0; round < 200; round++) {
    const topic = `barrier/${round}`;
    const received = gather(subscriber, 1);
    await subscriber.subscribeAsync(topic, { qos: 0 });
    await publisher.publishAsync(topic, "x", { qos: round % 2 === 0 ? 0 : 1 });
    expect((await received)[0]?.topic).toBe(topic);
  }
});

test("3.1.1 [MQTT-7.0.0-2] a stock client may use any MQTT version, 3.1 included", async () => {
  const old = await connect(a, { protocolId: "MQIsdp", protocolVersion: 3, clientId: "old-client" });
  await old.subscribeAsync("old/#", { qos: 2 });
  const publisher = await connect(c, { protocolVersion: 5 });
  const received = gather(old, 1);
  await publisher.publishAsync("old/topic", "hello", { qos: 2 });
  expect(await received).toEqual([{ topic: "old/topic", payload: "hello", qos: 2, retain: false }]);
});

const withMosquitto = test.skipIf(!hasMosquitto());

withMosquitto.each([
  ["mqttv311", 0],
  ["mqttv311", 1],
  ["mqttv311", 2],
  ["mqttv5", 1],
  ["mqttv5", 2],
] as const)(
  "mosquitto_pub on one node reaches mosquitto_sub on another: %s, QoS %i",
  async (version, qos) => {
    const topic = `mosquitto/${version}/${qos}`;
    const common = ["-h", "127.0.0.1", "-V", version, "-q", String(qos)];
    const ready = `${topic}/ready`;
    const args = [...common, "-p", String(c.ports.mqtt), "-t", `${topic}/#`, "-v", "-C", "2", "-W", "20"];
    // mosquitto_sub does not say when it is subscribed; a retained message comes as soon as it is.
    const helper = await connect(c);
    await helper.publishAsync(ready, "yes", { qos: 1, retain: true });
    const subscriber = startProgram("mosquitto_sub", args);
    let out = "";
    const isReady = new Promise<void>((resolve) => {
      subscriber.stdout.setEncoding("utf8").on("data", (text: string) => {
        out += text;
        resolve();
      });
    });
    const ended = new Promise<number | null>((resolve) => subscriber.once("close", resolve));
    await isReady;
    await runProgram("mosquitto_pub", [
      ...common,
      "-p",
      String(a.ports.mqtt),
      "-t",
      `${topic}/hello`,
      "-m",
      "hi",
    ]);
    expect(await ended).toBe(0);
    expect(out).toBe(`${ready} yes\n${topic}/hello hi\n`);
  },
);

const python = pythonWithPaho();
const pahoClient = fileURLToPath(new URL("../support/paho_client.py", import.meta.url));

test.skipIf(python === undefined).each([
  [4, 0],
  [4, 1],
  [4, 2],
  [5, 1],
  [5, 2],
])(
  "Paho (protocol level %i) publishes at QoS %i on one node and receives on another",
  async (version, qos) => {
    const args = [pahoClient, a.ports.mqtt, b.ports.mqtt, version, qos, `paho/${version}/${qos}`, 30].map(
      String,
    );
    const lines = (await runProgram(python ?? "python3", args)).trim().split("\n");
    const received = lines.map((line) => JSON.parse(line) as { payload: string; qos: number });
    expect(received.map(({ payload }) => payload)).toEqual(Array.from({ length: 30 }, (_, at) => String(at)));
    for (const message of received) expect(message.qos).toBe(qos);
  },
);

test("skein pub on one node reaches skein sub on another, and skein status tells of both", async () => {
  const topic = "own/tools";
  const publish = ["pub", "-p", String(a.ports.mqtt), "-q", "1", "-t"];
  expect(await runSkein([...publish, `${topic}/first`, "-m", "one", "-r"])).toMatchObject({
    code: 0,
    err: "",
  });
  await c.waitForStatus("has the message", ({ retained }) => retained > 0);
  const subscribe = [
    "sub",
    "-p",
    String(c.ports.mqtt),
    "-q",
    "1",
    "-t",
    `${topic}/#`,
    "-v",
    "-C",
    "1",
    "-W",
    "20",
  ];
  expect(await runSkein(subscribe)).toMatchObject({ code: 0, out: `${topic}/first one\n`, err: "" });
  const status = await runSkein(["status", "--json", "--http", `127.0.0.1:${b.ports.http}`]);
  expect(status.code).toBe(0);
  expect(JSON.parse(status.out)).toMatchObject({ mesh: "test", name: "b", health: "healthy", reasons: [] });
});
