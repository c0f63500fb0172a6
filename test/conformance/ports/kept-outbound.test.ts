/** What a session that the mesh keeps is owed, and how it gets to its client (P5 to P7). */

import { packetIdOf } from "@skein/kernel";
import { expect, test } from "vitest";
import type { Client, Received } from "../support/client.ts";
import { KEPT, KeptWorld } from "../support/kept-world.ts";

function brief({ cmd, messageId, payload, dup }: Received): string {
  return `${cmd} ${messageId}${cmd === "publish" ? ` ${payload}` : ""}${dup === true ? " dup" : ""}`;
}

function taken(client: Client): string[] {
  return client.packets.splice(0).map(brief);
}

/** The client comes back after its connection was cut. */
function back(world: KeptWorld, client: Client, clientId: string): Client {
  client.sever();
  world.commit();
  return world.enter(clientId);
}

test("QoS 1 and 2 come from the log, QoS 0 the live way", () => {
  const world = new KeptWorld();
  const [one, two] = [world.subscriber("one", "t", 1), world.subscriber("two", "t", 2)];
  const publisher = world.connect("p");
  publisher.publish("t", "logged", { qos: 2, messageId: 9 });
  publisher.publish("t", "live");
  expect([...one.takePayloads(), ...two.takePayloads()]).toEqual(["live", "live"]);
  world.commit();
  expect(one.packets.map(({ payload, qos }) => `${payload} ${qos}`)).toEqual(["logged 1"]);
  expect(two.packets.map(({ payload, qos }) => `${payload} ${qos}`)).toEqual(["logged 2"]);
});

test("a subscription of QoS 0 is served the live way alone", () => {
  const world = new KeptWorld();
  const client = world.subscriber("a", "t", 0);
  world.publish("t", "x", 1);
  expect(world.sessions.published).toEqual([]);
  expect(client.packets.map(({ payload, qos }) => `${payload} ${qos}`)).toEqual(["x 0"]);
});

test("a message owed is sent again with the same packet identifier and DUP, in order, and those after it without", () => {
  const world = new KeptWorld();
  const client = world.subscriber("a", "t", 2);
  world.publish("t", "1", 1);
  world.publish("t", "2", 2);
  expect(taken(client)).toEqual(["publish 1 1", "publish 2 2"]);
  client.sever();
  world.commit();
  expect(world.sessions.closings.at(-1)?.sentThrough).toBe(1);
  world.publish("t", "3", 1);
  const again = world.enter("a");
  expect(taken(again)).toEqual(["publish 1 1 dup", "publish 2 2 dup", "publish 3 3"]);
});

test("PUBACK is told to the mesh, and what was acknowledged is not sent again", () => {
  const world = new KeptWorld();
  const client = world.subscriber("a", "t", 1);
  world.publish("t", "1");
  world.publish("t", "2");
  client.send({ cmd: "puback", messageId: 1 });
  expect(world.sessions.session("a").queued).toBe(2);
  world.commit();
  expect(world.sessions.session("a").queued).toBe(1);
  expect(taken(back(world, client, "a"))).toEqual(["publish 2 2 dup"]);
});

test("PUBREL is not sent before the PUBREC is committed", () => {
  const world = new KeptWorld();
  const client = world.subscriber("a", "t", 2);
  world.publish("t", "x", 2);
  client.packets.length = 0;
  client.send({ cmd: "pubrec", messageId: 1 });
  client.send({ cmd: "pubrec", messageId: 1 });
  expect(client.packets).toEqual([]);
  expect(world.sessions.pending).toBe(1);
  world.commit();
  expect(taken(client)).toEqual(["pubrel 1"]);
  client.send({ cmd: "pubcomp", messageId: 1 });
  world.commit();
  expect(world.sessions.session("a").queued).toBe(0);
});

test("PUBCOMP before PUBREL acknowledges nothing", () => {
  const world = new KeptWorld();
  const client = world.subscriber("a", "t", 2);
  world.publish("t", "x", 2);
  client.send({ cmd: "pubcomp", messageId: 1 });
  world.commit();
  expect(world.sessions.session("a").queued).toBe(1);
});

