/** What strangers and broken clients send: the right answer to them, nothing noticed by the others. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { type Client, connectPacket } from "./support/client.ts";
import { NOT_UTF8 } from "./support/raw-connect.ts";
import { World } from "./support/world.ts";

/** A second pair of clients that must not notice anything. */
function withBystanders(): { readonly world: World; readonly unharmed: () => void } {
  const world = new World();
  const subscriber = world.connect("bystander", { version: 4 });
  subscriber.subscribe("fine/#", 1);
  const publisher = world.connect("bystander2");
  const unharmed = (): void => {
    publisher.publish("fine/t", "ok", { qos: 1, messageId: 9 }).take("puback");
    expect(subscriber.takePayloads()).toEqual(["ok"]);
    expect(world.clientCount).toBeGreaterThanOrEqual(2);
  };
  return { world, unharmed };
}

test.each([
  ["HTTP", [...Buffer.from("GET / HTTP/1.1\r\n\r\n")]],
  ["a TLS hello", [0x16, 3, 1, 2, 0, 1, 0, 1]],
  ["one wrong byte", [0x00]],
  ["0xFF", new Array(64).fill(0xff)],
])("garbage bytes: %s closes the connection at once without an answer", (_name, bytes) => {
  const { world, unharmed } = withBystanders();
  const client = world.open().sendBytes(bytes);
  expect(client.stream.ended).toBe("end");
  expect(client.packets).toEqual([]);
  unharmed();
});

test("[MQTT-4.13.1-1] garbage after CONNECT is a Malformed Packet: 0x81 to 5.0, silence to 3.1.1", () => {
  const { world, unharmed } = withBystanders();
  const five = world.connect("a").sendBytes([0x63, 2, 0, 1]);
  expect(five.take("disconnect").reasonCode).toBe(0x81);
  expect(five.stream.ended).toBe("end");
  const four = world.connect("b", { version: 4 }).sendBytes([0x63, 2, 0, 1]);
  expect(four.packets).toEqual([]);
  expect(four.stream.ended).toBe("end");
  unharmed();
});

test("half a CONNECT and silence: the connection is reset after the connect timeout", () => {
  const { world, unharmed } = withBystanders();
  const client = world.open();
  client.sendBytes(client.encode(connectPacket(5, "a", {})).subarray(0, 6));
  world.pass(9_500);
  expect(client.stream.ended).toBeUndefined();
  world.pass(1_000);
  expect(client.stream.ended).toBe("reset");
  expect(client.packets).toEqual([]);
  unharmed();
});

test("a connection that never says anything is reset after the connect timeout", () => {
  const world = new World();
  const client = world.open();
  world.pass(10_500);
  expect(client.stream.ended).toBe("reset");
});

test("half a packet and silence: keep-alive ends the connection", () => {
  const { world, unharmed } = withBystanders();
  const client = world.connect("a", { keepalive: 4 });
  client.sendBytes([0x30, 20, 0, 1]);
  world.pass(6_500);
  expect(client.take("disconnect").reasonCode).toBe(0x8d);
  unharmed();
});

test("[MQTT-3.2.2-15] an oversized packet is refused with 0x95 by its header alone", () => {
  const { world, unharmed } = withBystanders();
  const client = world.connect("a").sendBytes([0x30, 0xff, 0xff, 0xff, 0x7f]);
  expect(client.take("disconnect").reasonCode).toBe(0x95);
  expect(client.stream.ended).toBe("end");
  unharmed();
});

test("a packet of exactly the maximum size passes, one byte more does not", () => {
  const world = new World({ packetBytesMax: 200 });
  const payload = (size: number) => "x".repeat(size - 2 - 1 - 3 - 1);
  const subscriber = world.connect("s");
  subscriber.subscribe("t");
  const client = world.connect("a");
  client.publish("t", payload(200));
  expect(subscriber.takePayloads()).toHaveLength(1);
  client.publish("t", payload(201));
  expect(client.take("disconnect").reasonCode).toBe(0x95);
  expect(subscriber.takePayloads()).toHaveLength(0);
});

