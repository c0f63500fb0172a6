/** CONNECT and CONNACK. Ids are those of MQTT 5.0 unless "3.1.1" stands before them. */

import { expect, test } from "vitest";
import { connectPacket } from "./support/client.ts";
import { World } from "./support/world.ts";

test.each([3, 4, 5] as const)(
  "[MQTT-3.1.4-5] and 3.1.1 [MQTT-3.1.4-4] protocol level %i is answered with a successful CONNACK",
  (version) => {
    const world = new World();
    const client = world.attempt("a", { version });
    const connack = client.take("connack");
    expect(connack.reasonCode ?? connack.returnCode).toBe(0);
    expect(world.clientCount).toBe(1);
  },
);

test("[MQTT-3.1.0-1] and 3.1.1 [MQTT-3.1.0-1] a first packet that is not CONNECT ends the connection without an answer", () => {
  const world = new World();
  const client = world.open().send({ cmd: "pingreq" });
  expect(client.packets).toEqual([]);
  expect(client.stream.ended).toBe("end");
});

test("[MQTT-3.1.0-2] [MQTT-3.2.0-2] a second CONNECT is a Protocol Error, and gets no second CONNACK", () => {
  const world = new World();
  const client = world.connect("a");
  client.send(connectPacket(5, "a", {}));
  expect(client.take("disconnect").reasonCode).toBe(0x82);
  expect(client.packets).toEqual([]);
  expect(client.stream.ended).toBe("end");
});

test("3.1.1 [MQTT-3.1.0-2] a second CONNECT ends the connection", () => {
  const client = new World().connect("a", { version: 4 });
  client.send(connectPacket(4, "a", {}));
  expect(client.stream.ended).toBe("end");
  expect(client.packets).toEqual([]);
});

test("[MQTT-3.1.2-1] and 3.1.1 [MQTT-3.1.2-1] a protocol name other than MQTT ends the connection", () => {
  for (const rest of [
    [5, 2, 0, 0, 0, 0, 0],
    [4, 2, 0, 0, 0, 0],
  ]) {
    const client = new World().open();
    client.sendBytes([0x10, 6 + rest.length, 0, 4, ...Buffer.from("MQTX"), ...rest]);
    expect(client.stream.ended).toBe("end");
    expect(client.packets).toEqual([]);
  }
});

test("[MQTT-3.1.2-2] a newer protocol version gets CONNACK 0x84", () => {
  const client = new World().open(5);
  client.sendBytes([0x10, 13, 0, 4, ...Buffer.from("MQTT"), 6, 2, 0, 0, 0, 0, 0]);
  expect(client.take("connack").reasonCode).toBe(0x84);
  expect(client.stream.ended).toBe("end");
});

test("3.1.1 [MQTT-3.1.2-2] an older or bridge protocol level gets return code 1", () => {
  for (const level of [2, 0x84]) {
    const client = new World().open(4);
    client.sendBytes([0x10, 12, 0, 4, ...Buffer.from("MQTT"), level, 2, 0, 0, 0, 0]);
    expect(client.take("connack").returnCode).toBe(1);
    expect(client.stream.ended).toBe("end");
  }
});

test("[MQTT-3.1.2-3] a set reserved flag is a Malformed Packet", () => {
  const client = new World().open(5);
  client.sendBytes([0x10, 13, 0, 4, ...Buffer.from("MQTT"), 5, 3, 0, 0, 0, 0, 0]);
  expect(client.take("connack").reasonCode).toBe(0x81);
});

test.each([
  ["[MQTT-3.1.2-11] will QoS without a will", 0x08],
  ["[MQTT-3.1.2-13] will retain without a will", 0x20],
])("%s is a Malformed Packet", (_name, flags) => {
  const client = new World().open(5);
  client.sendBytes([0x10, 13, 0, 4, ...Buffer.from("MQTT"), 5, flags, 0, 0, 0, 0, 0]);
  expect(client.take("connack").reasonCode).toBe(0x81);
  expect(client.stream.ended).toBe("end");
});

test("3.1.1 [MQTT-3.1.2-22] a password without a user name ends the connection", () => {
  const client = new World().open(4);
  client.sendBytes([0x10, 16, 0, 4, ...Buffer.from("MQTT"), 4, 0x42, 0, 0, 0, 1, 97, 0, 1, 120]);
  expect(client.stream.ended).toBe("end");
  expect(client.packets).toEqual([]);
});

test("[MQTT-3.1.2-17] a user name and password are accepted where anonymous clients are", () => {
  const world = new World();
  const client = world.connect("a", { username: "u", password: Buffer.from("p") });
  expect(client.stream.ended).toBeUndefined();
});

