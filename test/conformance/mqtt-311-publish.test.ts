/** PUBLISH of 3.1.1: flags, retained messages, the QoS flows. */

import { expect, test } from "vitest";
import type { Client } from "./support/client.ts";
import { type ConnectOptions, World } from "./support/world.ts";

const FOUR: ConnectOptions = { version: 4 };
const KEPT: ConnectOptions = { version: 4, clean: false };

/** A subscriber to everything at QoS 2, whose session is kept, and a publisher. */
function pair(): { readonly world: World; readonly subscriber: Client; readonly publisher: Client } {
  const world = new World();
  const subscriber = world.connect("s", KEPT);
  subscriber.subscribe("#", 2);
  return { world, subscriber, publisher: world.connect("p", FOUR) };
}

test("3.1.1 [MQTT-1.5.3-3] a byte order mark in a topic is U+FEFF and stays", () => {
  const { subscriber, publisher } = pair();
  publisher.publish("\uFEFFa", "x");
  expect(subscriber.take("publish").topic).toBe("\uFEFFa");
});

test("3.1.1 [MQTT-2.3.1-5] [MQTT-4.3.1-1] a QoS 0 message is sent without identifier and DUP", () => {
  const { subscriber, publisher } = pair();
  subscriber.chunks.length = 0;
  publisher.publish("ab", "xyz");
  expect(subscriber.chunks.map((chunk) => [...chunk])).toEqual([[0x30, 7, 0, 2, 97, 98, 120, 121, 122]]);
});

test("3.1.1 [MQTT-2.3.1-6] [MQTT-3.3.4-1] each QoS is answered in its way, with the identifier that came", () => {
  const { publisher } = pair();
  publisher.publish("t", "0");
  expect(publisher.packets).toEqual([]);
  publisher.publish("t", "1", { qos: 1, messageId: 65535 });
  expect(publisher.take("puback").messageId).toBe(65535);
  publisher.publish("t", "2", { qos: 2, messageId: 65534 });
  expect(publisher.take("pubrec").messageId).toBe(65534);
  publisher.send({ cmd: "pubrel", messageId: 65534 });
  expect(publisher.take("pubcomp").messageId).toBe(65534);
});

test("3.1.1 [MQTT-3.3.5-2] a PUBLISH that is not permitted ends the connection, since it cannot be refused", () => {
  const world = new World({ topicLevelsMax: 4 });
  const client = world.connect("a", FOUR).publish("a/b/c/d/e", "x", { qos: 1, messageId: 1 });
  expect(client.packets).toEqual([]);
  expect(client.stream.ended).toBe("end");
});

test("3.1.1 [MQTT-3.3.1-3] DUP of what comes in is not handed on", () => {
  const { subscriber, publisher } = pair();
  publisher.publish("t", "1", { qos: 1, messageId: 1, dup: true });
  publisher.publish("t", "2", { qos: 2, messageId: 2, dup: true });
  expect(subscriber.takeAll("publish").map(({ dup }) => dup)).toEqual([false, false]);
});

test("3.1.1 [MQTT-3.3.1-5] a retained message is kept with its QoS", () => {
  const { world, publisher } = pair();
  publisher.publish("t", "x", { retain: true, qos: 1, messageId: 1 });
  const late = world.connect("l", FOUR);
  late.subscribe("t", 2);
  expect(late.take("publish").qos).toBe(1);
});

test("3.1.1 [MQTT-3.3.1-6] a new subscription gets the last retained message of each topic that matches", () => {
  const { world, publisher } = pair();
  for (const [topic, payload] of [
    ["t/a", "old"],
    ["t/a", "1"],
    ["t/b", "2"],
    ["u", "3"],
  ] as const)
    publisher.publish(topic, payload, { retain: true });
  const late = world.connect("l", FOUR);
  late.subscribe("t/+");
  expect(late.takePayloads().sort()).toEqual(["1", "2"]);
});

test("3.1.1 [MQTT-3.3.1-7] a QoS 0 message with RETAIN replaces the one of QoS 1 before it", () => {
  const { world, publisher } = pair();
  publisher.publish("t", "old", { retain: true, qos: 1, messageId: 1 });
  publisher.publish("t", "new", { retain: true });
  const late = world.connect("l", FOUR);
  late.subscribe("t", 1);
  expect(late.takePayloads()).toEqual(["new"]);
});

