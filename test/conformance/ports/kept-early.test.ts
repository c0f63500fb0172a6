/** Without a quorum: a kept session's client gets a message before the log has it, and not again when the log brings it. */

import { type ApplicationMessage, packetIdOf } from "@skein/kernel";
import { expect, test } from "vitest";
import type { Client } from "../support/client.ts";
import { KeptWorld } from "../support/kept-world.ts";

function messageOf(payload: string, qos: 1 | 2): ApplicationMessage {
  return { topic: "t", payload: Buffer.from(payload), qos, retain: false, properties: undefined };
}

/** A message comes early; its payload is its name, too. */
function comeEarly(world: KeptWorld, payload: string, qos: 1 | 2 = 1): void {
  world.broker.deliverEarly(messageOf(payload, qos), undefined, payload, false);
  world.settle();
}

/** The log brings it. */
function bring(world: KeptWorld, payload: string, qos: 1 | 2 = 1): void {
  world.sessions.place("a", payload, messageOf(payload, qos));
  world.settle();
}

function back(world: KeptWorld, client: Client): Client {
  client.sever();
  world.commit();
  return world.enter("a");
}

test("QoS 1: what is acknowledged before it has its place in the queue is not sent again", () => {
  const world = new KeptWorld();
  const client = world.subscriber("a", "t", 1);
  comeEarly(world, "x");
  const { messageId = 0 } = client.take("publish");
  client.send({ cmd: "puback", messageId });
  expect([...world.sessions.hadEarly]).toEqual(["x"]);
  bring(world, "x");
  expect(client.packets).toEqual([]);
});

test("QoS 1: what has its place before it is acknowledged is acknowledged there", () => {
  const world = new KeptWorld();
  const client = world.subscriber("a", "t", 1);
  comeEarly(world, "x");
  const { messageId = 0 } = client.take("publish");
  bring(world, "x");
  expect(client.packets).toEqual([]);
  client.send({ cmd: "puback", messageId });
  world.commit();
  expect(world.sessions.session("a").queued).toBe(0);
  expect(world.sessions.hadEarly.size).toBe(0);
});

test("QoS 2: the whole exchange goes on without the log, and its place is passed over", () => {
  const world = new KeptWorld();
  const client = world.subscriber("a", "t", 2);
  comeEarly(world, "x", 2);
  const { messageId = 0, qos } = client.take("publish");
  expect(qos).toBe(2);
  client.send({ cmd: "pubcomp", messageId });
  expect(world.sessions.hadEarly.size).toBe(0);
  client.send({ cmd: "pubrec", messageId });
  expect(client.take("pubrel").messageId).toBe(messageId);
  client.send({ cmd: "pubcomp", messageId });
  expect([...world.sessions.hadEarly]).toEqual(["x"]);
  bring(world, "x", 2);
  expect(client.packets).toEqual([]);
});

test("[MQTT-4.6.0-4] QoS 2: the PUBREL of what came early waits for those of older messages, and no newer one goes before it", () => {
  const world = new KeptWorld();
  const client = world.subscriber("a", "t", 2);
  const received = (): number => {
    const { messageId = 0 } = client.take("publish");
    client.send({ cmd: "pubrec", messageId });
    return messageId;
  };
  bring(world, "1", 2);
  const first = received();
  comeEarly(world, "2", 2);
  const second = received();
  bring(world, "3", 2);
  const third = received();
  expect(client.packets).toEqual([]);
  world.commit();
  expect(client.packets.map(({ cmd, messageId }) => [cmd, messageId])).toEqual([
    ["pubrel", first],
    ["pubrel", second],
    ["pubrel", third],
  ]);
});

test("QoS 2: the PUBREL of what came early is not held for ever by an older message that the client refuses after all", () => {
  const world = new KeptWorld();
  const client = world.subscriber("a", "t", 2);
  bring(world, "1", 2);
  const older = client.take("publish").messageId ?? 0;
  client.send({ cmd: "pubrec", messageId: older });
  comeEarly(world, "2", 2);
  const early = client.take("publish").messageId ?? 0;
  client.send({ cmd: "pubrec", messageId: early });
  client.send({ cmd: "pubrec", messageId: older, reasonCode: 0x80 });
  expect(client.packets).toEqual([]);
  world.commit();
  expect(client.packets.map(({ cmd, messageId }) => [cmd, messageId])).toEqual([["pubrel", early]]);
});

