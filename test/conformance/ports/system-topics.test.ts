/** `$SYS`: a node's values for its own clients (users.md 3.4), and that nobody else speaks there. */

import { expect, test } from "vitest";
import type { Client, Received } from "../support/client.ts";
import { HeldWorld } from "../support/held-world.ts";
import { KeptWorld } from "../support/kept-world.ts";

const CONNECTED = "$SYS/broker/clients/connected";

function valuesOf(packets: readonly Received[]): Record<string, string> {
  return Object.fromEntries(packets.map(({ topic = "", payload }) => [topic, String(payload)]));
}

function taken(client: Client): Record<string, string> {
  return valuesOf(client.takeAll("publish"));
}

test("a new subscriber gets the values of that moment as retained messages, and none of them is in the store", () => {
  const world = new HeldWorld();
  world.connect("other").subscribe("a/#");
  world.pass(3000);
  const client = world.connect("c");
  client.subscribe("$SYS/#", 1);
  const packets = client.takeAll("publish");
  expect(packets.length).toBeGreaterThan(40);
  for (const { retain, qos } of packets) expect({ retain, qos }).toEqual({ retain: true, qos: 0 });
  expect(valuesOf(packets)).toMatchObject({
    [CONNECTED]: "2",
    "$SYS/broker/clients/maximum": "2",
    "$SYS/broker/subscriptions/count": "2",
    "$SYS/broker/uptime": "3 seconds",
    "$SYS/broker/retained messages/count": "0",
  });
  expect(world.retainedCount).toBe(0);
});

test("a node tells of itself at once, whatever the mesh does not answer, and asks it for what is beside it in one SUBSCRIBE", () => {
  const world = new HeldWorld();
  world.store.put(
    { topic: "t", payload: Buffer.from("1"), qos: 0, retain: true, properties: undefined },
    undefined,
  );
  [world.mesh.isHolding, world.store.isHolding] = [true, true];
  const client = world.connect("c");
  expect(client.subscribe(CONNECTED).granted).toEqual([0]);
  expect(client.take("publish")).toMatchObject({ topic: CONNECTED, payload: Buffer.from("1"), retain: true });
  expect(Object.fromEntries(world.mesh.wanted)).toEqual({});
  world.mesh.isHolding = false;
  const both = [CONNECTED, "t"].map((topic) => ({ topic, qos: 0 as const }));
  client.send({ cmd: "subscribe", messageId: 2, subscriptions: both });
  client.take("suback");
  expect(taken(client)).toEqual({ [CONNECTED]: "1" });
  world.letRead();
  expect(taken(client)).toEqual({ t: "1" });
});

test("what a client that does not read has been sent waits, in bytes", () => {
  const world = new HeldWorld();
  const [slow, client] = [world.connect("slow"), world.connect("c")];
  slow.subscribe("t");
  slow.stream.stick();
  client.publish("t", "x".repeat(1000));
  client.subscribe("$SYS/broker/packet/out/#");
  // The SUBACK, six bytes, has not left either.
  expect(taken(client)).toEqual({ "$SYS/broker/packet/out/bytes": String(slow.stream.bufferedBytes + 6) });
  expect(slow.stream.bufferedBytes).toBeGreaterThan(1000);
});

test("who is run from the sources does not say when it was built", () => {
  const client = new HeldWorld().connect("c");
  client.subscribe("$SYS/broker/#");
  expect(taken(client)).not.toHaveProperty("$SYS/broker/timestamp");
});

test("where the mesh keeps sessions, those count as expired whose time was over anywhere in it", () => {
  const world = new KeptWorld();
  world.sessions.expired = 3;
  world.pass(1000);
  const client = world.connect("c");
  client.subscribe("$SYS/broker/clients/expired");
  expect(taken(client)).toEqual({ "$SYS/broker/clients/expired": "3" });
});

test("values are for who asks for them by name: wildcards at the start do not match them", () => {
  const world = new HeldWorld();
  const client = world.connect("c");
  client.subscribe("#");
  client.subscribe("+/broker/#");
  client.subscribe(CONNECTED);
  expect(taken(client)).toEqual({ [CONNECTED]: "1" });
  world.connect("d");
  world.pass(20_000);
  expect(taken(client)).toEqual({ [CONNECTED]: "2" });
});

test("subscribers are told every ten seconds what has changed, without the retain flag, and other nodes nothing", () => {
  const world = new HeldWorld();
  const client = world.connect("c");
  client.subscribe("$SYS/broker/clients/#");
  taken(client);
  world.pass(9_750);
  expect(client.packets).toEqual([]);
  world.pass(250);
  taken(client);
  world.connect("d");
  world.pass(10_000);
  const packets = client.takeAll("publish");
  expect(valuesOf(packets)).toEqual({
    [CONNECTED]: "2",
    "$SYS/broker/clients/active": "2",
    "$SYS/broker/clients/total": "2",
    "$SYS/broker/clients/maximum": "2",
  });
  for (const { retain } of packets) expect(retain).toBe(false);
  world.pass(60_000);
  expect(client.packets).toEqual([]);
  expect(world.mesh.forwarded).toEqual([]);
});

