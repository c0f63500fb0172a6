/** Slow readers, large retained sets and full queues: bounded, and never at the cost of others. */

import { expect, test } from "vitest";
import { World } from "./support/world.ts";

const DURABLE = { clean: false, properties: { sessionExpiryInterval: 1000 } };

test("a slow reader loses QoS 0 above its bound, counted, and others lose nothing", () => {
  const world = new World({ outboundBytesMax: 2_000 });
  const slow = world.connect("slow");
  slow.subscribe("t");
  const fast = world.connect("fast");
  fast.subscribe("t");
  slow.stream.stick();
  const publisher = world.connect("p");
  for (let i = 0; i < 50; i++) publisher.publish("t", "x".repeat(100));
  expect(fast.takePayloads()).toHaveLength(50);
  expect(slow.stream.bufferedBytes).toBeLessThanOrEqual(2_200);
  slow.stream.unstick();
  world.settle();
  const got = slow.takePayloads().length;
  expect(got).toBeGreaterThan(10);
  expect(got + world.count("slowReaderDropped")).toBe(50);
});

test("QoS 1 waits for a slow reader in the session's queue and arrives complete and in order", () => {
  const world = new World({ outboundBytesMax: 2_000 });
  const slow = world.connect("slow");
  slow.subscribe("t", 1);
  slow.stream.stick();
  const publisher = world.connect("p");
  for (let i = 0; i < 100; i++) publisher.publish("t", `${i}`.padEnd(100), { qos: 1, messageId: 1 });
  expect(slow.stream.bufferedBytes).toBeLessThanOrEqual(2_200);
  slow.stream.unstick();
  const got: string[] = [];
  for (;;) {
    world.settle();
    const came = slow.takeAll("publish");
    if (came.length === 0) break;
    for (const { payload, messageId } of came) {
      got.push(String(payload).trim());
      slow.send({ cmd: "puback", messageId, reasonCode: 0 });
    }
  }
  expect(got).toEqual(Array.from({ length: 100 }, (_, i) => `${i}`));
});

test("a full queue refuses the newest messages, counted", () => {
  const world = new World({ queuedMessagesMax: 5 });
  const away = world.connect("a", DURABLE);
  away.subscribe("t", 1);
  away.sever();
  const publisher = world.connect("p");
  for (let i = 0; i < 8; i++) publisher.publish("t", `${i}`, { qos: 1, messageId: 1 });
  expect(world.count("queueFullDropped")).toBe(3);
  expect(world.connect("a", DURABLE).takePayloads()).toEqual(["0", "1", "2", "3", "4"]);
});

test("a full queue of one that is away stops no publisher of 3.1.1, and takes nothing from the others", () => {
  const world = new World({ queuedMessagesMax: 2 });
  const orphan = world.connect("orphan", { version: 4, clean: false });
  orphan.subscribe("#", 1);
  orphan.sever();
  const subscriber = world.connect("s");
  subscriber.subscribe("t", 2);
  const publisher = world.connect("p", { version: 4 });
  for (let messageId = 1; messageId <= 4; messageId++)
    publisher.publish("t", `${messageId}`, { qos: messageId < 3 ? 1 : 2, messageId });
  expect(publisher.takeAll("puback").map(({ messageId }) => messageId)).toEqual([1, 2]);
  expect(publisher.takeAll("pubrec").map(({ messageId }) => messageId)).toEqual([3, 4]);
  expect(subscriber.takePayloads()).toEqual(["1", "2", "3", "4"]);
  expect(world.count("queueFullDropped")).toBe(2);
  const returned = world.connect("orphan", { version: 4, clean: false });
  expect(returned.takePayloads()).toEqual(["1", "2"]);
});

test("a queue is bounded in bytes as well", () => {
  const world = new World({ queuedBytesMax: 1_000 });
  const away = world.connect("a", DURABLE);
  away.subscribe("t", 1);
  away.sever();
  const publisher = world.connect("p");
  for (let i = 0; i < 8; i++) publisher.publish("t", "x".repeat(299), { qos: 1, messageId: 1 });
  expect(world.connect("a", DURABLE).takePayloads()).toHaveLength(3);
});

