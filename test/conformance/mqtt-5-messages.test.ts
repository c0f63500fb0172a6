/** PUBLISH and the QoS flows of 5.0: form, quota, what is open and for how long. */

import { expect, test } from "vitest";
import type { Client } from "./support/client.ts";
import { type ConnectOptions, World } from "./support/world.ts";

const DURABLE: ConnectOptions = { clean: false, properties: { sessionExpiryInterval: 1000 } };

/** A durable QoS 2 subscriber to everything and a publisher. */
function pair(options: ConnectOptions = DURABLE): { world: World; subscriber: Client; publisher: Client } {
  const world = new World();
  const subscriber = world.connect("s", options);
  subscriber.subscribe("#", 2);
  return { world, subscriber, publisher: world.connect("p") };
}

test("[MQTT-2.2.1-2] [MQTT-2.2.2-1] a QoS 0 message without properties: no identifier, property length 0", () => {
  const { subscriber, publisher } = pair();
  subscriber.chunks.length = 0;
  publisher.publish("ab", "xyz");
  expect(subscriber.chunks.map((chunk) => [...chunk])).toEqual([[0x30, 8, 0, 2, 97, 98, 0, 120, 121, 122]]);
});

test("[MQTT-2.2.2-1] [MQTT-2.2.1-6] SUBACK and UNSUBACK have their identifier and property length 0", () => {
  const client = new World().connect("a");
  client.chunks.length = 0;
  client.send({ cmd: "subscribe", messageId: 0x1234, subscriptions: [{ topic: "t", qos: 1 }] });
  client.send({ cmd: "unsubscribe", messageId: 0x4321, unsubscriptions: ["t"] });
  expect(client.chunks.map((chunk) => [...chunk])).toEqual([
    [0x90, 4, 0x12, 0x34, 0, 1],
    [0xb0, 4, 0x43, 0x21, 0, 0],
  ]);
});

test.each([
  [127, [0x30, 0x7f]],
  [128, [0x30, 0x80, 0x01]],
  [16_383, [0x30, 0xff, 0x7f]],
  [16_384, [0x30, 0x80, 0x80, 0x01]],
])("[MQTT-1.5.5-1] a Remaining Length of %i is sent in as few bytes as it needs", (length, header) => {
  const { subscriber, publisher } = pair();
  subscriber.chunks.length = 0;
  publisher.publish("t", "x".repeat(length - 4));
  expect([...(subscriber.chunks[0] ?? [])].slice(0, header.length)).toEqual(header);
});

test("[MQTT-2.2.1-5] PUBACK, PUBREC, PUBREL and PUBCOMP have the identifier of their PUBLISH", () => {
  const { subscriber, publisher } = pair();
  publisher.publish("t", "1", { qos: 1, messageId: 65_535 });
  expect(publisher.take("puback").messageId).toBe(65_535);
  publisher.publish("t", "2", { qos: 2, messageId: 4660 });
  expect(publisher.take("pubrec").messageId).toBe(4660);
  expect(publisher.send({ cmd: "pubrel", messageId: 4660 }).take("pubcomp").messageId).toBe(4660);
  const [, two] = subscriber.takeAll("publish");
  const pubrec = { cmd: "pubrec", messageId: two?.messageId, reasonCode: 0 };
  expect(subscriber.send(pubrec).take("pubrel").messageId).toBe(two?.messageId);
});

test("[MQTT-3.3.2-12] every alias up to the Topic Alias Maximum is accepted", () => {
  const world = new World({ topicAliasMaximum: 40 });
  const subscriber = world.connect("s");
  subscriber.subscribe("#");
  const client = world.attempt("p");
  expect(client.take("connack").properties?.topicAliasMaximum).toBe(40);
  const aliases = Array.from({ length: 40 }, (_, i) => i + 1);
  for (const topicAlias of aliases) client.publish(`t/${topicAlias}`, "x", { properties: { topicAlias } });
  for (const topicAlias of aliases) client.publish("", "y", { properties: { topicAlias } });
  const topics = aliases.map((alias) => `t/${alias}`);
  expect(subscriber.takeAll("publish").map(({ topic }) => topic)).toEqual([...topics, ...topics]);
});

test("[MQTT-4.9.0-1] with a Receive Maximum of 1 exactly one message is under way from the start", () => {
  const { subscriber, publisher } = pair({ properties: { receiveMaximum: 1 } });
  for (let i = 1; i <= 3; i++) publisher.publish("t", `${i}`, { qos: 1, messageId: i });
  expect(subscriber.takePayloads()).toEqual(["1"]);
});

test("[MQTT-3.3.4-10] [MQTT-4.9.0-3] a used-up quota holds back nothing but messages", () => {
  const { subscriber, publisher } = pair({ properties: { receiveMaximum: 1 } });
  for (let i = 1; i <= 3; i++) publisher.publish("t", `${i}`, { qos: 2, messageId: i });
  const { messageId } = subscriber.take("publish");
  subscriber.send({ cmd: "pingreq" }).take("pingresp");
  expect(subscriber.subscribe("other", 1).granted).toEqual([1]);
  subscriber.send({ cmd: "unsubscribe", messageId: 9, unsubscriptions: ["other"] }).take("unsuback");
  subscriber.publish("mine", "x", { qos: 1, messageId: 8 }).take("puback");
  subscriber.send({ cmd: "pubrec", messageId, reasonCode: 0 }).take("pubrel");
  expect(subscriber.packets).toEqual([]);
});