test("an oversized CONNECT closes the connection: a stranger cannot make us buffer", () => {
  const client = new World().open().sendBytes([0x10, 0xff, 0xff, 0x7f]);
  expect(client.stream.ended).toBe("end");
});

test.each(["a/+", "#", "a/#/b", "+"])(
  "[MQTT-3.3.2-2] [MQTT-4.7.0-1] publishing to %s is refused with 0x90",
  (topic) => {
    const { world, unharmed } = withBystanders();
    const client = world.connect("a").publish(topic, "x");
    expect(client.take("disconnect").reasonCode).toBe(0x90);
    expect(client.stream.ended).toBe("end");
    unharmed();
  },
);

test("3.1.1 [MQTT-3.3.2-2] publishing to a wildcard closes the connection", () => {
  const { world, unharmed } = withBystanders();
  const client = world.connect("a", { version: 4 }).publish("fine/+", "x");
  expect(client.packets).toEqual([]);
  expect(client.stream.ended).toBe("end");
  unharmed();
});

test("a will to a wildcard is refused with CONNACK 0x90", () => {
  const client = new World().attempt("a", { will: { topic: "a/#", payload: "x", qos: 0, retain: false } });
  expect(client.take("connack").reasonCode).toBe(0x90);
});

/** A PUBLISH with this User Property. */
function userProperty(name: readonly number[], value: readonly number[]): number[] {
  const properties = [0x26, ...name, ...value];
  return [0x30, properties.length + 5, 0, 1, 97, properties.length, ...properties, 120];
}

