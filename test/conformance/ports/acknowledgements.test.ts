/** PUBACK and PUBREC while the mesh has not accepted a message yet, or refuses it (P5). */

import { SAFE_HERE_ONLY } from "@skein/kernel";
import { expect, test } from "vitest";
import type { Client, Received } from "../support/client.ts";
import { HeldWorld } from "../support/held-world.ts";

const DURABLE = { clean: false, properties: { sessionExpiryInterval: 1000 } };

/** A durable QoS 2 subscriber to everything and a publisher. */
function pair(): { world: HeldWorld; subscriber: Client; publisher: Client } {
  const world = new HeldWorld();
  const subscriber = world.connect("s", DURABLE);
  subscriber.subscribe("#", 2);
  return { world, subscriber, publisher: world.connect("p") };
}

test("[MQTT-4.3.2-4] PUBACK comes only when every part has accepted the message (P5)", () => {
  const { world, publisher } = pair();
  world.mesh.isHolding = true;
  publisher.publish("t", "x", { qos: 1, messageId: 5 });
  expect(publisher.packets).toEqual([]);
  world.answer();
  expect(publisher.take("puback").messageId).toBe(5);
});

test("on a listener that acknowledges locally PUBACK and PUBREC wait for nobody, and the message goes out all the same", () => {
  const world = new HeldWorld();
  world.acknowledges = "local";
  world.mesh.isHolding = true;
  const client = world.connect("a");
  client.publish("t", "1", { qos: 1, messageId: 1 });
  client.publish("t", "2", { qos: 2, messageId: 2 });
  expect([client.take("puback").messageId, client.take("pubrec").messageId]).toEqual([1, 2]);
  expect(world.mesh.forwarded).toHaveLength(2);
});

test("[MQTT-4.6.0-2] [MQTT-4.6.0-3] PUBACK and PUBREC come in the order of the messages, whoever settles first", () => {
  const { world, publisher } = pair();
  world.mesh.isHolding = true;
  publisher.publish("t", "1", { qos: 1, messageId: 1 });
  publisher.publish("t", "2", { qos: 2, messageId: 2 });
  publisher.publish("t", "3", { qos: 1, messageId: 3 });
  world.answer(0, [2, 1, 0]);
  expect(publisher.packets.map(({ cmd, messageId }) => `${cmd} ${messageId}`)).toEqual([
    "puback 1",
    "pubrec 2",
    "puback 3",
  ]);
});

test("a later message that is settled early is not acknowledged before an earlier one", () => {
  const { world, publisher } = pair();
  world.mesh.isHolding = true;
  publisher.publish("t", "1", { qos: 1, messageId: 1 });
  publisher.publish("t", "2", { qos: 1, messageId: 2 });
  const [first, second] = world.mesh.held.splice(0);
  second?.settle(0);
  world.settle();
  expect(publisher.packets).toEqual([]);
  first?.settle(0);
  world.settle();
  expect(publisher.takeAll("puback").map(({ messageId }) => messageId)).toEqual([1, 2]);
});

test("[MQTT-3.4.2-1] [MQTT-3.5.2-1] a refusal is told in PUBACK and PUBREC of 5.0", () => {
  const { world, publisher } = pair();
  world.mesh.isHolding = true;
  publisher.publish("t", "1", { qos: 1, messageId: 1 }).publish("t", "2", { qos: 2, messageId: 2 });
  world.answer(0x97);
  expect(publisher.take("puback")).toMatchObject({ messageId: 1, reasonCode: 0x97 });
  expect(publisher.take("pubrec")).toMatchObject({ messageId: 2, reasonCode: 0x97 });
});

test("3.1.1 [MQTT-3.3.5-2] [MQTT-4.8.0-2] a client whose publish is refused is disconnected, since it cannot be told", () => {
  const world = new HeldWorld();
  world.mesh.isHolding = true;
  const publisher = world.connect("p", { version: 4 }).publish("t", "1", { qos: 1, messageId: 1 });
  world.answer(0x97);
  expect(publisher.packets).toEqual([]);
  expect(publisher.stream.ended).toBe("end");
});

