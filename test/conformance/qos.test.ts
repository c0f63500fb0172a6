/** The QoS flows of sections 4.3 to 4.6, in both directions. */

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

test("[MQTT-3.3.4-1] [MQTT-4.3.2-4] [MQTT-4.3.3-8] QoS 1 is answered with PUBACK, QoS 2 with PUBREC, QoS 0 not at all", () => {
  const { publisher } = pair();
  publisher.publish("t", "x").publish("t", "x", { qos: 1, messageId: 5 });
  expect(publisher.take("puback").messageId).toBe(5);
  publisher.publish("t", "x", { qos: 2, messageId: 6 });
  expect(publisher.take("pubrec").messageId).toBe(6);
  expect(publisher.packets).toEqual([]);
});

test("[MQTT-4.3.2-5] after its PUBACK the same packet identifier is a new message", () => {
  const { subscriber, publisher } = pair();
  publisher.publish("t", "1", { qos: 1, messageId: 1 }).publish("t", "2", { qos: 1, messageId: 1 });
  expect(subscriber.takePayloads()).toEqual(["1", "2"]);
});

test("[MQTT-4.3.3-10] before PUBREL the same identifier is acknowledged but not delivered again", () => {
  const { subscriber, publisher } = pair();
  publisher.publish("t", "1", { qos: 2, messageId: 1 });
  publisher.publish("t", "1", { qos: 2, messageId: 1, dup: true });
  expect(publisher.takeAll("pubrec")).toHaveLength(2);
  expect(subscriber.takePayloads()).toEqual(["1"]);
});

test("[MQTT-4.3.3-10] also when the client comes back on another connection in between", () => {
  const { world, subscriber } = pair();
  const first = world.connect("q", DURABLE).publish("t", "1", { qos: 2, messageId: 1 });
  first.take("pubrec");
  first.sever();
  const second = world.connect("q", DURABLE).publish("t", "1", { qos: 2, messageId: 1, dup: true });
  expect(second.take("pubrec").messageId).toBe(1);
  second.send({ cmd: "pubrel", messageId: 1 }).take("pubcomp");
  expect(subscriber.takePayloads()).toEqual(["1"]);
});

test("[MQTT-4.3.3-11] [MQTT-4.3.3-12] PUBREL is answered with PUBCOMP and frees the identifier", () => {
  const { subscriber, publisher } = pair();
  publisher.publish("t", "1", { qos: 2, messageId: 1 });
  publisher.send({ cmd: "pubrel", messageId: 1 });
  publisher.publish("t", "2", { qos: 2, messageId: 1 });
  expect(publisher.take("pubrec").messageId).toBe(1);
  expect(publisher.take("pubcomp")).toMatchObject({ messageId: 1, reasonCode: 0 });
  expect(subscriber.takePayloads()).toEqual(["1", "2"]);
});

test("[MQTT-3.7.2-1] PUBREL for an unknown identifier is answered 0x92, in 3.1.1 with a plain PUBCOMP", () => {
  const world = new World();
  const five = world.connect("a").send({ cmd: "pubrel", messageId: 77 });
  expect(five.take("pubcomp")).toMatchObject({ messageId: 77, reasonCode: 0x92 });
  const four = world.connect("b", { version: 4 }).send({ cmd: "pubrel", messageId: 77 });
  expect(four.take("pubcomp").messageId).toBe(77);
});

test("[MQTT-2.2.1-4] identifiers of messages under way differ and are not 0", () => {
  const { subscriber, publisher } = pair();
  for (let i = 0; i < 30; i++) publisher.publish("t", `${i}`, { qos: 1, messageId: 1 });
  const ids = subscriber.takeAll("publish").map(({ messageId }) => messageId);
  expect(new Set(ids).size).toBe(30);
  expect(ids).not.toContain(0);
});

test("[MQTT-4.3.1-1] [MQTT-4.3.2-2] [MQTT-4.3.3-2] [MQTT-3.3.1-3] first deliveries have DUP 0, whatever came", () => {
  const { subscriber, publisher } = pair();
  publisher.publish("t", "0").publish("t", "1", { qos: 1, messageId: 1, dup: true });
  publisher.publish("t", "2", { qos: 2, messageId: 2, dup: true });
  expect(subscriber.takeAll("publish").map(({ dup }) => dup)).toEqual([false, false, false]);
});

