/** MQTT 3.1 (`MQIsdp`, level 3), where it differs from 3.1.1. It has no numbered statements. */

import { expect, test } from "vitest";
import { type ConnectOptions, World } from "./support/world.ts";

const THREE: ConnectOptions = { version: 3 };

/** CONNECT of `MQIsdp` with this level and these flags. */
function raw(level: number, flags: number, clientId = "a"): number[] {
  const body = [
    0,
    6,
    ...Buffer.from("MQIsdp"),
    level,
    flags,
    0,
    0,
    0,
    clientId.length,
    ...Buffer.from(clientId),
  ];
  return [0x10, body.length, ...body];
}

test("MQTT 3.1: a client is let in, publishes, subscribes, pings and leaves", () => {
  const world = new World();
  const client = world.connect("a", THREE);
  expect(client.subscribe("t", 2).granted).toEqual([2]);
  world.connect("p", THREE).publish("t", "x", { qos: 2, messageId: 1 });
  expect(client.take("publish")).toMatchObject({ qos: 2, dup: false });
  client.send({ cmd: "pingreq" }).take("pingresp");
  client.send({ cmd: "disconnect" });
  expect(client.stream.ended).toBe("end");
});

test("MQTT 3.1: the second byte of CONNACK is the return code, the first one tells of the session and disturbs nobody", () => {
  const world = new World();
  world.connect("a", { ...THREE, clean: false }).disconnect();
  const client = world.attempt("a", { ...THREE, clean: false });
  expect(client.take("connack").returnCode).toBe(0);
});

test("MQTT 3.1: a session without Clean Session is kept", () => {
  const world = new World();
  const kept = { ...THREE, clean: false };
  const client = world.connect("a", kept);
  client.subscribe("t", 1);
  client.disconnect();
  world.connect("p", THREE).publish("t", "x", { qos: 1, messageId: 1 });
  expect(world.connect("a", kept).takePayloads()).toEqual(["x"]);
});

test("MQTT 3.1: the reserved connect flag means nothing yet", () => {
  const client = new World().open(3).sendBytes(raw(3, 0x03));
  expect(client.take("connack").returnCode).toBe(0);
});

test("MQTT 3.1: a client without an identifier is rejected with return code 2, clean or not", () => {
  for (const flags of [0x00, 0x02]) {
    const client = new World().open(3).sendBytes(raw(3, flags, ""));
    expect(client.take("connack").returnCode).toBe(2);
    expect(client.stream.ended).toBe("end");
  }
});

test("MQTT 3.1: identifiers of more than 23 characters are let in, as its successors demand", () => {
  expect(() => new World().connect("a-client-with-a-name-of-36-characters", THREE)).not.toThrow();
});

test("MQTT 3.1: MQIsdp with another level gets return code 1", () => {
  for (const level of [2, 4, 5]) {
    const client = new World().open(3).sendBytes(raw(level, 0x02));
    expect(client.take("connack").returnCode).toBe(1);
    expect(client.stream.ended).toBe("end");
  }
});

test("MQTT 3.1: a refused filter is told with 0x80, since silence would grant it", () => {
  expect(new World().connect("a", THREE).subscribe("a/#/b", 1).granted).toEqual([0x80]);
});

test("MQTT 3.1: three versions of the protocol understand each other", () => {
  const world = new World();
  const clients = ([3, 4, 5] as const).map((version) => world.connect(`v${version}`, { version }));
  for (const client of clients) client.subscribe("t", 1);
  for (const [i, client] of clients.entries()) client.publish("t", `${i}`, { qos: 1, messageId: 1 });
  expect(clients.map((client) => client.takePayloads())).toEqual(Array(3).fill(["0", "1", "2"]));
});
