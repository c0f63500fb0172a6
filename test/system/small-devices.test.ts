/** Devices with PubSubClient's habits on a real node: a small buffer, a short keep-alive, no patience and no memory. */

import { connect as openSocket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { generate } from "mqtt-packet";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../containers/support/eventually.ts";
import { connect, gather } from "../support/mqtt-clients.ts";
import { makeNode, type NodeProcess } from "../support/node-process.ts";
import { PubSubClient } from "../support/pubsubclient.ts";

let node: NodeProcess;

beforeAll(async () => {
  node = await makeNode({ name: "a" });
  await node.start();
});
afterAll(async () => {
  await node?.remove();
});

function until(what: string, isSo: () => boolean, withinMs = 10_000): Promise<unknown> {
  return eventually(what, { withinMs, everyMs: 20 }, async () => {
    if (!isSo()) throw new Error("not yet");
  });
}

test("a device that drops what is larger than its buffer, and never acknowledges it, gets everything else in order", async () => {
  const house = await connect(node);
  await house.publishAsync("big/retained", "r".repeat(1_000), { qos: 1, retain: true });
  const device = new PubSubClient(node, {
    clientId: "esp-buffer",
    subscriptions: [
      { topic: "cmnd/#", qos: 1 },
      { topic: "big/#", qos: 0 },
    ],
    retryMs: 200,
  });
  await until("the retained message was dropped", () => device.dropped === 1);
  const wanted: string[] = [];
  for (let i = 0; i < 30; i++) {
    if (i % 3 === 0) await house.publishAsync("cmnd/big", "x".repeat(400), { qos: 1 });
    await house.publishAsync("cmnd/power", `${i}`, { qos: i % 2 === 0 ? 1 : 0 });
    wanted.push(`${i}`);
  }
  await until("all small messages came", () => device.received.length === 30);
  expect(device.received.map(([, payload]) => payload)).toEqual(wanted);
  expect(device.dropped).toBe(11);
  const heard = gather(house, 1);
  await house.subscribeAsync("tele/#");
  device.publish("tele/state", "on");
  expect((await heard)[0]).toMatchObject({ topic: "tele/state", payload: "on", qos: 0 });
});

test("with keepalive 15 an idle device stays, a dead one is declared dead by its retained will", async () => {
  const will = { topic: "esp/online", payload: "false" };
  const options = { subscriptions: [{ topic: "cmnd/#", qos: 1 } as const], retryMs: 200 };
  const idle = new PubSubClient(node, { ...options, clientId: "esp-idle" });
  const dead = new PubSubClient(node, { ...options, clientId: "esp-dead", will });
  const house = await connect(node);
  await until("both are connected", () => idle.isConnected && dead.isConnected);
  dead.publish("esp/online", "true", true);
  const heard = gather(house, 2);
  await house.subscribeAsync("esp/#", { qos: 1 });
  dead.stop();
  expect((await heard).map(({ payload }) => payload)).toEqual(["true", "false"]);
  // Its first ping goes out after 15 s of silence; the node would be within its rights after 22.5 s.
  await until("its ping was answered", () => idle.pongs > 0, 20_000);
  expect(idle.isConnected).toBe(true);
  expect(idle.connacks).toEqual([0]);
});

test("P11: devices that knock all the time while the node stops, starts and is killed never see a refusal, and are back each time", async () => {
  const devices = Array.from({ length: 20 }, (_, at) => {
    return new PubSubClient(node, {
      clientId: `esp-${at}`,
      subscriptions: [{ topic: "cmnd/#", qos: 1 }],
      retryMs: 10 + at,
    });
  });
  const areBack = () => until("all devices are back", () => devices.every(({ isConnected }) => isConnected));
  await areBack();
  for (const end of [() => node.stop(), () => node.kill(), () => node.stop()]) {
    await end();
    node.launch();
    await node.serving();
    await areBack();
  }
  for (const { connacks } of devices) {
    expect(connacks.length).toBeGreaterThanOrEqual(4);
    expect(new Set(connacks)).toEqual(new Set([0]));
  }
});

test("P9: a CONNECT that a device gave up while the node was frozen does not end the connection that it has", async () => {
  const will = { topic: "esp/gone", payload: Buffer.from("true"), qos: 1, retain: false } as const;
  const house = await connect(node);
  const wills: string[] = [];
  house.on("message", (topic) => wills.push(topic));
  await house.subscribeAsync("esp/gone", { qos: 1 });
  const device = await connect(node, { clientId: "esp-moved", will });
  let losses = 0;
  device.on("close", () => losses++);
  process.kill(node.pid as number, "SIGSTOP");
  try {
    // The kernel goes on accepting. This stands for the earlier attempt of a device that is served elsewhere by now.
    const attempt = openSocket({ host: "127.0.0.1", port: node.ports.mqtt });
    attempt.on("error", () => undefined);
    attempt.end(generate({ cmd: "connect", clientId: "esp-moved", keepalive: 60, clean: true, will }));
    await sleep(3_000);
  } finally {
    process.kill(node.pid as number, "SIGCONT");
  }
  await sleep(1_000);
  expect([losses, wills]).toEqual([0, []]);
  await device.publishAsync("esp/state", "on", { qos: 1 });
});
