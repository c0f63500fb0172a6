/** CONNECT, CONNACK, sessions and wills of 3.1.1, as far as they differ in form from those of 5.0. */

import { expect, test } from "vitest";
import { connectPacket } from "./support/client.ts";
import { rawConnect } from "./support/raw-connect.ts";
import { type ConnectOptions, World } from "./support/world.ts";

const CLEAN: ConnectOptions = { version: 4, clean: true };
const KEPT: ConnectOptions = { version: 4, clean: false };

function will(payload: string, retain = false): ConnectOptions {
  return { ...CLEAN, will: { topic: "will", payload: Buffer.from(payload), qos: 1, retain } };
}

function watched(): { readonly world: World; readonly wills: () => string[] } {
  const world = new World();
  const watcher = world.connect("watcher", CLEAN);
  watcher.subscribe("will", 1);
  return { world, wills: () => watcher.takePayloads() };
}

test("3.1.1 [MQTT-3.1.2-5] [MQTT-4.5.0-1] QoS 1 and 2 messages wait for a client that is away, in order", () => {
  const world = new World();
  const client = world.connect("a", KEPT);
  client.subscribe("t", 2);
  client.disconnect();
  const publisher = world.connect("p", CLEAN);
  publisher.publish("t", "0").publish("t", "1", { qos: 1, messageId: 1 });
  publisher.publish("t", "2", { qos: 2, messageId: 2 });
  expect(world.connect("a", KEPT).takePayloads()).toEqual(["1", "2"]);
});

test("3.1.1 [MQTT-3.1.2-7] retained messages outlive the session of their publisher", () => {
  const world = new World();
  world.connect("p", CLEAN).publish("t", "kept", { retain: true }).disconnect();
  world.connect("p", CLEAN).disconnect();
  const late = world.connect("l", CLEAN);
  late.subscribe("t");
  expect(late.takePayloads()).toEqual(["kept"]);
});

test("3.1.1 [MQTT-3.1.2-8] [MQTT-3.1.2-10] the will is published when the connection breaks, once", () => {
  const { world, wills } = watched();
  world.connect("a", will("gone")).sever();
  expect(wills()).toEqual(["gone"]);
  world.connect("a", CLEAN).sever();
  expect(wills()).toEqual([]);
});

test("3.1.1 [MQTT-3.1.2-10] [MQTT-3.14.4-3] DISCONNECT takes the will back", () => {
  const { world, wills } = watched();
  const client = world.connect("a", will("gone")).send({ cmd: "disconnect" });
  expect(client.stream.ended).toBe("end");
  client.sever();
  expect(wills()).toEqual([]);
});

test("3.1.1 [MQTT-3.1.2-12] without a will nothing is published when the connection breaks", () => {
  const world = new World();
  const watcher = world.connect("w", CLEAN);
  watcher.subscribe("#", 1);
  world.connect("a", CLEAN).sever();
  expect(watcher.packets).toEqual([]);
});

test("3.1.1 [MQTT-3.1.2-16] [MQTT-3.1.2-17] Will Retain decides whether the will is retained", () => {
  const { world } = watched();
  world.connect("a", will("passing")).sever();
  expect(world.retainedCount).toBe(0);
  world.connect("a", will("kept", true)).sever();
  const late = world.connect("l", CLEAN);
  late.subscribe("will");
  expect(late.take("publish")).toMatchObject({ retain: true, payload: Buffer.from("kept") });
});

test("3.1.1 [MQTT-3.1.2-24] silence of 1.5 keep-alives breaks the connection: no packet, and the will", () => {
  const { world, wills } = watched();
  const client = world.connect("a", { ...will("silent"), keepalive: 10 });
  world.pass(14_500);
  expect(client.stream.ended).toBeUndefined();
  world.pass(1_000);
  expect(client.stream.ended).toBe("end");
  expect(client.packets).toEqual([]);
  expect(wills()).toEqual(["silent"]);
});

test("3.1.1 [MQTT-3.1.3-1] the fields of the payload are taken in their order", () => {
  const world = new World();
  const watcher = world.connect("w", CLEAN);
  watcher.subscribe("#");
  const client = world.open(4).sendBytes(rawConnect(4, 0xc6, "id", "topic", "message", "user", "password"));
  expect(client.take("connack").returnCode).toBe(0);
  client.sever();
  const { topic, payload } = watcher.take("publish");
  expect([topic, String(payload)]).toEqual(["topic", "message"]);
});