test("[MQTT-3.1.2-22] silence of 1.5 keep-alives ends the connection with 0x8D, and not before", () => {
  const world = new World();
  const client = world.connect("a", { keepalive: 10 });
  world.pass(14_500);
  expect(client.stream.ended).toBeUndefined();
  world.pass(1_000);
  expect(client.take("disconnect").reasonCode).toBe(0x8d);
  expect(client.stream.ended).toBe("end");
});

test("[MQTT-3.1.2-20] [MQTT-3.12.4-1] and 3.1.1 [MQTT-3.1.2-23] [MQTT-3.12.4-1] PINGREQ is answered and keeps the connection alive", () => {
  const world = new World();
  const client = world.connect("a", { version: 4, keepalive: 2 });
  for (let i = 0; i < 10; i++) {
    world.pass(2_000);
    client.send({ cmd: "pingreq" }).take("pingresp");
  }
  expect(client.stream.ended).toBeUndefined();
  world.pass(3_500);
  expect(client.stream.ended).toBe("end");
});

test("keep-alive 0 switches the mechanism off", () => {
  const world = new World();
  const client = world.connect("a", { keepalive: 0 });
  world.pass(3_600_000);
  expect(client.stream.ended).toBeUndefined();
});

test("a standstill of the whole process is not held against the clients", () => {
  const world = new World();
  const client = world.connect("a", { keepalive: 10 });
  world.standStill(60_000);
  client.send({ cmd: "pingreq" }).take("pingresp");
  world.pass(1_000);
  expect(client.stream.ended).toBeUndefined();
});

test("P9, P11: a CONNECT that may have waited as long as the process stood still is reset, not taken, nor refused", () => {
  const world = new World();
  const before = world.open(5);
  world.standStill(60_000);
  for (const client of [before, world.open(5)]) {
    client.send(connectPacket(5, "a", {}));
    expect(client.packets).toEqual([]);
    expect(client.stream.ended).toBe("reset");
  }
  world.pass(1_000);
  world.connect("a");
});

test("[MQTT-3.1.2-21] [MQTT-3.2.2-21] a 5.0 client on the floating address gets Server Keep Alive 15, which then counts", () => {
  const world = new World({ floatingAddress: "192.0.2.99" });
  const client = world.attempt("a", { keepalive: 60, localAddress: "192.0.2.99" });
  expect(client.take("connack").properties?.serverKeepAlive).toBe(15);
  world.pass(23_000);
  expect(client.take("disconnect").reasonCode).toBe(0x8d);
});

test("[MQTT-3.2.2-22] without Server Keep Alive the client's own one counts", () => {
  const world = new World({ floatingAddress: "192.0.2.99" });
  const elsewhere = world.attempt("a", { keepalive: 60 });
  expect(elsewhere.take("connack").properties?.serverKeepAlive).toBeUndefined();
  const shorter = world.attempt("b", { keepalive: 10, localAddress: "192.0.2.99" });
  expect(shorter.take("connack").properties?.serverKeepAlive).toBeUndefined();
  world.pass(24_000);
  expect(elsewhere.stream.ended).toBeUndefined();
});

test("[MQTT-3.1.3-5] and 3.1.1 [MQTT-3.1.3-5] identifiers of 1 to 23 letters and digits are accepted", () => {
  const world = new World();
  for (const clientId of ["a", "0123456789abcdefghijklm", "ABCDEFGHIJKLMNOPQRSTUVW"]) {
    for (const version of [3, 4, 5] as const)
      expect(() => world.connect(clientId, { version })).not.toThrow();
  }
});

test("[MQTT-3.1.3-6] [MQTT-3.2.2-16] an empty identifier is replaced by one nobody else has", () => {
  const world = new World();
  const ids = [1, 2, 3].map(() => world.attempt("").take("connack").properties?.assignedClientIdentifier);
  expect(new Set(ids).size).toBe(3);
  for (const id of ids) expect(String(id).length).toBeGreaterThan(20);
});

test("[MQTT-3.1.3-7] the assigned identifier is the session's: it can be resumed", () => {
  const world = new World();
  const first = world.attempt("", { properties: { sessionExpiryInterval: 100 } });
  const assigned = String(first.take("connack").properties?.assignedClientIdentifier);
  first.disconnect();
  const second = world.attempt(assigned, { clean: false });
  expect(second.take("connack").sessionPresent).toBe(true);
});

test("3.1.1 [MQTT-3.1.3-7] an empty identifier is fine with a clean session", () => {
  expect(() => new World().connect("", { version: 4, clean: true })).not.toThrow();
});

test("3.1.1 [MQTT-3.1.3-8] [MQTT-3.1.3-9] an empty identifier without a clean session gets return code 2", () => {
  const client = new World().open(4);
  client.sendBytes([0x10, 12, 0, 4, ...Buffer.from("MQTT"), 4, 0, 0, 0, 0, 0]);
  expect(client.take("connack").returnCode).toBe(2);
  expect(client.stream.ended).toBe("end");
});

