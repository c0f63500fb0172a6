/** PUBLISH: what reaches whom, unaltered, retained or not. */

import { expect, test } from "vitest";
import type { Client } from "./support/client.ts";
import { World } from "./support/world.ts";

/** A subscriber to everything (5.0, QoS 2, Retain As Published off) and a publisher. */
function pair(): { readonly world: World; readonly subscriber: Client; readonly publisher: Client } {
  const world = new World();
  const subscriber = world.connect("s");
  subscriber.subscribe("#", 2);
  return { world, subscriber, publisher: world.connect("p") };
}

test("[MQTT-3.3.2-3] the topic of a delivered message matches the subscription, the payload is unaltered", () => {
  const { subscriber, publisher } = pair();
  const payload = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  publisher.send({ cmd: "publish", topic: "a/b", payload, qos: 0 });
  const { topic, payload: came } = subscriber.take("publish");
  expect(topic).toBe("a/b");
  expect(came).toEqual(payload);
});

test("an empty payload is a message like any other", () => {
  const { subscriber, publisher } = pair();
  publisher.publish("a", "");
  expect(subscriber.takePayloads()).toEqual([""]);
});

test.each([
  [0, 0, 0],
  [0, 2, 0],
  [1, 0, 0],
  [1, 1, 1],
  [1, 2, 1],
  [2, 0, 0],
  [2, 1, 1],
  [2, 2, 2],
] as const)(
  "[MQTT-3.8.4-8] and 3.1.1 [MQTT-3.8.4-6] published with QoS %i, granted %i: delivered with %i",
  (published, granted, qos) => {
    const world = new World();
    const subscriber = world.connect("s", { version: 4 });
    subscriber.subscribe("t", granted);
    world.connect("p").publish("t", "x", { qos: published, messageId: 1 });
    expect(subscriber.take("publish").qos).toBe(qos);
  },
);

test("[MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-20] message properties arrive unaltered", () => {
  const { subscriber, publisher } = pair();
  const properties = {
    payloadFormatIndicator: true,
    responseTopic: "answers/1",
    correlationData: Buffer.from([0, 1, 254, 255]),
    contentType: "text/plain",
    messageExpiryInterval: 60,
  };
  publisher.publish("a", "x", { properties });
  expect(subscriber.take("publish").properties).toEqual(properties);
});

test("[MQTT-3.3.2-4] a Payload Format Indicator of 0 arrives, live and from the store; without one none does", () => {
  const { world, subscriber, publisher } = pair();
  for (const [topic, properties] of [
    ["said", { payloadFormatIndicator: false }],
    ["unsaid", { contentType: "x" }],
  ] as const)
    publisher.publish(topic, "x", { properties, retain: true });
  const late = world.connect("l");
  late.subscribe("said");
  late.subscribe("unsaid");
  for (const client of [subscriber, late]) {
    const came = client.takeAll("publish").map(({ topic, properties }) => [topic, properties]);
    expect(came).toEqual([
      ["said", { payloadFormatIndicator: false }],
      ["unsaid", { contentType: "x" }],
    ]);
  }
});

test("[MQTT-3.3.2-17] [MQTT-3.3.2-18] user properties arrive in their order, repeated names included", () => {
  const { subscriber, publisher } = pair();
  const pair5 = (name: string, value: string) => [
    0x26,
    0,
    1,
    ...Buffer.from(name),
    0,
    1,
    ...Buffer.from(value),
  ];
  const properties = [...pair5("b", "1"), ...pair5("a", "2"), ...pair5("b", "3")];
  const bytes = [0x30, 4 + properties.length, 0, 1, 97, properties.length, ...properties];
  subscriber.chunks.length = 0;
  publisher.sendBytes(bytes);
  expect([...(subscriber.chunks[0] ?? [])]).toEqual(bytes);
});

