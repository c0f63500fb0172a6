/** CONNECT and CONNACK of 5.0, field by field. */

import { expect, test } from "vitest";
import { NOT_UTF8, rawConnect } from "./support/raw-connect.ts";
import { type ConnectOptions, World } from "./support/world.ts";

const NO_PROPERTIES = [0];
/** Table 3-1 of the specification. */
const CONNECT_REASON_CODES = [
  0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99, 0x9a,
  0x9b, 0x9c, 0x9d, 0x9f,
];

const MALFORMED: readonly [string, readonly number[]][] = [
  ["[MQTT-3.1.2-9] a will flag without a will", rawConnect(5, 0x06, "a")],
  ["[MQTT-3.1.2-9] a will without its payload", rawConnect(5, 0x06, "a", NO_PROPERTIES, "w")],
  ["[MQTT-3.1.2-12] Will QoS 3", rawConnect(5, 0x1e, "a", NO_PROPERTIES, "w", "x")],
  ["[MQTT-3.1.2-16] a user name without its flag", rawConnect(5, 0x02, "a", "u")],
  ["[MQTT-3.1.2-17] a user name flag without a user name", rawConnect(5, 0x82, "a")],
  ["[MQTT-3.1.2-18] a password without its flag", rawConnect(5, 0x82, "a", "u", "p")],
  ["[MQTT-3.1.2-19] a password flag without a password", rawConnect(5, 0x42, "a")],
  ["[MQTT-3.1.3-3] no client identifier at all", rawConnect(5, 0x02)],
  ["[MQTT-3.1.3-4] a client identifier that is not UTF-8", rawConnect(5, 0x02, NOT_UTF8)],
  ["[MQTT-3.1.3-11] a Will Topic that is not UTF-8", rawConnect(5, 0x06, "a", NO_PROPERTIES, NOT_UTF8, "x")],
  ["[MQTT-3.1.3-12] a user name that is not UTF-8", rawConnect(5, 0x82, "a", NOT_UTF8)],
  ["[MQTT-3.1.4-1] bytes behind the last field", rawConnect(5, 0x02, "a", [0])],
];

test.each(MALFORMED)("a CONNECT with %s gets CONNACK 0x81, and the connection ends", (_name, bytes) => {
  const world = new World();
  const client = world.open(5).sendBytes(bytes);
  expect(client.take("connack")).toMatchObject({ reasonCode: 0x81, sessionPresent: false });
  expect(client.packets).toEqual([]);
  expect(client.stream.ended).toBe("end");
  expect(world.clientCount).toBe(0);
});

test("[MQTT-3.1.2-19] a password alone is there, and is let in", () => {
  const client = new World().open(5).sendBytes(rawConnect(5, 0x42, "a", "p"));
  expect(client.take("connack").reasonCode).toBe(0);
});

test("[MQTT-3.1.3-1] the fields of the payload are taken in their order", () => {
  const world = new World();
  const watcher = world.connect("w");
  watcher.subscribe("#");
  const client = world.open(5);
  client.sendBytes(rawConnect(5, 0xc6, "id", NO_PROPERTIES, "topic", "message", "user", "password"));
  expect(client.take("connack").reasonCode).toBe(0);
  client.sever();
  const { topic, payload } = watcher.take("publish");
  expect([topic, String(payload)]).toEqual(["topic", "message"]);
});

test("[MQTT-3.1.3-2] a session belongs to its client identifier and to no other", () => {
  const world = new World();
  const kept: ConnectOptions = { clean: false, properties: { sessionExpiryInterval: 100 } };
  const present = (id: string) => world.attempt(id, kept).take("connack").sessionPresent;
  world.connect("a", kept).disconnect();
  expect([present("b"), present("A"), present("a")]).toEqual([false, false, true]);
});

test("[MQTT-3.1.2-6] Clean Start 0 without a session makes one, which is there the next time", () => {
  const world = new World();
  const kept: ConnectOptions = { clean: false, properties: { sessionExpiryInterval: 100 } };
  const first = world.attempt("a", kept);
  expect(first.take("connack")).toMatchObject({ reasonCode: 0, sessionPresent: false });
  expect(world.sessionCount).toBe(1);
  first.disconnect();
  expect(world.attempt("a", kept).take("connack").sessionPresent).toBe(true);
});