test("3.1.1 a refused publish ends the connection before it is its turn, so that nothing behind it is taken and overtakes it", () => {
  const { world, subscriber } = pair();
  world.mesh.isHolding = true;
  const publisher = world.connect("q", { version: 4 });
  for (const messageId of [1, 2]) publisher.publish("t", String(messageId), { qos: 1, messageId });
  const [first, second] = world.mesh.held.splice(0);
  second?.settle(0x97);
  world.settle();
  expect(publisher.stream.ended).toBe("end");
  first?.settle(0);
  world.settle();
  expect(publisher.packets).toEqual([]);
  expect(subscriber.takePayloads()).toEqual(["1", "2"]);
});

test("a QoS 2 message that is settled after its client came back is answered there", () => {
  const { world, subscriber } = pair();
  world.mesh.isHolding = true;
  world.connect("q", DURABLE).publish("t", "1", { qos: 2, messageId: 1 }).sever();
  const second = world.connect("q", DURABLE).publish("t", "1", { qos: 2, messageId: 1, dup: true });
  expect(second.packets).toEqual([]);
  world.answer();
  expect(second.take("pubrec").messageId).toBe(1);
  expect(subscriber.takePayloads()).toEqual(["1"]);
});

test("[MQTT-3.4.2-2] [MQTT-3.5.2-2] a refusal that must stay small has no Reason String", () => {
  const world = new HeldWorld();
  world.mesh.isHolding = true;
  const publisher = world.connect("p", { properties: { maximumPacketSize: 14 } });
  publisher.chunks.length = 0;
  publisher.publish("t", "1", { qos: 1, messageId: 1 }).publish("t", "2", { qos: 2, messageId: 2 });
  world.answer(0x97);
  for (const cmd of ["puback", "pubrec"] as const) {
    const { reasonCode, properties } = publisher.take(cmd);
    expect(reasonCode).toBe(0x97);
    expect(properties ?? {}).not.toHaveProperty("reasonString");
  }
  for (const chunk of publisher.chunks) expect(chunk.length).toBeLessThanOrEqual(28);
});

const reasonOf = (packet: Received): unknown =>
  (packet.properties as { reasonString?: string } | undefined)?.reasonString;

/** A QoS 1 and a QoS 2 message are taken without a quorum; returns what `publisher` is sent for each. */
function takenHereOnly(world: HeldWorld, publisher: Client): readonly Received[] {
  world.mesh.isHolding = true;
  publisher.publish("t", "1", { qos: 1, messageId: 1 }).publish("t", "2", { qos: 2, messageId: 2 });
  publisher.chunks.length = 0;
  world.answer(SAFE_HERE_ONLY);
  return [publisher.take("puback"), publisher.take("pubrec")];
}

test("what is safe on one node alone is acknowledged as a success, and a 5.0 client is told in a Reason String (P5)", () => {
  const world = new HeldWorld();
  const answers = takenHereOnly(world, world.connect("p"));
  expect(answers.map(({ messageId, reasonCode }) => [messageId, reasonCode])).toEqual([
    [1, 0],
    [2, 0],
  ]);
  for (const answer of answers)
    expect(reasonOf(answer)).toBe("safe on one node only: the mesh has no quorum now");
});

test("[MQTT-3.1.2-29] with Request Problem Information 0 a PUBACK or PUBREC that is a success has no Reason String either", () => {
  const world = new HeldWorld();
  const publisher = world.connect("p", { properties: { requestProblemInformation: false } });
  takenHereOnly(world, publisher);
  expect(publisher.chunks.flatMap((chunk) => [...chunk])).toEqual([0x40, 2, 0, 1, 0x50, 2, 0, 2]);
});