test("[MQTT-4.3.3-4] PUBREC is answered with PUBREL, PUBCOMP ends the flow", () => {
  const { world, subscriber, publisher } = pair();
  publisher.publish("t", "x", { qos: 2, messageId: 1 });
  const { messageId } = subscriber.take("publish");
  subscriber.send({ cmd: "pubrec", messageId, reasonCode: 0 });
  expect(subscriber.take("pubrel").messageId).toBe(messageId);
  subscriber.send({ cmd: "pubcomp", messageId, reasonCode: 0 });
  subscriber.sever();
  expect(world.connect("s", DURABLE).packets).toEqual([]);
});

test("[MQTT-3.6.2-1] PUBREC for an unknown identifier is answered with PUBREL 0x92", () => {
  const client = new World().connect("a").send({ cmd: "pubrec", messageId: 77, reasonCode: 0 });
  expect(client.take("pubrel")).toMatchObject({ messageId: 77, reasonCode: 0x92 });
});

test("[MQTT-4.4.0-1] [MQTT-3.3.1-1] unacknowledged PUBLISH are sent again with DUP, order and identifier", () => {
  for (const version of [4, 5] as const) {
    const options = { ...DURABLE, version };
    const { world, subscriber, publisher } = pair(options);
    publisher.publish("t", "1", { qos: 1, messageId: 1 }).publish("t", "2", { qos: 2, messageId: 2 });
    publisher.publish("t", "3", { qos: 1, messageId: 3 });
    const sent = subscriber.takeAll("publish");
    subscriber.sever();
    const again = world.connect("s", options).takeAll("publish");
    expect(again.map(({ dup }) => dup)).toEqual([true, true, true]);
    expect(again.map(({ messageId }) => messageId)).toEqual(sent.map(({ messageId }) => messageId));
    expect(again.map(({ payload }) => String(payload))).toEqual(["1", "2", "3"]);
  }
});

test("[MQTT-4.3.2-3] what was acknowledged is not sent again", () => {
  const { world, subscriber, publisher } = pair();
  publisher.publish("t", "1", { qos: 1, messageId: 1 }).publish("t", "2", { qos: 1, messageId: 2 });
  const [first] = subscriber.takeAll("publish");
  subscriber.send({ cmd: "puback", messageId: first?.messageId, reasonCode: 0 });
  subscriber.sever();
  expect(world.connect("s", DURABLE).takePayloads()).toEqual(["2"]);
});

test("[MQTT-4.3.3-6] after PUBREL the PUBLISH is never sent again, the PUBREL is", () => {
  const { world, subscriber, publisher } = pair();
  publisher.publish("t", "x", { qos: 2, messageId: 1 });
  const { messageId } = subscriber.take("publish");
  subscriber.send({ cmd: "pubrec", messageId, reasonCode: 0 }).take("pubrel");
  subscriber.sever();
  const back = world.connect("s", DURABLE);
  expect(back.take("pubrel").messageId).toBe(messageId);
  back.send({ cmd: "pubcomp", messageId, reasonCode: 0 });
  expect(back.packets).toEqual([]);
});

test("[MQTT-4.4.0-2] a refused PUBLISH counts as acknowledged", () => {
  const { world, subscriber, publisher } = pair();
  publisher.publish("t", "1", { qos: 1, messageId: 1 }).publish("t", "2", { qos: 2, messageId: 2 });
  const [one, two] = subscriber.takeAll("publish");
  subscriber.send({ cmd: "puback", messageId: one?.messageId, reasonCode: 0x80 });
  subscriber.send({ cmd: "pubrec", messageId: two?.messageId, reasonCode: 0x80 });
  expect(subscriber.packets).toEqual([]);
  subscriber.sever();
  expect(world.connect("s", DURABLE).packets).toEqual([]);
});

