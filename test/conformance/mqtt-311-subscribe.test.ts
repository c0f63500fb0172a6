/** SUBSCRIBE, UNSUBSCRIBE and the matching of topics in 3.1.1. */

import { expect, test } from "vitest";
import { type ConnectOptions, World } from "./support/world.ts";

const FOUR: ConnectOptions = { version: 4 };
const KEPT: ConnectOptions = { version: 4, clean: false };

function subscribePacket(messageId: number, ...filters: readonly (readonly [string, number])[]): object {
  return { cmd: "subscribe", messageId, subscriptions: filters.map(([topic, qos]) => ({ topic, qos })) };
}

test("3.1.1 [MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-2.3.1-7] SUBACK and UNSUBACK have the identifier of their request", () => {
  const client = new World().connect("a", FOUR);
  for (const messageId of [1, 256, 65535]) {
    expect(client.send(subscribePacket(messageId, ["t", 0])).take("suback").messageId).toBe(messageId);
    const unsubscribe = { cmd: "unsubscribe", messageId, unsubscriptions: ["t"] };
    expect(client.send(unsubscribe).take("unsuback").messageId).toBe(messageId);
  }
});

test("3.1.1 [MQTT-3.8.4-4] [MQTT-3.8.4-5] [MQTT-3.9.3-1] [MQTT-3.9.3-2] many filters get one SUBACK, a code each in order: 0, 1, 2 or 0x80", () => {
  const world = new World();
  const client = world.connect("a", FOUR);
  client.send(subscribePacket(7, ["a", 2], ["b/#/c", 0], ["c", 1], ["", 1], ["d", 0], ["e+", 2]));
  expect(client.take("suback").granted).toEqual([2, 0x80, 1, 0x80, 0, 0x80]);
  const publisher = world.connect("p", FOUR);
  for (const topic of ["a", "b", "c", "d", "e"]) publisher.publish(topic, topic, { qos: 1, messageId: 1 });
  expect(client.takeAll("publish").map(({ topic, qos }) => [topic, qos])).toEqual([
    ["a", 1],
    ["c", 1],
    ["d", 0],
  ]);
});

test("3.1.1 [MQTT-3.8.3-2] filters with wildcards are supported", () => {
  const world = new World();
  const client = world.connect("a", FOUR);
  client.subscribe("+/x/#");
  world.connect("p", FOUR).publish("a/x/b/c", "1").publish("a/y", "2");
  expect(client.takePayloads()).toEqual(["1"]);
});

test("3.1.1 [MQTT-3.10.4-1] [MQTT-3.10.4-2] [MQTT-3.10.4-4] UNSUBSCRIBE ends exactly the subscription that it names", () => {
  const world = new World();
  const client = world.connect("a", FOUR);
  for (const filter of ["t/+", "t/a", "t/A"]) client.subscribe(filter, 1);
  client.send({ cmd: "unsubscribe", messageId: 3, unsubscriptions: ["t/+"] });
  expect(client.take("unsuback").messageId).toBe(3);
  const publisher = world.connect("p", FOUR);
  for (const topic of ["t/a", "t/A", "t/b"]) publisher.publish(topic, topic);
  expect(client.takePayloads()).toEqual(["t/a", "t/A"]);
});

test("3.1.1 [MQTT-3.10.4-3] what is on its way is completed after UNSUBSCRIBE", () => {
  const world = new World();
  const client = world.connect("a", KEPT);
  client.subscribe("t", 2);
  const publisher = world.connect("p", FOUR).publish("t", "x", { qos: 2, messageId: 1 });
  const { messageId } = client.take("publish");
  client.send({ cmd: "unsubscribe", messageId: 8, unsubscriptions: ["t"] }).take("unsuback");
  publisher.publish("t", "later", { qos: 2, messageId: 2 });
  expect(client.send({ cmd: "pubrec", messageId }).take("pubrel").messageId).toBe(messageId);
  client.send({ cmd: "pubcomp", messageId }).sever();
  expect(world.connect("a", KEPT).packets).toEqual([]);
});

test("3.1.1 [MQTT-3.10.4-5] [MQTT-3.10.4-6] one UNSUBACK for many filters, even if there was no such subscription", () => {
  const world = new World();
  const client = world.connect("a", FOUR);
  for (const filter of ["a", "b", "c"]) client.subscribe(filter);
  client.send({ cmd: "unsubscribe", messageId: 8, unsubscriptions: ["a", "x", "c"] });
  expect(client.takeAll("unsuback").map(({ messageId }) => messageId)).toEqual([8]);
  client.send({ cmd: "unsubscribe", messageId: 9, unsubscriptions: ["x"] });
  expect(client.take("unsuback").messageId).toBe(9);
  const publisher = world.connect("p", FOUR);
  for (const topic of ["a", "b", "c"]) publisher.publish(topic, topic);
  expect(client.takePayloads()).toEqual(["b"]);
});

test.each(["a#", "a/#/b", "#/", "##"])("3.1.1 [MQTT-4.7.1-2] the filter %s is refused", (filter) => {
  expect(new World().connect("a", FOUR).subscribe(filter).granted).toEqual([0x80]);
});

test.each(["a+", "+a", "a/b+/c", "++"])("3.1.1 [MQTT-4.7.1-3] the filter %s is refused", (filter) => {
  expect(new World().connect("a", FOUR).subscribe(filter).granted).toEqual([0x80]);
});

test("3.1.1 [MQTT-4.7.3-1] an empty filter is refused", () => {
  expect(new World().connect("a", FOUR).subscribe("").granted).toEqual([0x80]);
});

test("3.1.1 [MQTT-4.7.3-3] a topic of 65,535 bytes is a topic like any other", () => {
  const world = new World();
  const topic = "t".repeat(65_535);
  const client = world.connect("a", FOUR);
  expect(client.subscribe(topic, 1).granted).toEqual([1]);
  world.connect("p", FOUR).publish(topic, "x");
  expect(client.take("publish").topic).toBe(topic);
});