test("[MQTT-3.1.2-7] the will is stored with the session, and outlives the connection for its delay", () => {
  const world = new World();
  const watcher = world.connect("w");
  watcher.subscribe("will");
  const will = { topic: "will", payload: Buffer.from("late"), qos: 0 as const, retain: false };
  const properties = { willDelayInterval: 30 };
  world.connect("a", { properties: { sessionExpiryInterval: 60 }, will: { ...will, properties } }).sever();
  expect(watcher.packets).toEqual([]);
  world.pass(31_000);
  expect(watcher.takePayloads()).toEqual(["late"]);
});

test("[MQTT-3.1.3-10] User Properties of a will arrive in their order, repeated names included", () => {
  const world = new World();
  const watcher = world.connect("w");
  watcher.subscribe("will");
  const pair = (name: string, value: string) => [
    0x26,
    0,
    1,
    ...Buffer.from(name),
    0,
    1,
    ...Buffer.from(value),
  ];
  const pairs = [...pair("b", "1"), ...pair("a", "2"), ...pair("b", "3")];
  const client = world.open(5).sendBytes(rawConnect(5, 0x06, "a", [pairs.length, ...pairs], "will", "x"));
  client.take("connack");
  watcher.chunks.length = 0;
  client.sever();
  expect(watcher.chunks.map((chunk) => [...chunk])).toEqual([
    [0x30, 8 + pairs.length, 0, 4, ...Buffer.from("will"), pairs.length, ...pairs, 120],
  ]);
});

test("[MQTT-3.2.2-1] the flags of CONNACK are 0 or 1, whatever it says", () => {
  const world = new World();
  const kept: ConnectOptions = { clean: false, properties: { sessionExpiryInterval: 100 } };
  const flags = (options: ConnectOptions) => {
    const client = world.attempt("a", options);
    client.sever();
    return client.chunks[0]?.[2];
  };
  const refused = {
    ...kept,
    will: { topic: "#", payload: Buffer.from("x"), qos: 0 as const, retain: false },
  };
  expect([kept, kept, refused].map(flags)).toEqual([0, 1, 0]);
});

test("[MQTT-3.2.2-8] [MQTT-3.2.2-7] every refusal has a Connect Reason Code, and ends the connection", () => {
  const world = new World({ connectBytesMax: 60 });
  const will = { topic: "a/#", payload: Buffer.from("x"), qos: 0 as const, retain: false };
  const refused = [
    world.attempt("a", { will }),
    world.attempt("a", { properties: { authenticationMethod: "unheard of" } }),
    world.attempt("a", { properties: { receiveMaximum: 0 } }),
    world.open(5).sendBytes(rawConnect(5, 0x03, "a")),
  ];
  world.allowAnonymous = false;
  refused.push(world.attempt("a"));
  for (const client of refused) {
    const { reasonCode = 0 } = client.take("connack");
    expect(reasonCode).toBeGreaterThanOrEqual(0x80);
    expect(CONNECT_REASON_CODES).toContain(reasonCode);
    expect(client.stream.ended).toBe("end");
  }
});

test("[MQTT-3.2.2-18] a client that was told no Topic Alias Maximum must send none", () => {
  const client = new World({ topicAliasMaximum: 0 }).attempt("a");
  expect(client.take("connack").properties?.topicAliasMaximum ?? 0).toBe(0);
  client.publish("t", "x", { properties: { topicAlias: 1 } });
  expect(client.take("disconnect").reasonCode).toBe(0x94);
});

test("[MQTT-3.1.2-28] without a request for it CONNACK has no Response Information", () => {
  const world = new World();
  for (const properties of [{}, { requestResponseInformation: false }]) {
    const connack = world.attempt("a", { properties }).take("connack");
    expect(connack.properties).not.toHaveProperty("responseInformation");
  }
});

test("[MQTT-4.12.0-6] without an Authentication Method nothing of the server speaks of one", () => {
  const client = new World().attempt("a");
  expect(client.packets.map(({ cmd }) => cmd)).toEqual(["connack"]);
  expect(client.take("connack").properties).not.toHaveProperty("authenticationMethod");
});