const wrong: [string, number, readonly number[]][] = [
  ["[MQTT-3.3.1-4] QoS 3", 0x81, [0x36, 7, 0, 1, 97, 0, 1, 0, 120]],
  ["[MQTT-3.3.1-2] DUP with QoS 0", 0x81, [0x38, 5, 0, 1, 97, 0, 120]],
  ["[MQTT-2.2.1-3] packet identifier 0", 0x82, [0x32, 7, 0, 1, 97, 0, 0, 0, 120]],
  ["[MQTT-1.5.4-1] a topic that is not UTF-8", 0x81, [0x30, 6, 0, 2, 0xc3, 0x28, 0, 120]],
  ["[MQTT-1.5.4-1] a topic with a surrogate", 0x81, [0x30, 7, 0, 3, 0xed, 0xa0, 0x80, 0, 120]],
  ["[MQTT-1.5.4-2] [MQTT-4.7.3-2] a topic with U+0000", 0x81, [0x30, 6, 0, 2, 97, 0, 0, 120]],
  ["[MQTT-4.7.3-1] an empty topic without an alias", 0x82, [0x30, 4, 0, 0, 0, 120]],
  ["[MQTT-1.5.5-1] a length in more bytes than needed", 0x81, [0x30, 0x80, 0x00]],
  ["a length in five bytes", 0x81, [0x30, 0x80, 0x80, 0x80, 0x80, 1]],
  ["[MQTT-3.3.2-1] a topic longer than the packet", 0x81, [0x30, 5, 0, 9, 97, 0, 120]],
  ["properties longer than the packet", 0x81, [0x30, 5, 0, 1, 97, 9, 120]],
  ["[MQTT-3.3.4-6] a subscription identifier", 0x82, [0x30, 6, 0, 1, 97, 2, 0x0b, 1]],
  ["[MQTT-3.3.2-8] topic alias 0", 0x94, [0x30, 7, 0, 1, 97, 3, 0x23, 0, 0]],
  [
    "[MQTT-3.2.2-17] [MQTT-3.3.2-9] a topic alias above the maximum",
    0x94,
    [0x30, 7, 0, 1, 97, 3, 0x23, 1, 0],
  ],
  ["a topic alias that was never set", 0x82, [0x30, 6, 0, 0, 3, 0x23, 0, 1]],
  ["a property that PUBLISH does not have", 0x81, [0x30, 9, 0, 1, 97, 5, 0x11, 0, 0, 0, 1]],
  ["a property that comes twice", 0x82, [0x30, 8, 0, 1, 97, 4, 0x01, 0, 0x01, 0]],
  ["a payload format of 2", 0x82, [0x30, 6, 0, 1, 97, 2, 0x01, 2]],
  ["[MQTT-3.3.2-14] a response topic with a wildcard", 0x82, [0x30, 8, 0, 1, 97, 4, 0x08, 0, 1, 35]],
  ["[MQTT-3.8.1-1] SUBSCRIBE with wrong flags", 0x81, [0x80, 7, 0, 1, 0, 0, 1, 97, 0]],
  ["[MQTT-3.8.3-2] SUBSCRIBE without a filter", 0x82, [0x82, 3, 0, 1, 0]],
  ["[MQTT-3.8.3-5] reserved subscription options", 0x81, [0x82, 7, 0, 1, 0, 0, 1, 97, 0x40]],
  ["subscription QoS 3", 0x81, [0x82, 7, 0, 1, 0, 0, 1, 97, 3]],
  ["retain handling 3", 0x82, [0x82, 7, 0, 1, 0, 0, 1, 97, 0x30]],
  ["subscription identifier 0", 0x82, [0x82, 9, 0, 1, 2, 0x0b, 0, 0, 1, 97, 0]],
  ["SUBSCRIBE with packet identifier 0", 0x82, [0x82, 7, 0, 0, 0, 0, 1, 97, 0]],
  ["[MQTT-3.10.1-1] UNSUBSCRIBE with wrong flags", 0x81, [0xa0, 6, 0, 1, 0, 0, 1, 97]],
  ["[MQTT-3.10.3-2] UNSUBSCRIBE without a filter", 0x82, [0xa2, 3, 0, 1, 0]],
  ["UNSUBSCRIBE with a stray byte at its end", 0x81, [0xa2, 7, 0, 1, 0, 0, 1, 97, 0]],
  ["[MQTT-3.6.1-1] PUBREL with wrong flags", 0x81, [0x60, 2, 0, 1]],
  ["[MQTT-3.14.1-1] DISCONNECT with flags", 0x81, [0xe1, 0]],
  ["[MQTT-3.4.2-1] PUBACK with a Reason Code of another packet", 0x82, [0x40, 3, 0, 1, 0x92]],
  ["[MQTT-3.5.2-1] PUBREC with a Reason Code that does not exist", 0x82, [0x50, 3, 0, 1, 0x05]],
  ["[MQTT-3.6.2-1] PUBREL with a Reason Code of another packet", 0x82, [0x62, 3, 0, 1, 0x80]],
  ["[MQTT-3.7.2-1] PUBCOMP with a Reason Code of another packet", 0x82, [0x70, 3, 0, 1, 0x10]],
  ["[MQTT-3.14.2-1] DISCONNECT with a Reason Code that only servers send", 0x82, [0xe0, 1, 0x8b]],
  ["[MQTT-2.1.3-1] PINGREQ with flags", 0x81, [0xc1, 0]],
  ["PINGREQ with a body", 0x81, [0xc0, 1, 0]],
  ["a packet of type 0", 0x82, [0x00, 0]],
  ["a packet only servers send", 0x82, [0xd0, 0]],
  ["[MQTT-4.12.0-7] AUTH without a method in CONNECT", 0x82, [0xf0, 0]],
  ["[MQTT-3.15.1-1] AUTH with flags", 0x81, [0xf1, 0]],
  ["[MQTT-1.5.7-1] a User Property whose name is not UTF-8", 0x81, userProperty(NOT_UTF8, [0, 1, 97])],
  ["[MQTT-1.5.7-1] a User Property whose value is not UTF-8", 0x81, userProperty([0, 1, 97], NOT_UTF8)],
  [
    "[MQTT-3.3.2-13] a Response Topic that is not UTF-8",
    0x81,
    [0x30, 10, 0, 1, 97, 5, 0x08, ...NOT_UTF8, 120],
  ],
  ["[MQTT-3.3.2-19] a Content Type that is not UTF-8", 0x81, [0x30, 10, 0, 1, 97, 5, 0x03, ...NOT_UTF8, 120]],
  ["[MQTT-3.8.3-1] a filter that is not UTF-8", 0x81, [0x82, 8, 0, 1, 0, ...NOT_UTF8, 0]],
  ["[MQTT-3.10.3-1] an UNSUBSCRIBE filter that is not UTF-8", 0x81, [0xa2, 7, 0, 1, 0, ...NOT_UTF8]],
  ["[MQTT-4.7.3-2] a filter with U+0000", 0x81, [0x82, 8, 0, 1, 0, 0, 2, 97, 0, 0]],
];