test.each([0, 1] as const)("retained replay at QoS %i is paced by a slow reader and loses nothing", (qos) => {
  const world = new World({ outboundBytesMax: 3_000 });
  const publisher = world.connect("p");
  for (let i = 0; i < 500; i++)
    publisher.publish(`r/${i}`, "x".repeat(50), { retain: true, qos, messageId: 1 });
  const slow = world.connect("slow");
  slow.stream.stick();
  slow.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "r/#", qos }] });
  const topics = new Set<string>();
  for (let round = 0; round < 500 && topics.size < 500; round++) {
    expect(slow.stream.bufferedBytes).toBeLessThanOrEqual(3_200);
    slow.stream.unstick();
    slow.stream.stick();
    world.settle();
    for (const { topic = "", messageId } of slow.takeAll("publish")) {
      expect(topics.has(topic)).toBe(false);
      topics.add(topic);
      if (qos === 1) slow.send({ cmd: "puback", messageId, reasonCode: 0 });
    }
  }
  expect(topics.size).toBe(500);
});

test("retained replay never shows an old value after a newer one (P8)", () => {
  const world = new World({ outboundBytesMax: 1_000 });
  const publisher = world.connect("p");
  for (let i = 0; i < 50; i++) publisher.publish(`r/${i}`, "old".padEnd(50), { retain: true });
  const slow = world.connect("slow");
  slow.stream.stick();
  slow.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "r/#", qos: 0 }] });
  publisher.publish("r/49", "new", { retain: true });
  publisher.publish("r/48", "", { retain: true });
  for (let round = 0; round < 50; round++) {
    slow.stream.unstick();
    slow.stream.stick();
    world.settle();
  }
  const came = slow.takeAll("publish").map(({ topic, payload }) => [topic, String(payload).trim()]);
  expect(came.filter(([topic]) => topic === "r/49").map(([, payload]) => payload)).toEqual(["new"]);
  expect(came.filter(([topic]) => topic === "r/48")).toEqual([]);
  expect(came).toHaveLength(49);
});

test("retained replay ends with its subscription", () => {
  const world = new World({ outboundBytesMax: 1_000 });
  const publisher = world.connect("p");
  for (let i = 0; i < 100; i++) publisher.publish(`r/${i}`, "x".repeat(50), { retain: true });
  const slow = world.connect("slow");
  slow.stream.stick();
  slow.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "r/#", qos: 0 }] });
  slow.send({ cmd: "unsubscribe", messageId: 2, unsubscriptions: ["r/#"] });
  slow.stream.unstick();
  world.settle();
  expect(slow.takeAll("publish").length).toBeLessThan(30);
});

test("[MQTT-3.1.2-24] [MQTT-3.1.2-25] a message above the client's Maximum Packet Size is dropped as if it was sent", () => {
  const world = new World();
  const small = world.connect("a", { properties: { maximumPacketSize: 100, receiveMaximum: 1 } });
  small.subscribe("t", 1);
  const publisher = world.connect("p");
  publisher
    .publish("t", "x".repeat(200), { qos: 1, messageId: 1 })
    .publish("t", "fits", { qos: 1, messageId: 2 });
  expect(small.takePayloads()).toEqual(["fits"]);
  expect(world.count("tooLargeDropped")).toBe(1);
});

test("thousands of clients come and go without a trace", () => {
  const world = new World();
  for (let i = 0; i < 2_000; i++) {
    const client = world.connect(`c${i}`, { version: i % 2 === 0 ? 4 : 5, keepalive: 30 });
    client.subscribe(`t/${i}/#`, 1);
    client.publish("x", "y", { qos: 1, messageId: 1 });
    if (i % 2 === 0) client.disconnect();
    else client.sever();
  }
  expect(world.clientCount).toBe(0);
  expect(world.sessionCount).toBe(0);
  expect(world.count("clientsConnected")).toBe(2_000);
});

test("[MQTT-3.1.2-24] other packets above the client's Maximum Packet Size are not sent either", () => {
  const client = new World().connect("a", { properties: { maximumPacketSize: 40 } });
  const subscriptions = Array.from({ length: 50 }, (_, i) => ({ topic: `${i}`, qos: 0 }));
  client.send({ cmd: "subscribe", messageId: 1, subscriptions });
  expect(client.packets).toEqual([]);
  client.send({ cmd: "pingreq" }).take("pingresp");
});

test("retained replay larger than the outbound bound goes on turn by turn while the client reads", () => {
  const world = new World({ outboundBytesMax: 3_000 });
  const publisher = world.connect("p");
  for (let i = 0; i < 500; i++) publisher.publish(`r/${i}`, "x".repeat(50), { retain: true });
  const client = world.connect("a");
  client.subscribe("r/#");
  expect(client.takeAll("publish")).toHaveLength(500);
  for (const chunk of client.chunks) expect(chunk.length).toBeLessThanOrEqual(3_100);
});