test("[MQTT-4.3.2-1] [MQTT-4.3.3-1] identifiers are taken anew only when they are free again", () => {
  const { subscriber, publisher } = pair();
  const open = new Set<number>();
  for (let i = 0; i < 200; i++) {
    const qos = 1 + (i % 2);
    publisher.publish("t", `${i}`, { qos, messageId: 1 });
    if (qos === 2) publisher.send({ cmd: "pubrel", messageId: 1 });
    const { messageId = 0 } = subscriber.take("publish");
    expect(open).not.toContain(messageId);
    open.add(messageId);
    if (qos === 1) {
      subscriber.send({ cmd: "puback", messageId, reasonCode: 0 });
      open.delete(messageId);
    } else if (i % 4 === 3) {
      subscriber.send({ cmd: "pubrec", messageId, reasonCode: 0 }).take("pubrel");
      subscriber.send({ cmd: "pubcomp", messageId, reasonCode: 0 });
      open.delete(messageId);
    }
  }
  expect(open.size).toBe(50);
});

test("[MQTT-4.3.3-3] a QoS 2 message is open until PUBREC, [MQTT-4.3.3-5] its PUBREL until PUBCOMP", () => {
  const { world, subscriber, publisher } = pair();
  publisher.publish("t", "x", { qos: 2, messageId: 1 });
  const { messageId } = subscriber.take("publish");
  subscriber.sever();
  const second = world.connect("s", DURABLE);
  expect(second.take("publish")).toMatchObject({ messageId, dup: true });
  second.send({ cmd: "pubrec", messageId, reasonCode: 0 }).take("pubrel");
  second.sever();
  const third = world.connect("s", DURABLE);
  expect(third.take("pubrel").messageId).toBe(messageId);
  third.send({ cmd: "pubcomp", messageId, reasonCode: 0 }).sever();
  expect(world.connect("s", DURABLE).packets).toEqual([]);
});

test("[MQTT-4.3.3-7] a QoS 2 message that was sent does not expire any more", () => {
  const { world, subscriber, publisher } = pair();
  publisher.publish("t", "x", { qos: 2, messageId: 1, properties: { messageExpiryInterval: 5 } });
  const { messageId } = subscriber.take("publish");
  subscriber.sever();
  world.pass(30_000);
  const back = world.connect("s", DURABLE);
  expect(back.take("publish")).toMatchObject({ messageId, dup: true });
  expect(back.send({ cmd: "pubrec", messageId, reasonCode: 0 }).take("pubrel").messageId).toBe(messageId);
});

test("[MQTT-4.3.3-13] a QoS 2 message that has expired meanwhile still ends with PUBCOMP", () => {
  const { world, subscriber, publisher } = pair();
  subscriber.sever();
  publisher.publish("t", "x", { qos: 2, messageId: 1, properties: { messageExpiryInterval: 2 } });
  publisher.take("pubrec");
  world.pass(10_000);
  expect(world.connect("s", DURABLE).packets).toEqual([]);
  expect(publisher.send({ cmd: "pubrel", messageId: 1 }).take("pubcomp").reasonCode).toBe(0);
});

test("[MQTT-4.4.0-1] nothing is sent again while the connection lasts", () => {
  const { world, subscriber, publisher } = pair();
  publisher.publish("t", "1", { qos: 1, messageId: 1 }).publish("t", "2", { qos: 2, messageId: 2 });
  const [, two] = subscriber.takeAll("publish");
  subscriber.send({ cmd: "pubrec", messageId: two?.messageId, reasonCode: 0 }).take("pubrel");
  world.pass(120_000);
  expect(subscriber.packets).toEqual([]);
});

test("[MQTT-4.6.0-1] [MQTT-4.6.0-4] what is sent again keeps its order: PUBLISH that of the messages, PUBREL that of the PUBRECs", () => {
  const { world, subscriber, publisher } = pair();
  for (let i = 1; i <= 6; i++) publisher.publish("t", `${i}`, { qos: 2, messageId: i });
  const ids = subscriber.takeAll("publish").map(({ messageId }) => messageId);
  for (const messageId of ids.slice(0, 3)) subscriber.send({ cmd: "pubrec", messageId, reasonCode: 0 });
  expect(subscriber.takeAll("pubrel").map(({ messageId }) => messageId)).toEqual(ids.slice(0, 3));
  subscriber.sever();
  const back = world.connect("s", DURABLE);
  expect(back.takeAll("pubrel").map(({ messageId }) => messageId)).toEqual(ids.slice(0, 3));
  expect(back.takePayloads()).toEqual(["4", "5", "6"]);
});

test("[MQTT-4.6.0-2] [MQTT-4.6.0-3] PUBACK and PUBREC come in the order of the messages, wherever these have to go first", () => {
  const world = new World();
  const near = world.connect("near");
  const far = world.connect("far", DURABLE);
  for (const client of [near, far]) client.subscribe("all", 2);
  far.subscribe("far", 2);
  const publisher = world.connect("p");
  const topics = ["kept", "far", "nobody", "all", "kept", "nobody", "far", "kept", "all"];
  publisher.sendTogether(
    ...topics.map((topic, i) => ({
      cmd: "publish",
      topic,
      payload: `${i}`,
      qos: 1 + (i % 2),
      retain: topic === "kept",
      messageId: i + 1,
    })),
  );
  expect(publisher.packets.map(({ messageId }) => messageId)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(far.takePayloads()).toEqual(["1", "3", "6", "8"]);
  expect(near.takePayloads()).toEqual(["3", "8"]);
});

test("[MQTT-4.7.3-3] a topic of 65,535 bytes is a topic like any other", () => {
  const world = new World();
  const topic = "t".repeat(65_535);
  const client = world.connect("a");
  expect(client.subscribe(topic, 1).granted).toEqual([1]);
  world.connect("p").publish(topic, "x");
  expect(client.take("publish").topic).toBe(topic);
});
