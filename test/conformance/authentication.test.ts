/** Enhanced authentication (MQTT 5 section 4.12), with SCRAM-SHA-256. */

import { scramAuthenticator } from "@skein/broker";
import { expect, test } from "vitest";
import type { Client } from "./support/client.ts";
import { makeNodes } from "./support/make-nodes.ts";
import { credentials, ScramClient, scramPorts } from "./support/scram.ts";
import { World } from "./support/world.ts";

const SALT = Buffer.from("0123456789abcdef");
const USERS = new Map([
  ["ann", credentials("pencil", SALT)],
  ["bob", credentials("brush", SALT)],
]);
const METHOD = "SCRAM-SHA-256";
const CONTINUE = 0x18;
const AGAIN = 0x19;

const AUTHENTICATOR = scramAuthenticator(scramPorts(USERS));

/** Brokers that let nobody in without authentication. */
function guardedWorld(world = new World({}, makeNodes({}, AUTHENTICATOR))): World {
  world.allowAnonymous = false;
  return world;
}

function auth(reasonCode: number, data: Uint8Array | undefined, method = METHOD): object {
  const authenticationData = data === undefined ? {} : { authenticationData: Buffer.from(data) };
  return { cmd: "auth", reasonCode, properties: { authenticationMethod: method, ...authenticationData } };
}

/** CONNECT with the first message; the answer is not taken. */
function begin(world: World, scram: ScramClient, options = {}): Client {
  const properties = { authenticationMethod: METHOD, authenticationData: scram.first };
  return world.attempt("a", { properties, ...options });
}

function dataOf(packet: { properties?: object }): Uint8Array {
  return (packet.properties as { authenticationData: Uint8Array }).authenticationData;
}

/** Goes on from the AUTH that has come. */
function finish(client: Client, scram: ScramClient): Client {
  const first = client.take("auth");
  expect(first).toMatchObject({ reasonCode: CONTINUE, properties: { authenticationMethod: METHOD } });
  return client.send(auth(CONTINUE, scram.final(dataOf(first))));
}

function connected(world: World): Client {
  const scram = new ScramClient("ann", "pencil");
  const client = finish(begin(world, scram), scram);
  expect(client.take("connack").reasonCode).toBe(0);
  return client;
}

test("[MQTT-3.15.2-1] [MQTT-3.15.2-2] [MQTT-4.12.0-2] [MQTT-4.12.0-3] [MQTT-4.12.0-5] AUTH in turn, then CONNACK with method and the server's proof", () => {
  const world = guardedWorld();
  const scram = new ScramClient("ann", "pencil");
  const client = finish(begin(world, scram), scram);
  const connack = client.take("connack");
  expect(connack).toMatchObject({ reasonCode: 0, properties: { authenticationMethod: METHOD } });
  expect(String(dataOf(connack))).toBe(scram.serverFinal);
  client.subscribe("t");
  client.publish("t", "in").take("publish");
});

test("[MQTT-4.12.0-4] wrong password: CONNACK 0x86; a malformed message: 0x87; both end the connection", () => {
  const world = guardedWorld();
  const wrong = new ScramClient("ann", "pen");
  const client = finish(begin(world, wrong), wrong);
  expect(client.take("connack").reasonCode).toBe(0x86);
  expect(client.stream.ended).toBe("end");
  const properties = { authenticationMethod: METHOD, authenticationData: Buffer.from("what?") };
  const malformed = world.attempt("b", { properties });
  expect(malformed.take("connack").reasonCode).toBe(0x87);
  expect(malformed.stream.ended).toBe("end");
  expect(world.sessionCount).toBe(0);
});

test("[MQTT-4.12.0-1] a method that is not known: CONNACK 0x8C", () => {
  const world = guardedWorld();
  const client = world.attempt("a", { properties: { authenticationMethod: "PLAIN" } });
  expect(client.take("connack").reasonCode).toBe(0x8c);
});

test("[MQTT-3.1.4-2] on a listener without anonymous access a client without a method is refused with 0x87", () => {
  expect(guardedWorld().attempt("a").take("connack").reasonCode).toBe(0x87);
});

test("[MQTT5-3.1.2.11.10] authentication data without a method is a Protocol Error", () => {
  const client = guardedWorld().open(5);
  client.sendBytes([0x10, 18, 0, 4, ...Buffer.from("MQTT"), 5, 2, 0, 0, 4, 0x16, 0, 1, 120, 0, 1, 97]);
  expect(client.take("connack").reasonCode).toBe(0x82);
});