test("[MQTT-4.5.0-1] QoS 1 and 2 messages wait for a durable session, QoS 0 do not", () => {
  const { world, subscriber, publisher } = pair();
  subscriber.sever();
  publisher.publish("t", "0").publish("t", "1", { qos: 1, messageId: 1 });
  publisher.publish("t", "2", { qos: 2, messageId: 2 });
  const back = world.connect("s", DURABLE);
  expect(back.takeAll("publish").map(({ dup, payload }) => [dup, String(payload)])).toEqual([
    [false, "1"],
    [false, "2"],
  ]);
});

test("[MQTT-3.3.2-5] [MQTT-3.3.2-6] a waiting message expires, or its expiry is shortened by the wait", () => {
  const { world, subscriber, publisher } = pair();
  subscriber.sever();
  publisher.publish("t", "short", { qos: 1, messageId: 1, properties: { messageExpiryInterval: 10 } });
  publisher.publish("t", "long", { qos: 1, messageId: 2, properties: { messageExpiryInterval: 100 } });
  world.pass(30_000);
  const back = world.connect("s", DURABLE);
  const { payload, properties } = back.take("publish");
  expect(String(payload)).toBe("long");
  expect(properties?.messageExpiryInterval).toBe(70);
  expect(back.packets).toEqual([]);
  expect(world.count("expiredDropped")).toBe(1);
});

test("[MQTT-3.3.4-9] [MQTT-4.9.0-2] no more than the client's Receive Maximum is under way", () => {
  const { subscriber, publisher } = pair({ properties: { receiveMaximum: 3 } });
  for (let i = 1; i <= 8; i++) publisher.publish("t", `${i}`, { qos: i % 2 === 0 ? 2 : 1, messageId: i });
  publisher.publish("t", "zero");
  const first = subscriber.takeAll("publish");
  expect(first.map(({ payload }) => String(payload))).toEqual(["1", "2", "3", "zero"]);
  // [MQTT-4.9.0-3]: other packets are answered all the same.
  subscriber.send({ cmd: "pingreq" }).take("pingresp");
  subscriber.send({ cmd: "puback", messageId: first[0]?.messageId, reasonCode: 0 });
  expect(subscriber.takePayloads()).toEqual(["4"]);
  subscriber.send({ cmd: "pubrec", messageId: first[1]?.messageId, reasonCode: 0 });
  expect(subscriber.takePayloads()).toEqual([]);
  subscriber.send({ cmd: "pubcomp", messageId: first[1]?.messageId, reasonCode: 0 });
  expect(subscriber.takePayloads()).toEqual(["5"]);
});

test("redelivery after a reconnect respects a smaller Receive Maximum too", () => {
  const { world, subscriber, publisher } = pair();
  for (let i = 1; i <= 5; i++) publisher.publish("t", `${i}`, { qos: 1, messageId: i });
  subscriber.sever();
  const properties = { sessionExpiryInterval: 1000, receiveMaximum: 2 };
  const back = world.connect("s", { clean: false, properties });
  const seen: string[] = [];
  for (let round = 0; round < 5; round++) {
    const came = back.takeAll("publish");
    expect(came.length).toBeLessThanOrEqual(2);
    for (const { messageId, payload } of came) {
      seen.push(String(payload));
      back.send({ cmd: "puback", messageId, reasonCode: 0 });
    }
  }
  expect(seen).toEqual(["1", "2", "3", "4", "5"]);
});

test("[MQTT-3.3.4-7] QoS 2 messages count against our Receive Maximum until PUBCOMP; a client that exceeds it gets 0x93", () => {
  const world = new World({ receiveMaximum: 2 });
  const client = world.connect("p");
  client.publish("t", "x", { qos: 2, messageId: 1 }).publish("t", "x", { qos: 2, messageId: 2 });
  client.send({ cmd: "pubrel", messageId: 1, reasonCode: 0 }).publish("t", "x", { qos: 2, messageId: 3 });
  expect(client.stream.ended).toBeUndefined();
  client.publish("t", "x", { qos: 2, messageId: 4 });
  expect(client.packets.at(-1)).toMatchObject({ cmd: "disconnect", reasonCode: 0x93 });
  expect(client.stream.ended).toBe("end");
});
