/** Payload Format Indicator: what claims to be text must be text. MQTT 5 sections 3.1.3.2.3 and 3.3.2.3.2. */

import { expect, test } from "vitest";
import { World } from "./support/world.ts";

const TEXT = { properties: { payloadFormatIndicator: true } };
const BYTES = Buffer.from([0x66, 0xc3, 0x28]);

test("[MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-4.3.3-9] text that is not UTF-8 is refused with 0x99: PUBACK, PUBREC, and DISCONNECT for QoS 0", () => {
  const world = new World();
  const watcher = world.connect("w");
  watcher.subscribe("#", 2);
  const client = world.connect("a");
  client.send({ cmd: "publish", topic: "t", payload: BYTES, qos: 1, messageId: 1, ...TEXT });
  expect(client.take("puback").reasonCode).toBe(0x99);
  client.send({ cmd: "publish", topic: "t", payload: BYTES, qos: 2, messageId: 2, ...TEXT });
  expect(client.take("pubrec").reasonCode).toBe(0x99);
  // The identifier is free again.
  client.publish("t", "fine", { qos: 2, messageId: 2, ...TEXT });
  expect(client.take("pubrec").reasonCode).toBe(0);
  client.send({ cmd: "publish", topic: "t", payload: BYTES, qos: 0, ...TEXT });
  expect(client.take("disconnect").reasonCode).toBe(0x99);
  expect(watcher.takePayloads()).toEqual(["fine"]);
});

test.each([
  ["is told in a Reason String", 1000, true],
  ["is not told if that would make the packet too large for the client", 14, false],
])("[MQTT-3.4.2-2] [MQTT-3.5.2-2] why a message is refused %s", (_what, maximumPacketSize, isTold) => {
  const client = new World().connect("a", { properties: { maximumPacketSize } });
  client.chunks.length = 0;
  client.send({ cmd: "publish", topic: "t", payload: BYTES, qos: 1, messageId: 1, ...TEXT });
  client.send({ cmd: "publish", topic: "t", payload: BYTES, qos: 2, messageId: 2, ...TEXT });
  for (const cmd of ["puback", "pubrec"] as const) {
    const { reasonCode, properties } = client.take(cmd);
    expect(reasonCode).toBe(0x99);
    expect("reasonString" in (properties ?? {})).toBe(isTold);
  }
  for (const chunk of client.chunks) expect(chunk.length).toBeLessThanOrEqual(maximumPacketSize);
});

test("without the indicator, or with 0, any bytes pass; with it all of Unicode and U+0000", () => {
  const world = new World();
  const watcher = world.connect("w");
  watcher.subscribe("#");
  const client = world.connect("a");
  client.send({ cmd: "publish", topic: "t", payload: BYTES, qos: 0 });
  client.send({
    cmd: "publish",
    topic: "t",
    payload: BYTES,
    qos: 0,
    properties: { payloadFormatIndicator: false },
  });
  client.publish("t", "\u0000 \u00e4 \u20ac \u{1f600}", TEXT);
  expect(watcher.takeAll("publish")).toHaveLength(3);
});

test("[MQTT5-3.1.3.2.3] a will that is not the text it claims to be is refused with CONNACK 0x99", () => {
  const will = {
    topic: "t",
    payload: BYTES,
    qos: 0,
    retain: false,
    properties: { payloadFormatIndicator: true },
  };
  const client = new World().attempt("a", { will } as object);
  expect(client.take("connack").reasonCode).toBe(0x99);
});