test("a message that is released is not published again: PUBREL is, in its place", () => {
  const world = new KeptWorld();
  const client = world.subscriber("a", "t", 2);
  for (const payload of ["1", "2", "3"]) world.publish("t", payload, 2);
  client.send({ cmd: "pubrec", messageId: 2 });
  world.commit();
  const again = back(world, client, "a");
  expect(taken(again)).toEqual(["publish 1 1 dup", "pubrel 2", "publish 3 3 dup"]);
  again.send({ cmd: "pubcomp", messageId: 2 });
  world.commit();
  expect(world.sessions.session("a").owed(1)).toBeUndefined();
});

test("a PUBREC that is refused ends the connection, so that the client comes back with it", () => {
  const world = new KeptWorld();
  const client = world.subscriber("a", "t", 2);
  world.publish("t", "x", 2);
  client.packets.length = 0;
  client.send({ cmd: "pubrec", messageId: 1 });
  world.sessions.refuse(0x97);
  world.settle();
  expect(client.take("disconnect").reasonCode).toBe(0x97);
  world.commit();
  expect(taken(world.enter("a"))).toEqual(["publish 1 x dup"]);
});

test("a PUBREC that says failure ends the message", () => {
  const world = new KeptWorld();
  const client = world.subscriber("a", "t", 2);
  world.publish("t", "x", 2);
  client.packets.length = 0;
  client.send({ cmd: "pubrec", messageId: 1, reasonCode: 0x97 });
  world.commit();
  expect(client.packets).toEqual([]);
  expect(world.sessions.session("a").queued).toBe(0);
});

test("a PUBREC that says failure while one before it is being committed: that commit releases nothing sent since", () => {
  const world = new KeptWorld({ inflightMax: 1 });
  const client = world.subscriber("a", "t", 2);
  world.publish("t", "1", 2);
  world.publish("t", "2", 2);
  client.packets.length = 0;
  client.send({ cmd: "pubrec", messageId: 1 });
  client.send({ cmd: "pubrec", messageId: 1, reasonCode: 0x83 });
  expect(taken(client)).toEqual(["publish 2 2"]);
  world.commit();
  expect(taken(client)).toEqual([]);
});

test("a PUBREC is not answered with 'not found' while its message has still to be sent again", () => {
  const world = new KeptWorld({ inflightMax: 2 });
  const client = world.subscriber("a", "t", 2);
  world.publish("t", "1", 2);
  world.publish("t", "2", 2);
  client.sever();
  world.commit();
  const again = world.enter("a", { properties: { sessionExpiryInterval: 100, receiveMaximum: 1 } });
  expect(taken(again)).toEqual(["publish 1 1 dup"]);
  again.send({ cmd: "pubrec", messageId: 2 });
  world.commit();
  expect(again.packets).toEqual([]);
  again.send({ cmd: "pubrec", messageId: 3 });
  expect(again.take("pubrel").reasonCode).toBe(0x92);
});

test("no more is under way than the client's Receive Maximum and the broker's own allow", () => {
  for (const [inflightMax, receiveMaximum] of [
    [2, 100],
    [64, 2],
  ] as const) {
    const world = new KeptWorld({ inflightMax });
    const properties = { sessionExpiryInterval: 100, receiveMaximum };
    const client = world.subscriber("a", "t", 1, { properties });
    for (const payload of ["1", "2", "3", "4"]) world.publish("t", payload);
    expect(taken(client)).toEqual(["publish 1 1", "publish 2 2"]);
    client.send({ cmd: "puback", messageId: 2 });
    expect(taken(client)).toEqual(["publish 3 3"]);
  }
});

test("an identifier does not come again while an older message with it could be under way", () => {
  const world = new KeptWorld();
  const client = world.subscriber("a", "t", 1);
  world.publish("t", "old");
  world.sessions.session("a").nextOrdinal = 59_999;
  world.publish("t", "near");
  world.publish("t", "far");
  expect(taken(client)).toEqual(["publish 1 old", `publish ${packetIdOf(59_999)} near`]);
  client.send({ cmd: "puback", messageId: 1 });
  expect(taken(client)).toEqual([`publish ${packetIdOf(60_000)} far`]);
});

test("identifiers begin anew after 65,535 ordinals", () => {
  const world = new KeptWorld();
  const client = world.subscriber("a", "t", 1);
  world.sessions.session("a").nextOrdinal = 65_534;
  world.publish("t", "1");
  world.publish("t", "2");
  expect(taken(client)).toEqual(["publish 65535 1", "publish 1 2"]);
});

