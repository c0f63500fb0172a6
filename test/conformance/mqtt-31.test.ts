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

test("MQTT 3.1: a user name and password that are flagged may be left out: the Remaining Length takes precedence", () => {
  expect(new World().open(3).sendBytes(raw(3, 0xc2)).take("connack").returnCode).toBe(0);
  // Its successors have no such rule.
  const four = new World().open(4);
  four.sendBytes([0x10, 13, 0, 4, ...Buffer.from("MQTT"), 4, 0x82, 0, 0, 0, 1, 97]);
  expect(four.packets).toEqual([]);
  expect(four.stream.ended).toBe("end");
});

test("MQTT 3.1: the first byte of CONNACK is reserved, so it is 0 also when a session is resumed", () => {
  const world = new World();
  const present = (version: 3 | 4): number | undefined => {
    world.connect(`a${version}`, { version, clean: false }).disconnect();
    return world.connect(`a${version}`, { version, clean: false }).chunks[0]?.[2];
  };
  expect([present(3), present(4)]).toEqual([0, 1]);
});

test("MQTT 3.1: SUBSCRIBE and PUBREL may have DUP set, and PINGREQ any flags; QoS 1 must be set where it was", () => {
  const client = new World().connect("a", THREE);
  client.sendBytes([0x8a, 6, 0, 1, 0, 1, 97, 0]).take("suback");
  client.sendBytes([0x6a, 2, 0, 9]).take("pubcomp");
  client.sendBytes([0xc1, 0]).take("pingresp");
  client.sendBytes([0x80, 6, 0, 1, 0, 1, 97, 0]);
  expect(client.stream.ended).toBe("end");
});