test("Retain Handling and Retain As Published hold for them as for retained messages", () => {
  const world = new HeldWorld();
  const client = world.connect("c");
  client.subscribe(CONNECTED, 0, { rh: 2, rap: true });
  expect(client.packets).toEqual([]);
  world.pass(10_000);
  expect(client.take("publish")).toMatchObject({ topic: CONNECTED, retain: true });
});

test("what is counted: clients that come, go, stay away and expire; messages and bytes both ways", () => {
  const world = new HeldWorld();
  const watcher = world.connect("watcher");
  const look = (filter: string): Record<string, string> => {
    watcher.subscribe(filter);
    return taken(watcher);
  };
  const durable = world.connect("durable", { clean: false, properties: { sessionExpiryInterval: 30 } });
  durable.subscribe("a", 1);
  durable.sever();
  const publisher = world.connect("publisher");
  publisher.publish("a", "12345", { qos: 1, messageId: 1 });
  publisher.publish("kept", "123", { retain: true });
  expect(look("$SYS/broker/clients/+")).toMatchObject({
    [CONNECTED]: "2",
    "$SYS/broker/clients/disconnected": "1",
    "$SYS/broker/clients/total": "3",
    "$SYS/broker/clients/maximum": "2",
    "$SYS/broker/clients/expired": "0",
  });
  expect(look("$SYS/broker/publish/#")).toMatchObject({
    "$SYS/broker/publish/messages/received": "2",
    "$SYS/broker/publish/bytes/received": "8",
  });
  expect(look("$SYS/broker/messages/stored")).toEqual({ "$SYS/broker/messages/stored": "2" });
  // Topics and payloads: "a" and "12345", "kept" and "123".
  const bytes = "$SYS/broker/store/messages/bytes";
  expect(look(bytes)).toEqual({ [bytes]: String(1 + 5 + 4 + 3) });
  world.pass(31_000);
  taken(watcher);
  expect(look("$SYS/broker/clients/expired")).toEqual({ "$SYS/broker/clients/expired": "1" });
  // One SUBSCRIBE and one PINGREQ later: SUBACK, PINGRESP, and what the SUBACK lets in.
  const sent = look("$SYS/broker/publish/bytes/sent")["$SYS/broker/publish/bytes/sent"] ?? "";
  const packets = Number(look("$SYS/broker/messages/sent")["$SYS/broker/messages/sent"]);
  publisher.send({ cmd: "pingreq" });
  expect(look("$SYS/broker/messages/sent")["$SYS/broker/messages/sent"]).toBe(String(packets + 1 + 1 + 1));
  watcher.subscribe("kept");
  expect(taken(watcher)).toEqual({ kept: "123" });
  const values = [sent, String(packets), String(packets + 3), "123"];
  expect(look("$SYS/broker/publish/bytes/sent")).toEqual({
    "$SYS/broker/publish/bytes/sent": String(Number(sent) + values.join("").length),
  });
  const before = Number(look("$SYS/broker/bytes/received")["$SYS/broker/bytes/received"]);
  publisher.send({ cmd: "pingreq" });
  const after = look("$SYS/broker/bytes/+");
  // PINGREQ, and the SUBSCRIBE that asks: fixed header, packet identifier, no properties, filter with its length and options.
  expect(Number(after["$SYS/broker/bytes/received"]) - before).toBe(
    2 + 2 + 2 + 1 + 2 + "$SYS/broker/bytes/+".length + 1,
  );
});

test.each([
  [5, 0x87],
  [4, undefined],
  [3, undefined],
] as const)("nobody publishes there: MQTT version %i", (version, reasonCode) => {
  const world = new HeldWorld();
  const watcher = world.connect("w");
  watcher.subscribe("$SYS/#");
  taken(watcher);
  const client = world.connect("c", { version });
  client.publish(CONNECTED, "1000000", { qos: 1, messageId: 7, retain: true });
  expect(client.take("puback").reasonCode).toBe(reasonCode);
  client.publish(CONNECTED, "1000000", { qos: 2, messageId: 8, retain: true });
  expect(client.take("pubrec").reasonCode).toBe(reasonCode);
  client.publish("$SYS/x", "1");
  expect(watcher.packets).toEqual([]);
  expect(world.mesh.forwarded).toEqual([]);
  expect(world.retainedCount).toBe(0);
  client.publish("$SYSTEM/x", "1", { retain: true });
  expect(world.retainedCount).toBe(1);
});

test("a will there is not published", () => {
  const world = new HeldWorld();
  const watcher = world.connect("w");
  watcher.subscribe("$SYS/#");
  taken(watcher);
  const client = world.connect("c", {
    will: { topic: "$SYS/x", payload: Buffer.from("1"), qos: 1, retain: true },
  });
  client.sever();
  expect(watcher.packets).toEqual([]);
  expect(world.mesh.forwarded).toEqual([]);
  expect(world.retainedCount).toBe(0);
});

test("with an interval of 0 there is nothing", () => {
  const world = new HeldWorld({ systemIntervalSeconds: 0 });
  const client = world.connect("c");
  client.subscribe("$SYS/#");
  world.pass(30_000);
  expect(client.packets).toEqual([]);
});