test.each(wrong)("%s is answered with reason code %i and ends the connection", (_name, reasonCode, bytes) => {
  const { world, unharmed } = withBystanders();
  const client = world.connect("a").sendBytes(bytes);
  expect(client.take("disconnect").reasonCode).toBe(reasonCode);
  expect(client.packets).toEqual([]);
  expect(client.stream.ended).toBe("end");
  unharmed();
});

test("[MQTT-1.5.4-3] a byte order mark in a topic is U+FEFF and stays", () => {
  const world = new World();
  const subscriber = world.connect("s");
  subscriber.subscribe("#");
  world.connect("a").publish("\uFEFFa", "x");
  expect(subscriber.take("publish").topic).toBe("\uFEFFa");
});

test("a Receive Maximum of 0 in CONNECT is a Protocol Error", () => {
  const client = new World().attempt("a", { properties: { receiveMaximum: 0 } });
  expect(client.take("connack").reasonCode).toBe(0x82);
});

test("a packet that comes byte by byte is the same packet", () => {
  const world = new World();
  const subscriber = world.connect("s", { version: 4 });
  subscriber.subscribe("#");
  const client = world.open(5);
  const bytes = Buffer.concat([
    client.encode(connectPacket(5, "a", {})),
    client.encode({ cmd: "publish", topic: "a/b", payload: "y".repeat(300), qos: 1, messageId: 5 }),
    client.encode({ cmd: "pingreq" }),
  ]);
  for (const byte of bytes) client.sendBytes([byte]);
  expect(client.packets.map(({ cmd }) => cmd)).toEqual(["connack", "puback", "pingresp"]);
  expect(subscriber.takePayloads()).toEqual(["y".repeat(300)]);
});

test("a client that does not go after DISCONNECT is reset", () => {
  const world = new World();
  const client = world.connect("a");
  // A stream that never finishes ending, as a peer that does not read keeps it.
  client.stream.end = () => {};
  client.sendBytes([0x00, 0]);
  world.pass(4_500);
  expect(client.stream.ended).toBeUndefined();
  world.pass(1_000);
  expect(client.stream.ended).toBe("reset");
});

test("no sequence of bytes makes the broker throw or harms the others", () => {
  const { world, unharmed } = withBystanders();
  const prefix = (client: Client) => client.encode(connectPacket(client.version, "fuzz", { keepalive: 5 }));
  const valid = fc.constantFrom<readonly number[]>(
    [0x30, 5, 0, 1, 97, 0, 120],
    [0x82, 7, 0, 1, 0, 0, 1, 97, 0],
    [0xa2, 6, 0, 1, 0, 0, 1, 97],
    [0x34, 7, 0, 1, 97, 0, 7, 0, 120],
    [0x62, 2, 0, 7],
    [0xc0, 0],
  );
  const chunk = fc.oneof(
    valid.map((bytes) => [...bytes]),
    fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 40 }),
  );
  const property = fc.property(
    fc.constantFrom(3 as const, 4 as const, 5 as const),
    fc.boolean(),
    fc.array(chunk, { maxLength: 12 }),
    (version, isConnected, chunks) => {
      const client = world.open(version);
      if (isConnected) client.sendBytes(prefix(client));
      for (const bytes of chunks) client.sendBytes(bytes);
      client.sever();
    },
  );
  fc.assert(property, { numRuns: 400 });
  unharmed();
  expect(world.clientCount).toBe(2);
});