test("[MQTT-3.1.4-2] [MQTT-3.2.2-7] a listener without anonymous access answers 0x87, 3.1.1: 5, and closes", () => {
  const world = new World();
  world.allowAnonymous = false;
  const five = world.attempt("a");
  expect(five.take("connack").reasonCode).toBe(0x87);
  expect(five.stream.ended).toBe("end");
  const four = world.attempt("a", { version: 4 });
  expect(four.take("connack").returnCode).toBe(5);
  expect(four.stream.ended).toBe("end");
  expect(world.clientCount).toBe(0);
});

test("[MQTT-3.1.4-6] nothing after a refused CONNECT is processed", () => {
  const world = new World();
  const watcher = world.connect("w");
  watcher.subscribe("#");
  world.allowAnonymous = false;
  const client = world.open();
  client.sendTogether(connectPacket(5, "a", {}), { cmd: "publish", topic: "t", payload: "x", qos: 0 });
  expect(watcher.packets).toEqual([]);
});

test("[MQTT-3.2.0-1] packets sent right behind CONNECT are answered after CONNACK", () => {
  const client = new World().open();
  client.sendTogether(connectPacket(5, "a", {}), { cmd: "pingreq" });
  client.take("connack");
  client.take("pingresp");
});

test("[MQTT-3.1.4-4] [MQTT-3.2.2-2] [MQTT-3.2.2-3] Session Present tells whether there was a session", () => {
  const world = new World();
  const keep = { clean: false, properties: { sessionExpiryInterval: 100 } };
  const present = (options: object) => {
    const client = world.attempt("a", options);
    const { sessionPresent } = client.take("connack");
    client.disconnect();
    return sessionPresent;
  };
  expect(present(keep)).toBe(false);
  expect(present(keep)).toBe(true);
  expect(present({ ...keep, clean: true })).toBe(false);
});

test("[MQTT-3.2.2-6] a refused CONNECT has Session Present 0", () => {
  const world = new World();
  world.connect("a", { properties: { sessionExpiryInterval: 100 } }).sever();
  world.allowAnonymous = false;
  const connack = world.attempt("a", { clean: false }).take("connack");
  expect(connack.reasonCode).toBe(0x87);
  expect(connack.sessionPresent).toBe(false);
});

test("CONNACK tells the limits of this broker", () => {
  const world = new World({ receiveMaximum: 20, packetBytesMax: 5000, topicAliasMaximum: 7 });
  const { properties } = world.attempt("a").take("connack");
  expect(properties).toMatchObject({ receiveMaximum: 20, maximumPacketSize: 5000, topicAliasMaximum: 7 });
});

test("CONNACK tells a Session Expiry Interval that was cut", () => {
  const world = new World({ sessionExpiryMaxSeconds: 50 });
  const long = world.attempt("a", { properties: { sessionExpiryInterval: 0xffffffff } });
  expect(long.take("connack").properties?.sessionExpiryInterval).toBe(50);
  const short = world.attempt("b", { properties: { sessionExpiryInterval: 40 } });
  expect(short.take("connack").properties?.sessionExpiryInterval).toBeUndefined();
});

test("[MQTT-4.12.0-1] an authentication method is answered 0x8C", () => {
  const client = new World().attempt("a", { properties: { authenticationMethod: "SCRAM" } });
  expect(client.take("connack").reasonCode).toBe(0x8c);
  expect(client.stream.ended).toBe("end");
});

test("[MQTT-3.1.4-3] a newer connection wins: the older one gets 0x8E", () => {
  const world = new World();
  const older = world.connect("a");
  const newer = world.connect("a");
  expect(older.take("disconnect").reasonCode).toBe(0x8e);
  expect(older.stream.ended).toBe("end");
  expect(newer.stream.ended).toBeUndefined();
  expect(world.clientCount).toBe(1);
});

test("3.1.1 [MQTT-3.1.4-2] a newer connection wins: the older one is closed without a packet", () => {
  const world = new World();
  const older = world.connect("a", { version: 4 });
  world.connect("a", { version: 4 });
  expect(older.packets).toEqual([]);
  expect(older.stream.ended).toBe("end");
});

test("[MQTT-3.14.0-1] a broker that shuts down sends 0x8B to clients that have their CONNACK, and only to 5.0", () => {
  const world = new World();
  const five = world.connect("a");
  const four = world.connect("b", { version: 4 });
  const unknown = world.open();
  world.onEveryBroker((broker) => broker.shutdown(undefined));
  expect(five.take("disconnect").reasonCode).toBe(0x8b);
  expect([five, four, unknown].map((client) => client.stream.ended)).toEqual(["end", "end", "end"]);
  expect([...four.packets, ...unknown.packets]).toEqual([]);
  const late = world.attempt("c");
  expect(late.stream.ended).toBe("reset");
  expect(late.packets).toEqual([]);
});

