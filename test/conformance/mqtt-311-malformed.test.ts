/** What a 3.1.1 client must not send: the connection ends without a word, and nobody else notices. */

import { expect, test } from "vitest";
import { NOT_UTF8, rawConnect } from "./support/raw-connect.ts";
import { World } from "./support/world.ts";

const CONNECTS: readonly [string, readonly number[]][] = [
  ["3.1.1 [MQTT-3.1.2-3] the reserved flag", rawConnect(4, 0x03, "a")],
  ["3.1.1 [MQTT-3.1.2-9] a will flag without a will", rawConnect(4, 0x06, "a")],
  ["3.1.1 [MQTT-3.1.2-11] a will without the will flag", rawConnect(4, 0x02, "a", "w", "x")],
  ["3.1.1 [MQTT-3.1.2-13] Will QoS without a will", rawConnect(4, 0x0a, "a")],
  ["3.1.1 [MQTT-3.1.2-14] Will QoS 3", rawConnect(4, 0x1e, "a", "w", "x")],
  ["3.1.1 [MQTT-3.1.2-15] Will Retain without a will", rawConnect(4, 0x22, "a")],
  ["3.1.1 [MQTT-3.1.2-18] a user name without its flag", rawConnect(4, 0x02, "a", "u")],
  ["3.1.1 [MQTT-3.1.2-19] a user name flag without a user name", rawConnect(4, 0x82, "a")],
  ["3.1.1 [MQTT-3.1.2-20] a password without its flag", rawConnect(4, 0x82, "a", "u", "p")],
  ["3.1.1 [MQTT-3.1.2-21] a password flag without a password", rawConnect(4, 0xc2, "a", "u")],
  ["3.1.1 [MQTT-3.1.3-3] no client identifier at all", rawConnect(4, 0x02)],
  ["3.1.1 [MQTT-3.1.3-4] a client identifier that is not UTF-8", rawConnect(4, 0x02, NOT_UTF8)],
  ["3.1.1 [MQTT-3.1.3-10] a Will Topic that is not UTF-8", rawConnect(4, 0x06, "a", NOT_UTF8, "x")],
  ["3.1.1 [MQTT-3.1.3-11] a user name that is not UTF-8", rawConnect(4, 0x82, "a", NOT_UTF8)],
  ["3.1.1 [MQTT-3.1.4-1] bytes behind the last field", rawConnect(4, 0x02, "a", [0])],
  [
    "3.1.1 [MQTT-3.2.2-6] a will to a wildcard, for which there is no return code",
    rawConnect(4, 0x06, "a", "w/#", "x"),
  ],
];

test.each(CONNECTS)("a CONNECT with %s ends the connection without CONNACK", (_name, bytes) => {
  const world = new World();
  const client = world.open(4).sendBytes(bytes);
  expect(client.packets).toEqual([]);
  expect(client.stream.ended).toBe("end");
  expect(world.clientCount).toBe(0);
});

const PACKETS: readonly [string, readonly number[]][] = [
  ["3.1.1 [MQTT-1.5.3-1] a topic that is not UTF-8", [0x30, 5, ...NOT_UTF8, 120]],
  ["3.1.1 [MQTT-1.5.3-1] a topic with a surrogate", [0x30, 6, 0, 3, 0xed, 0xa0, 0x80, 120]],
  ["3.1.1 [MQTT-1.5.3-2] [MQTT-4.7.3-2] a topic with U+0000", [0x30, 5, 0, 2, 97, 0, 120]],
  ["3.1.1 [MQTT-4.7.3-2] a filter with U+0000", [0x82, 7, 0, 1, 0, 2, 97, 0, 0]],
  ["3.1.1 [MQTT-2.2.2-1] [MQTT-2.2.2-2] PINGREQ with flags", [0xc1, 0]],
  ["3.1.1 [MQTT-2.2.2-2] PUBACK with flags", [0x42, 2, 0, 1]],
  ["3.1.1 [MQTT-2.3.1-1] PUBLISH with identifier 0", [0x32, 6, 0, 1, 97, 0, 0, 120]],
  ["3.1.1 [MQTT-2.3.1-1] SUBSCRIBE with identifier 0", [0x82, 6, 0, 0, 0, 1, 97, 0]],
  ["3.1.1 [MQTT-2.3.1-1] UNSUBSCRIBE with identifier 0", [0xa2, 5, 0, 0, 0, 1, 97]],
  ["3.1.1 [MQTT-3.3.1-2] DUP with QoS 0", [0x38, 4, 0, 1, 97, 120]],
  ["3.1.1 [MQTT-3.3.1-4] QoS 3", [0x36, 6, 0, 1, 97, 0, 1, 120]],
  ["3.1.1 [MQTT-3.3.2-1] a topic longer than its packet", [0x30, 4, 0, 9, 97, 120]],
  ["3.1.1 [MQTT-4.7.3-1] an empty topic", [0x30, 3, 0, 0, 120]],
  ["3.1.1 [MQTT-4.7.1-1] a topic with a wildcard", [0x30, 4, 0, 1, 43, 120]],
  ["3.1.1 [MQTT-3.6.1-1] PUBREL with flags 0000", [0x60, 2, 0, 1]],
  ["3.1.1 [MQTT-3.8.1-1] SUBSCRIBE with flags 0000", [0x80, 6, 0, 1, 0, 1, 97, 0]],
  ["3.1.1 [MQTT-3.8.3-1] a filter that is not UTF-8", [0x82, 7, 0, 1, ...NOT_UTF8, 0]],
  ["3.1.1 [MQTT-3.8.3-3] SUBSCRIBE without a filter", [0x82, 2, 0, 1]],
  ["3.1.1 [MQTT-3.8.3-3] SUBSCRIBE without a QoS", [0x82, 5, 0, 1, 0, 1, 97]],
  ["3.1.1 [MQTT-3.8.3-4] reserved bits beside the QoS", [0x82, 6, 0, 1, 0, 1, 97, 4]],
  ["3.1.1 [MQTT-3.8.3-4] subscription QoS 3", [0x82, 6, 0, 1, 0, 1, 97, 3]],
  ["3.1.1 [MQTT-3.10.1-1] UNSUBSCRIBE with flags 0000", [0xa0, 5, 0, 1, 0, 1, 97]],
  ["3.1.1 [MQTT-3.10.3-1] an UNSUBSCRIBE filter that is not UTF-8", [0xa2, 6, 0, 1, ...NOT_UTF8]],
  ["3.1.1 [MQTT-3.10.3-2] UNSUBSCRIBE without a filter", [0xa2, 2, 0, 1]],
  ["3.1.1 [MQTT-3.14.1-1] DISCONNECT with flags", [0xe1, 0]],
  ["3.1.1 [MQTT-4.8.0-1] a packet that only servers send", [0xd0, 0]],
];

test.each(PACKETS)("%s ends the connection as if it had broken", (_name, bytes) => {
  const world = new World();
  const watcher = world.connect("watcher", { version: 4 });
  watcher.subscribe("#");
  const will = { topic: "will", payload: Buffer.from("gone"), qos: 0 as const, retain: false };
  const client = world.connect("a", { version: 4, will }).sendBytes(bytes);
  expect(client.packets).toEqual([]);
  expect(client.stream.ended).toBe("end");
  expect(watcher.takePayloads()).toEqual(["gone"]);
});