test("3.1.1 [MQTT-3.3.1-8] [MQTT-3.3.1-9] RETAIN says whether a message comes from the store, not how it was published", () => {
  const { world, subscriber, publisher } = pair();
  publisher.publish("t", "x", { retain: true });
  expect(subscriber.take("publish").retain).toBe(false);
  const late = world.connect("l", FOUR);
  late.subscribe("t");
  expect(late.take("publish").retain).toBe(true);
});

test("3.1.1 [MQTT-3.3.1-10] [MQTT-3.3.1-11] an empty message with RETAIN is delivered, and leaves nothing behind", () => {
  const { world, subscriber, publisher } = pair();
  publisher.publish("t", "x", { retain: true }).publish("t", "", { retain: true });
  expect(subscriber.takePayloads()).toEqual(["x", ""]);
  expect(world.retainedCount).toBe(0);
  const late = world.connect("l", FOUR);
  late.subscribe("t");
  expect(late.packets).toEqual([]);
});

test("3.1.1 [MQTT-3.3.1-12] a message without RETAIN, even an empty one, leaves the retained message alone", () => {
  const { world, publisher } = pair();
  publisher.publish("t", "kept", { retain: true }).publish("t", "passing").publish("t", "");
  const late = world.connect("l", FOUR);
  late.subscribe("t");
  expect(late.takePayloads()).toEqual(["kept"]);
});

test("3.1.1 [MQTT-3.3.2-3] the topic of a delivered message is the published one and matches the subscription", () => {
  const { subscriber, publisher, world } = pair();
  const narrow = world.connect("n", FOUR);
  narrow.subscribe("a/+");
  publisher.publish("a/b", "1").publish("a/b/c", "2").publish("b", "3");
  expect(subscriber.takeAll("publish").map(({ topic }) => topic)).toEqual(["a/b", "a/b/c", "b"]);
  expect(narrow.takeAll("publish").map(({ topic }) => topic)).toEqual(["a/b"]);
});

test("3.1.1 [MQTT-4.3.2-1] QoS 1 goes out with DUP 0 and identifiers that are not in use, and is open until PUBACK", () => {
  const { world, subscriber, publisher } = pair();
  for (let i = 1; i <= 3; i++) publisher.publish("t", `${i}`, { qos: 1, messageId: 7 });
  const sent = subscriber.takeAll("publish");
  expect(sent.map(({ dup, qos }) => [dup, qos])).toEqual(Array(3).fill([false, 1]));
  expect(new Set(sent.map(({ messageId }) => messageId)).size).toBe(3);
  subscriber.send({ cmd: "puback", messageId: sent[1]?.messageId }).sever();
  expect(world.connect("s", KEPT).takePayloads()).toEqual(["1", "3"]);
});

test("3.1.1 [MQTT-4.3.2-2] after PUBACK the same identifier is a new message, whatever DUP says", () => {
  const { subscriber, publisher } = pair();
  publisher.publish("t", "1", { qos: 1, messageId: 1 });
  publisher.publish("t", "2", { qos: 1, messageId: 1, dup: true });
  expect(publisher.takeAll("puback").map(({ messageId }) => messageId)).toEqual([1, 1]);
  expect(subscriber.takePayloads()).toEqual(["1", "2"]);
});

test("3.1.1 [MQTT-4.3.3-1] QoS 2 out: PUBLISH, PUBREL for PUBREC, and after PUBREL never the PUBLISH again", () => {
  const { world, subscriber, publisher } = pair();
  publisher.publish("t", "x", { qos: 2, messageId: 1 });
  const { messageId, dup } = subscriber.take("publish");
  expect(dup).toBe(false);
  expect(subscriber.send({ cmd: "pubrec", messageId }).take("pubrel").messageId).toBe(messageId);
  subscriber.sever();
  const back = world.connect("s", KEPT);
  expect(back.packets.map(({ cmd, messageId }) => [cmd, messageId])).toEqual([["pubrel", messageId]]);
  back.send({ cmd: "pubcomp", messageId }).sever();
  expect(world.connect("s", KEPT).packets).toEqual([]);
});