test("before the floating address moves, its clients are reset, 5.0 ones with 0x8B; others stay", () => {
  const world = new World({ floatingAddress: "192.0.2.99" });
  const floating = world.connect("a", { localAddress: "192.0.2.99" });
  const floating4 = world.connect("b", { localAddress: "192.0.2.99", version: 4 });
  const other = world.connect("c");
  world.onEveryBroker((broker) => broker.resetClientsOn("192.0.2.99", undefined));
  expect(floating.take("disconnect").reasonCode).toBe(0x8b);
  expect([floating, floating4].map((client) => client.stream.ended)).toEqual(["reset", "reset"]);
  expect(other.stream.ended).toBeUndefined();
  expect(world.clientCount).toBe(1);
});

test("[MQTT5-4.11] with another server to name, 5.0 clients hear 0x9C and its Server Reference when their connection must end; nobody is turned away by CONNACK (P11)", () => {
  const world = new World({ floatingAddress: "192.0.2.99" });
  const floating = world.connect("a", { localAddress: "192.0.2.99" });
  const other = world.connect("b");
  const four = world.connect("c", { version: 4 });
  const reference = "192.0.2.2:1883 [fd00::3]:1884";
  world.onEveryBroker((broker) => broker.resetClientsOn("192.0.2.99", reference));
  expect(floating.take("disconnect")).toMatchObject({
    reasonCode: 0x9c,
    properties: { serverReference: reference },
  });
  expect(floating.stream.ended).toBe("reset");
  expect(world.connect("a", { localAddress: "192.0.2.99" }).stream.ended).toBeUndefined();
  world.onEveryBroker((broker) => broker.shutdown(reference));
  expect(other.take("disconnect")).toMatchObject({
    reasonCode: 0x9c,
    properties: { serverReference: reference },
  });
  expect(four.packets).toEqual([]);
  expect(four.stream.ended).toBe("end");
});

test("clients that speak TLS or WebSocket, or come through a proxy, are not told of ports for plain MQTT", () => {
  const world = new World({ floatingAddress: "192.0.2.99" });
  world.isPlain = false;
  const floating = world.connect("a", { localAddress: "192.0.2.99" });
  const leaving = world.connect("b");
  world.onEveryBroker((broker) => broker.resetClientsOn("192.0.2.99", "192.0.2.2:1883"));
  world.onEveryBroker((broker) => broker.sendAway("192.0.2.2:1883"));
  const stopping = world.connect("c");
  world.onEveryBroker((broker) => broker.shutdown("192.0.2.2:1883"));
  for (const client of [floating, leaving, stopping]) {
    const { reasonCode, properties } = client.take("disconnect");
    expect({ reasonCode, reference: properties?.serverReference }).toEqual({
      reasonCode: 0x8b,
      reference: undefined,
    });
  }
});

test("[MQTT5-4.11] clients of a node that leaves for good hear 0x8B, or 0x9D with a Server Reference; who comes later is served", () => {
  const world = new World();
  const five = world.connect("a");
  const four = world.connect("b", { version: 4 });
  world.onEveryBroker((broker) => broker.sendAway(undefined));
  expect(five.take("disconnect").reasonCode).toBe(0x8b);
  expect(four.packets).toEqual([]);
  expect([five, four].map((client) => client.stream.ended)).toEqual(["end", "end"]);
  const late = world.connect("a");
  expect(late.stream.ended).toBeUndefined();
  world.onEveryBroker((broker) => broker.sendAway("192.0.2.2:1883"));
  expect(late.take("disconnect")).toMatchObject({
    reasonCode: 0x9d,
    properties: { serverReference: "192.0.2.2:1883" },
  });
});

test("a connection above the maximum is reset without a CONNACK (P11)", () => {
  const world = World.onOneNode("limit", { connectionsMax: 2 });
  world.connect("a");
  const second = world.connect("b");
  const third = world.attempt("c");
  expect(third.stream.ended).toBe("reset");
  expect(third.packets).toEqual([]);
  second.disconnect();
  expect(() => world.connect("c")).not.toThrow();
});

test("a 3.1.1 client on the floating address keeps its own keep-alive: it could not be told another", () => {
  const world = new World({ floatingAddress: "192.0.2.99" });
  const client = world.connect("a", { version: 4, keepalive: 60, localAddress: "192.0.2.99" });
  world.pass(80_000);
  expect(client.stream.ended).toBeUndefined();
  world.pass(11_000);
  expect(client.stream.ended).toBe("end");
});