test("[MQTT-3.1.2-30] before CONNACK nothing but AUTH and DISCONNECT may come", () => {
  const world = guardedWorld();
  const scram = new ScramClient("ann", "pencil");
  const impatient = begin(world, scram);
  impatient.take("auth");
  impatient.publish("t", "x");
  expect(impatient.take("connack").reasonCode).toBe(0x82);
  expect(impatient.stream.ended).toBe("end");
  const leaving = begin(world, scram);
  leaving.take("auth");
  leaving.send({ cmd: "disconnect", reasonCode: 0 });
  expect(leaving.packets).toEqual([]);
  expect(leaving.stream.ended).toBe("end");
});

test.each([
  ["[MQTT-3.15.1-1] AUTH", [0xf1, 0]],
  ["[MQTT-3.14.1-1] DISCONNECT", [0xe1, 0]],
])("%s with flags before CONNACK is malformed: CONNACK 0x81", (_, bytes) => {
  const client = begin(guardedWorld(), new ScramClient("ann", "pencil"));
  client.take("auth");
  client.sendBytes(bytes);
  expect(client.take("connack").reasonCode).toBe(0x81);
  expect(client.stream.ended).toBe("end");
});

test("[MQTT-4.12.0-5] another method in AUTH: CONNACK 0x8C; another reason code: 0x82", () => {
  const world = guardedWorld();
  const scram = new ScramClient("ann", "pencil");
  const other = begin(world, scram);
  other.send(auth(CONTINUE, scram.final(dataOf(other.take("auth"))), "PLAIN"));
  expect(other.take("connack").reasonCode).toBe(0x8c);
  const again = begin(world, scram);
  again.send(auth(AGAIN, scram.final(dataOf(again.take("auth")))));
  expect(again.take("connack").reasonCode).toBe(0x82);
});

test("[MQTT-4.12.1-1] a client authenticates again while everything else goes on; success is AUTH 0x00", () => {
  const world = guardedWorld();
  const client = connected(world);
  client.subscribe("t");
  const scram = new ScramClient("ann", "pencil", "another");
  client.send(auth(AGAIN, scram.first));
  const first = client.take("auth");
  client.publish("t", "meanwhile").take("publish");
  client.send(auth(CONTINUE, scram.final(dataOf(first))));
  const success = client.take("auth");
  expect(success.reasonCode ?? 0).toBe(0);
  expect(String(dataOf(success))).toBe(scram.serverFinal);
  expect(client.stream.ended).toBeUndefined();
});

test.each([
  ["wrong password", new ScramClient("ann", "pen")],
  ["another user", new ScramClient("bob", "brush")],
])("[MQTT-4.12.1-2] authenticating again with %s: DISCONNECT 0x87", (_what, scram) => {
  const client = connected(guardedWorld());
  client.send(auth(AGAIN, scram.first));
  client.send(auth(CONTINUE, scram.final(dataOf(client.take("auth")))));
  expect(client.take("disconnect").reasonCode).toBe(0x87);
  expect(client.stream.ended).toBe("end");
});

test("[MQTT-4.12.1-1] authenticating again by another method, or AUTH out of turn: DISCONNECT 0x82", () => {
  const world = guardedWorld();
  const other = connected(world);
  other.send(auth(AGAIN, undefined, "PLAIN"));
  expect(other.take("disconnect").reasonCode).toBe(0x82);
  const early = connected(world);
  early.send(auth(CONTINUE, undefined));
  expect(early.take("disconnect").reasonCode).toBe(0x82);
});

test("an authentication that does not go on is reset after the connect timeout", () => {
  const world = guardedWorld();
  const client = begin(world, new ScramClient("ann", "pencil"));
  world.pass(10_500);
  expect(client.stream.ended).toBe("reset");
});

test("authentications under way are bounded: one more is reset without a CONNACK (P11), and there is room when one has ended", () => {
  const world = guardedWorld(World.onOneNode("limit", { authenticatingMax: 2 }, AUTHENTICATOR));
  const scram = new ScramClient("ann", "pencil");
  const [first, second] = [begin(world, scram), begin(world, scram)];
  const third = begin(world, scram);
  expect(third.stream.ended).toBe("reset");
  expect(third.packets).toEqual([]);
  first.sever();
  const fourth = new ScramClient("ann", "pencil");
  expect(finish(begin(world, fourth), fourth).take("connack").reasonCode).toBe(0);
  expect(second.stream.ended).toBeUndefined();
});