test("what came early is handed to one session only if that is asked for, and to nobody if that is not there", () => {
  const world = new KeptWorld();
  const [one, other] = [world.subscriber("a", "t", 1), world.subscriber("b", "t", 1)];
  for (const onlyFor of ["a", "nobody"]) {
    world.broker.deliverEarly(messageOf(onlyFor, 1), undefined, onlyFor, true, onlyFor);
    world.settle();
  }
  expect([one.takePayloads(), other.takePayloads()]).toEqual([["a"], []]);
});

test("who comes back between its PUBACK and the place in the queue is not sent the message again", () => {
  const world = new KeptWorld();
  const client = world.subscriber("a", "t", 1);
  comeEarly(world, "x");
  client.send({ cmd: "puback", messageId: client.take("publish").messageId ?? 0 });
  const again = back(world, client);
  bring(world, "x");
  bring(world, "y");
  expect(again.takePayloads()).toEqual(["y"]);
});

test("who comes back without having acknowledged gets the message from the log", () => {
  const world = new KeptWorld();
  const client = world.subscriber("a", "t", 1);
  comeEarly(world, "x");
  client.take("publish");
  const again = back(world, client);
  expect(again.packets).toEqual([]);
  bring(world, "x");
  expect(again.takePayloads()).toEqual(["x"]);
});

test("what came early goes out behind what the queue has, and what the log brings next behind it", () => {
  const world = new KeptWorld();
  const client = world.subscriber("a", "t", 1, {
    properties: { sessionExpiryInterval: 100, receiveMaximum: 1 },
  });
  bring(world, "1");
  comeEarly(world, "2");
  comeEarly(world, "3");
  const came: string[] = [];
  for (let left = 2; left > 0; left--) {
    const { messageId = 0, payload } = client.take("publish");
    came.push(String(payload));
    expect(client.packets).toEqual([]);
    client.send({ cmd: "puback", messageId });
  }
  for (const payload of ["2", "3", "4"]) bring(world, payload);
  came.push(...client.takePayloads());
  expect(came).toEqual(["1", "2", "3"]);
});

test("P6: what comes early on a new connection goes under an identifier that the queue does not come to soon", () => {
  const world = new KeptWorld();
  const client = back(world, world.subscriber("a", "t", 2));
  const next = 61_000;
  world.sessions.session("a").nextOrdinal = next;
  comeEarly(world, "x", 2);
  const { messageId = 0 } = client.take("publish");
  expect((messageId - packetIdOf(next) + 65_535) % 65_535).toBeGreaterThan(60_000);
});

test("P6: what the log brings under the identifier of a message that came early waits until that is over", () => {
  const world = new KeptWorld();
  const client = world.subscriber("a", "t", 1);
  comeEarly(world, "x");
  const { messageId = 0 } = client.take("publish");
  // The log did not have the session when the message came, and says now where its ordinals begin.
  world.sessions.session("a").nextOrdinal = messageId - 1;
  world.publish("t", "y");
  expect(client.packets).toEqual([]);
  client.send({ cmd: "puback", messageId });
  expect(client.packets.map((packet) => [packet.messageId, String(packet.payload)])).toEqual([
    [messageId, "y"],
  ]);
});

test("a message that the client cannot take counts as had when its place comes", () => {
  const world = new KeptWorld();
  const properties = { sessionExpiryInterval: 100, maximumPacketSize: 50 };
  const client = world.subscriber("a", "t", 1, { properties });
  const large = "x".repeat(100);
  comeEarly(world, large);
  expect(client.packets).toEqual([]);
  expect(world.count("tooLargeDropped")).toBe(1);
  expect([...world.sessions.hadEarly]).toEqual([large]);
  bring(world, large);
  expect(client.packets).toEqual([]);
  expect(world.count("tooLargeDropped")).toBe(1);
});