test("[MQTT-3.4.2-2] [MQTT-3.5.2-2] a success that must stay small has no Reason String either", () => {
  const world = new HeldWorld();
  const publisher = world.connect("p", { properties: { maximumPacketSize: 20 } });
  takenHereOnly(world, publisher);
  expect(publisher.chunks.flatMap((chunk) => [...chunk])).toEqual([0x40, 2, 0, 1, 0x50, 2, 0, 2]);
});

test.each([3, 4] as const)(
  "level %i: what is safe on one node alone is acknowledged like anything else",
  (version) => {
    const world = new HeldWorld();
    const publisher = world.connect("p", { version });
    takenHereOnly(world, publisher);
    expect(publisher.stream.ended).toBeUndefined();
    expect(publisher.chunks.flatMap((chunk) => [...chunk])).toEqual([0x40, 2, 0, 1, 0x50, 2, 0, 2]);
  },
);

test("[MQTT-4.3.3-10] the identifier of a QoS 2 message that is safe on one node alone is in use until PUBREL", () => {
  const { world, publisher, subscriber } = pair();
  takenHereOnly(world, publisher);
  world.mesh.isHolding = false;
  publisher.publish("t", "2", { qos: 2, messageId: 2, dup: true });
  expect(publisher.take("pubrec")).toMatchObject({ messageId: 2 });
  publisher.send({ cmd: "pubrel", messageId: 2 });
  expect(publisher.take("pubcomp").messageId).toBe(2);
  expect(subscriber.takePayloads()).toEqual(["1", "2"]);
});

test("[MQTT-4.3.3-9] an identifier whose PUBREC refused is free for a new message", () => {
  const { world, publisher, subscriber } = pair();
  world.mesh.isHolding = true;
  publisher.publish("t", "1", { qos: 2, messageId: 1 });
  world.answer(0x97);
  world.mesh.isHolding = false;
  publisher.publish("t", "2", { qos: 2, messageId: 1 });
  expect(publisher.takeAll("pubrec").map(({ reasonCode }) => reasonCode)).toEqual([0x97, 0]);
  expect(subscriber.takePayloads()).toEqual(["1", "2"]);
});

test("[MQTT-3.3.4-7] a 5.0 client that exceeds our Receive Maximum gets 0x93", () => {
  const world = new HeldWorld({ receiveMaximum: 3 });
  world.mesh.isHolding = true;
  const client = world.connect("p");
  for (let i = 1; i <= 3; i++) client.publish("t", "x", { qos: 1, messageId: i });
  expect(client.packets).toEqual([]);
  client.publish("t", "x", { qos: 1, messageId: 4 });
  expect(client.take("disconnect").reasonCode).toBe(0x93);
  expect(() => world.answer()).not.toThrow();
});

test.each([4, 5] as const)(
  "level %i: a publisher ahead of the mesh is paused, not disconnected, and resumed",
  (version) => {
    const world = new HeldWorld({ unsettledPublishesMax: 3 });
    world.mesh.isHolding = true;
    const client = world.connect("p", { version, keepalive: 10 });
    for (let i = 1; i <= 4; i++) client.publish("t", "x", { qos: 1, messageId: i });
    expect(client.stream.isPaused).toBe(true);
    // What it cannot say while nobody listens is not held against it.
    world.pass(60_000);
    expect(client.stream.ended).toBeUndefined();
    world.answer();
    expect(client.stream.isPaused).toBe(false);
    expect(client.takeAll("puback")).toHaveLength(4);
  },
);

test("[MQTT-4.6.0-2] a refusal waits for the acknowledgements before it", () => {
  const world = new HeldWorld();
  const client = world.connect("a");
  world.mesh.isHolding = true;
  client.publish("t", "x", { qos: 1, messageId: 1 });
  client.send({
    cmd: "publish",
    topic: "t",
    payload: Buffer.from([0xff]),
    qos: 1,
    messageId: 2,
    properties: { payloadFormatIndicator: true },
  });
  expect(client.packets).toEqual([]);
  world.answer();
  expect(client.takeAll("puback").map(({ messageId, reasonCode }) => [messageId, reasonCode])).toEqual([
    [1, 0],
    [2, 0x99],
  ]);
});