test("properties do not reach a 3.1.1 subscriber, the message does", () => {
  const { world, publisher } = pair();
  const four = world.connect("s4", { version: 4 });
  four.subscribe("a");
  publisher.publish("a", "x", { properties: { contentType: "text/plain" } });
  expect(four.takePayloads()).toEqual(["x"]);
});

test("[MQTT-3.3.2-7] topic aliases stand for topics on their connection and end with it", () => {
  const { world, subscriber, publisher } = pair();
  publisher.publish("a/b", "1", { properties: { topicAlias: 3 } });
  publisher.publish("", "2", { properties: { topicAlias: 3 } });
  publisher.publish("c", "3", { properties: { topicAlias: 3 } });
  publisher.publish("", "4", { properties: { topicAlias: 3 } });
  const came = subscriber.takeAll("publish");
  expect(came.map(({ topic }) => topic)).toEqual(["a/b", "a/b", "c", "c"]);
  publisher.disconnect();
  const again = world.connect("p").publish("", "5", { properties: { topicAlias: 3 } });
  expect(again.take("disconnect").reasonCode).toBe(0x82);
});

test("[MQTT-3.1.2-27] the server sends no topic alias, and hands none of the publisher's on", () => {
  const { subscriber, publisher } = pair();
  publisher.publish("a/b", "1", { properties: { topicAlias: 3 } });
  expect(subscriber.take("publish").properties?.topicAlias).toBeUndefined();
});

test("[MQTT-3.3.1-5] a retained message reaches later subscribers, the newest only", () => {
  const { world, publisher } = pair();
  publisher.publish("t", "old", { retain: true });
  publisher.publish("t", "new", { retain: true });
  const late = world.connect("l");
  late.subscribe("t");
  const [message, ...others] = late.takeAll("publish");
  expect(others).toEqual([]);
  expect(String(message?.payload)).toBe("new");
  expect(message?.retain).toBe(true);
});

test("[MQTT-3.3.1-6] [MQTT-3.3.1-7] an empty retained payload deletes, and is delivered to live subscribers", () => {
  const { world, subscriber, publisher } = pair();
  publisher.publish("t", "x", { retain: true });
  publisher.publish("t", "", { retain: true });
  expect(subscriber.takePayloads()).toEqual(["x", ""]);
  expect(world.retainedCount).toBe(0);
  const late = world.connect("l");
  late.subscribe("t");
  expect(late.packets).toEqual([]);
});

test("[MQTT-3.3.1-8] a message without RETAIN neither stores nor replaces", () => {
  const { world, publisher } = pair();
  publisher.publish("t", "kept", { retain: true });
  publisher.publish("t", "live");
  const late = world.connect("l");
  late.subscribe("t");
  expect(late.takePayloads()).toEqual(["kept"]);
});

test("[MQTT-3.3.1-12] [MQTT-3.3.1-13] Retain As Published decides about the flag of live messages", () => {
  const world = new World();
  const without = world.connect("a");
  without.subscribe("t", 0, { rap: false });
  const withIt = world.connect("b");
  withIt.subscribe("t", 0, { rap: true });
  const four = world.connect("c", { version: 4 });
  four.subscribe("t");
  world.connect("p").publish("t", "x", { retain: true });
  expect([without, withIt, four].map((client) => client.take("publish").retain)).toEqual([
    false,
    true,
    false,
  ]);
});

test("a retained message keeps its properties, its expiry shortened by the time it was stored", () => {
  const { world, publisher } = pair();
  const properties = { contentType: "text/plain", messageExpiryInterval: 60 };
  publisher.publish("t", "x", { retain: true, properties });
  world.pass(10_000);
  const late = world.connect("l");
  late.subscribe("t");
  expect(late.take("publish").properties).toEqual({ ...properties, messageExpiryInterval: 50 });
  world.pass(51_000);
  const later = world.connect("l2");
  later.subscribe("t");
  expect(later.packets).toEqual([]);
});