test("3.1.1 [MQTT-4.3.3-2] QoS 2 in: PUBREC as often as it comes, one delivery, PUBCOMP, then a new message", () => {
  const { subscriber, publisher } = pair();
  const message = { qos: 2, messageId: 1 };
  publisher.publish("t", "1", message).publish("t", "1", { ...message, dup: true });
  expect(publisher.takeAll("pubrec").map(({ messageId }) => messageId)).toEqual([1, 1]);
  expect(publisher.send({ cmd: "pubrel", messageId: 1 }).take("pubcomp").messageId).toBe(1);
  publisher.publish("t", "2", message).take("pubrec");
  expect(subscriber.takePayloads()).toEqual(["1", "2"]);
});

test("3.1.1 [MQTT-2.3.1-3] a client that repeats a QoS 2 message on another connection does so under its identifier", () => {
  const { world, subscriber } = pair();
  const message = { qos: 2, messageId: 5 };
  const first = world.connect("q", KEPT).publish("t", "once", message);
  first.take("pubrec");
  first.sever();
  const second = world.connect("q", KEPT).publish("t", "once", { ...message, dup: true });
  expect(second.take("pubrec").messageId).toBe(5);
  second.send({ cmd: "pubrel", messageId: 5 }).take("pubcomp");
  second.publish("t", "new", message).take("pubrec");
  expect(subscriber.takePayloads()).toEqual(["once", "new"]);
});

test("3.1.1 [MQTT-2.3.1-4] [MQTT-3.3.1-1] [MQTT-4.4.0-1] [MQTT-4.6.0-1] a resumed session gets again what is open: identifier, order, DUP", () => {
  const { world, subscriber, publisher } = pair();
  for (let i = 1; i <= 4; i++) publisher.publish("t", `${i}`, { qos: 1 + (i % 2), messageId: i });
  const sent = subscriber.takeAll("publish");
  subscriber.sever();
  const again = world.connect("s", KEPT).takeAll("publish");
  const form = ({ messageId, payload, qos }: (typeof sent)[number]) => [messageId, String(payload), qos];
  expect(again.map(form)).toEqual(sent.map(form));
  expect(again.map(({ dup }) => dup)).toEqual([true, true, true, true]);
});

test("3.1.1 [MQTT-4.6.0-2] [MQTT-4.6.0-3] PUBACK and PUBREC come in the order of the messages", () => {
  const { publisher } = pair();
  const packets = [3, 1, 4, 2].map((messageId) => ({
    cmd: "publish",
    topic: "t",
    payload: "x",
    qos: 1 + (messageId % 2),
    messageId,
  }));
  publisher.sendTogether(...packets);
  expect(publisher.packets.map(({ messageId }) => messageId)).toEqual([3, 1, 4, 2]);
});

test("3.1.1 [MQTT-4.6.0-4] PUBREL goes out in the order of the PUBRECs, also on the next connection", () => {
  const { world, subscriber, publisher } = pair();
  for (let i = 1; i <= 3; i++) publisher.publish("t", `${i}`, { qos: 2, messageId: i });
  const [a, b, c] = subscriber.takeAll("publish").map(({ messageId }) => messageId);
  const order = [a, b, c];
  subscriber.sendTogether(...order.map((messageId) => ({ cmd: "pubrec", messageId })));
  expect(subscriber.takeAll("pubrel").map(({ messageId }) => messageId)).toEqual(order);
  subscriber.sever();
  expect(
    world
      .connect("s", KEPT)
      .takeAll("pubrel")
      .map(({ messageId }) => messageId),
  ).toEqual(order);
});

test.each([0, 1, 2] as const)(
  "3.1.1 [MQTT-4.6.0-5] [MQTT-4.6.0-6] messages of one publisher arrive in their order at QoS %i",
  (qos) => {
    const { subscriber, publisher } = pair();
    const payloads = Array.from({ length: 40 }, (_, i) => `${i}`);
    const packets = payloads.map((payload, i) => ({
      cmd: "publish",
      topic: "t",
      payload,
      qos,
      messageId: i + 1,
    }));
    publisher.sendTogether(...packets);
    expect(subscriber.takePayloads()).toEqual(payloads);
  },
);