test("3.1.1 [MQTT-3.1.3-2] a session belongs to its client identifier and to no other", () => {
  const world = new World();
  world.connect("a", KEPT).disconnect();
  expect(world.attempt("b", KEPT).take("connack").sessionPresent).toBe(false);
  expect(world.attempt("A", KEPT).take("connack").sessionPresent).toBe(false);
  expect(world.attempt("a", KEPT).take("connack").sessionPresent).toBe(true);
});

test("3.1.1 [MQTT-3.1.3-6] clients without an identifier do not take each other's place", () => {
  const world = new World();
  const clients = [1, 2, 3].map(() => world.connect("", CLEAN));
  for (const client of clients) client.subscribe("t");
  world.connect("p", CLEAN).publish("t", "x");
  expect(clients.map((client) => client.takePayloads())).toEqual([["x"], ["x"], ["x"]]);
});

test("3.1.1 [MQTT-3.1.4-5] nothing behind a rejected CONNECT is processed", () => {
  const world = new World();
  const watcher = world.connect("w", CLEAN);
  watcher.subscribe("#");
  world.allowAnonymous = false;
  world.open(4).sendTogether(connectPacket(4, "a", {}), { cmd: "publish", topic: "t", payload: "x", qos: 0 });
  expect(watcher.packets).toEqual([]);
});

test("3.1.1 [MQTT-3.2.0-1] what is sent right behind CONNECT is answered after CONNACK", () => {
  const client = new World().open(4);
  client.sendTogether(connectPacket(4, "a", {}), { cmd: "pingreq" });
  expect(client.packets.map(({ cmd }) => cmd)).toEqual(["connack", "pingresp"]);
});

test("3.1.1 [MQTT-3.2.2-1] [MQTT-3.2.2-2] [MQTT-3.2.2-3] [MQTT-3.1.4-3] Session Present tells whether there was a session", () => {
  const world = new World();
  const present = (options: ConnectOptions) => {
    const client = world.attempt("a", options);
    const { sessionPresent, returnCode } = client.take("connack");
    expect(returnCode).toBe(0);
    client.disconnect();
    return sessionPresent;
  };
  expect([KEPT, KEPT, CLEAN, KEPT].map(present)).toEqual([false, true, false, false]);
});

test("3.1.1 [MQTT-3.2.2-4] [MQTT-3.2.2-5] a refusal has Session Present 0, and the connection ends", () => {
  const world = new World();
  world.connect("a", KEPT).disconnect();
  world.allowAnonymous = false;
  const client = world.attempt("a", KEPT);
  expect(client.take("connack")).toMatchObject({ returnCode: 5, sessionPresent: false });
  expect(client.stream.ended).toBe("end");
});

test("3.1.1 [MQTT-3.14.4-2] what follows DISCONNECT is not processed", () => {
  const world = new World();
  const watcher = world.connect("w", CLEAN);
  watcher.subscribe("#");
  const client = world.connect("a", CLEAN);
  client.sendTogether({ cmd: "disconnect" }, { cmd: "publish", topic: "t", payload: "x", qos: 0 });
  expect(watcher.packets).toEqual([]);
  expect(client.stream.ended).toBe("end");
});

test("3.1.1 [MQTT-4.1.0-1] a session keeps subscriptions, messages and open handshakes while its client is away", () => {
  const world = new World();
  const client = world.connect("a", KEPT);
  client.subscribe("t", 2);
  const publisher = world.connect("p", CLEAN).publish("t", "1", { qos: 2, messageId: 1 });
  const { messageId } = client.take("publish");
  client.send({ cmd: "pubrec", messageId }).take("pubrel");
  client.publish("u", "mine", { qos: 2, messageId: 9 }).take("pubrec");
  client.sever();
  publisher.publish("t", "2", { qos: 1, messageId: 2 });
  world.pass(60_000);
  const back = world.connect("a", KEPT);
  expect(back.take("pubrel").messageId).toBe(messageId);
  expect(back.takePayloads()).toEqual(["2"]);
  back.publish("u", "mine", { qos: 2, messageId: 9, dup: true }).take("pubrec");
  publisher.publish("t", "3");
  expect(back.takePayloads()).toEqual(["3"]);
});

test("3.1.1 [MQTT-4.1.0-2] a session lasts as long as its connection, and a clean one no longer", () => {
  const world = new World({ sessionExpiryMaxSeconds: 10 });
  const clients = [KEPT, CLEAN].map((options, i) => world.connect(`c${i}`, options));
  for (const client of clients) client.subscribe("t", 1);
  world.pass(60_000);
  world.connect("p", CLEAN).publish("t", "x", { qos: 1, messageId: 1 });
  expect(clients.map((client) => client.takePayloads())).toEqual([["x"], ["x"]]);
  clients[1]?.disconnect();
  expect(world.attempt("c1", KEPT).take("connack").sessionPresent).toBe(false);
});