test("what is left of the Message Expiry Interval is told; what has expired is counted and acknowledged", () => {
  const world = new KeptWorld();
  world.subscriber("a", "t", 1).sever();
  world.commit();
  world.publish("t", "short", 1, { properties: { messageExpiryInterval: 10 } });
  world.publish("t", "long", 1, { properties: { messageExpiryInterval: 100 } });
  world.sessions.session("a").age = 30;
  const client = world.enter("a");
  expect(
    client.packets.map(({ payload, properties }) => [String(payload), properties?.messageExpiryInterval]),
  ).toEqual([["long", 70]]);
  expect(world.count("expiredDropped")).toBe(1);
  world.commit();
  expect(world.sessions.session("a").queued).toBe(1);
});

test("a message whose delivery has begun goes on though it has expired, and one behind it does not", () => {
  const world = new KeptWorld();
  const client = world.subscriber("a", "t", 2);
  const properties = { messageExpiryInterval: 10 };
  for (const qos of [1, 2] as const) world.publish("t", `${qos}`, qos, { properties });
  client.sever();
  world.commit();
  world.publish("t", "3", 1, { properties });
  world.sessions.session("a").age = 30;
  expect(taken(world.enter("a"))).toEqual(["publish 1 1 dup", "publish 2 2 dup"]);
});

test("a message that the client cannot take is counted and acknowledged", () => {
  const world = new KeptWorld();
  const properties = { sessionExpiryInterval: 100, maximumPacketSize: 60 };
  const client = world.subscriber("a", "t", 1, { properties });
  world.publish("t", "x".repeat(100));
  world.publish("t", "fits");
  expect(taken(client)).toEqual(["publish 2 fits"]);
  expect(world.count("tooLargeDropped")).toBe(1);
  world.commit();
  expect(world.sessions.session("a").queued).toBe(1);
});

test("a client that does not read is sent the rest when it does", () => {
  const world = new KeptWorld({ outboundBytesMax: 50 });
  const client = world.subscriber("a", "t", 1);
  client.stream.stick();
  for (const payload of ["1", "2", "3", "4"]) world.publish("t", payload.repeat(40));
  expect(world.sessions.session("a").queued).toBe(4);
  client.stream.unstick();
  world.settle();
  expect(client.takePayloads().map(([first]) => first)).toEqual(["1", "2", "3", "4"]);
  expect(world.count("queueFullDropped")).toBe(0);
});

test("identifiers and RETAIN are sent as the log has them", () => {
  const world = new KeptWorld();
  const client = world.enter("a");
  client.send({
    cmd: "subscribe",
    messageId: 1,
    subscriptions: [{ topic: "t", qos: 1, rap: true }],
    properties: { subscriptionIdentifier: 7 },
  });
  world.commit();
  world.publish("t", "x", 1, { retain: true });
  const [message] = client.takeAll("publish");
  expect(message?.retain).toBe(true);
  expect(message?.properties?.subscriptionIdentifier).toBe(7);
});

test("what waits in a session is counted where its client is", () => {
  const world = new KeptWorld({ inflightMax: 1, systemIntervalSeconds: 1 });
  world.subscriber("a", "t", 1);
  world.publish("t", "1");
  world.publish("t", "2");
  const watcher = world.connect("w");
  watcher.subscribe("$SYS/broker/messages/stored");
  watcher.subscribe("$SYS/broker/store/messages/bytes");
  expect(watcher.takePayloads()).toEqual(["2", "4"]);
});

test("the retained messages that are sent with QoS 1 or 2 come from the log, the others are replayed", () => {
  const world = new KeptWorld();
  const publisher = world.connect("p");
  publisher.publish("t/0", "zero", { retain: true });
  publisher.publish("t/1", "one", { retain: true, qos: 1, messageId: 1 });
  const client = world.attempt("a", KEPT);
  world.commit();
  client.take("connack");
  client.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "t/+", qos: 1 }] });
  world.commit();
  expect(client.takePayloads()).toEqual(["zero"]);
  const low = world.enter("b");
  low.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "t/+", qos: 0 }] });
  world.commit();
  expect(low.takePayloads().sort()).toEqual(["one", "zero"]);
});