test("[MQTT-4.7.2-1] and 3.1.1 [MQTT-4.7.2-1] wildcards at the start do not match topics that begin with $", () => {
  const world = new World();
  const all = world.connect("a");
  all.subscribe("#");
  all.subscribe("+/x");
  const named = world.connect("b");
  named.subscribe("$home/#");
  world.connect("p").publish("$home/x", "1");
  expect(all.packets).toEqual([]);
  expect(named.takePayloads()).toEqual(["1"]);
});

test.each([
  ["sport/tennis/player1/#", "sport/tennis/player1", true],
  ["sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true],
  ["sport/+", "sport", false],
  ["sport/+", "sport/", true],
  ["+/+", "/finance", true],
  ["/+", "/finance", true],
  ["+", "/finance", false],
  ["sport/tennis/+", "sport/tennis/player1/ranking", false],
  ["ACCOUNTS", "Accounts", false],
  ["/", "/", true],
] as const)(
  "[MQTT-4.7.3-4] and 3.1.1 [MQTT-4.7.3-4] %s against %s: %s, without any normalization",
  (filter, topic, matches) => {
    const world = new World();
    const subscriber = world.connect("s");
    subscriber.subscribe(filter);
    world.connect("p").publish(topic, "x");
    expect(subscriber.takePayloads()).toEqual(matches ? ["x"] : []);
  },
);

test("[MQTT-4.6.0-5] [MQTT-4.6.0-6] messages of one publisher and QoS arrive in their order", () => {
  for (const qos of [0, 1, 2] as const) {
    const { subscriber, publisher } = pair();
    const sent = Array.from({ length: 40 }, (_, i) => `m${i}`);
    const packets = sent.map((payload, i) => ({
      cmd: "publish",
      topic: "t",
      payload,
      qos,
      messageId: i + 1,
    }));
    publisher.sendTogether(...packets);
    expect(subscriber.takePayloads()).toEqual(sent);
  }
});

test("all that a client gets in one turn leaves in one write", () => {
  const { subscriber, publisher } = pair();
  const before = subscriber.stream.writes;
  const packets = Array.from({ length: 30 }, (_, i) => ({
    cmd: "publish",
    topic: "t",
    payload: `${i}`,
    qos: 0,
  }));
  publisher.sendTogether(...packets, { cmd: "publish", topic: "t", payload: "z", qos: 1, messageId: 1 });
  expect(subscriber.stream.writes - before).toBe(1);
  expect(subscriber.takePayloads()).toHaveLength(31);
});

test("large messages leave while they are gathered: a turn of many does not hold all of them", () => {
  const { subscriber, publisher } = pair();
  const before = subscriber.stream.writes;
  const payload = Buffer.alloc(20_000, "x");
  const packets = Array.from({ length: 16 }, () => ({ cmd: "publish", topic: "t", payload, qos: 0 }));
  publisher.sendTogether(...packets, { cmd: "publish", topic: "t", payload: "last", qos: 0 });
  expect(subscriber.stream.writes - before).toBe(5);
  const payloads = subscriber.takePayloads();
  expect(payloads).toHaveLength(17);
  expect(payloads.at(-1)).toBe("last");
});

test("a frame shared by many receivers is encoded once: they get the very same bytes", () => {
  const world = World.onOneNode("frame");
  const subscribers = Array.from({ length: 5 }, (_, i) =>
    world.connect(`s${i}`, { version: i % 2 === 0 ? 3 : 4 }),
  );
  for (const subscriber of subscribers) {
    subscriber.subscribe("t");
    subscriber.chunks.length = 0;
  }
  world.connect("p").publish("t", "x");
  const chunks = subscribers.map((subscriber) => subscriber.chunks[0]);
  const placeOf = (chunk: Uint8Array | undefined) => [chunk?.byteOffset, chunk?.length];
  for (const chunk of chunks) {
    expect(chunk?.buffer).toBe(chunks[0]?.buffer);
    expect(placeOf(chunk)).toEqual(placeOf(chunks[0]));
  }
});
