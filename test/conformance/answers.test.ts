/** The Reason Codes of 5.0 that answers have, how a connection ends, and answers that must stay small. */

import { expect, test } from "vitest";
import type { Client } from "./support/client.ts";
import { World } from "./support/world.ts";

const SUBSCRIBE_CODES = [0, 1, 2, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2];
const UNSUBSCRIBE_CODES = [0, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91];
/** Those that a server may send. */
const DISCONNECT_CODES = [
  0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98,
  0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
];
/** The smallest CONNACK fits into it, a Reason String beside anything does not. */
const SMALL = { maximumPacketSize: 14, sessionExpiryInterval: 60 };

const FILTERS = ["a", "#", "a/#/b", "", "$share/g/t", "$share/", "+/+", "b+", "$share//t", "\u{1f99c}"];

test("[MQTT-3.9.3-2] [MQTT-3.11.3-2] whatever is asked for, each filter gets one of the codes of SUBACK and UNSUBACK", () => {
  const client = new World({ subscriptionsPerClientMax: 3 }).connect("a");
  client.send({ cmd: "subscribe", messageId: 1, subscriptions: FILTERS.map((topic) => ({ topic, qos: 2 })) });
  const { granted = [] } = client.take("suback");
  expect(granted).toHaveLength(FILTERS.length);
  for (const code of granted) expect(SUBSCRIBE_CODES).toContain(code);
  client.send({ cmd: "unsubscribe", messageId: 2, unsubscriptions: FILTERS });
  const { granted: ended = [] } = client.take("unsuback");
  expect(ended).toHaveLength(FILTERS.length);
  for (const code of ended) expect(UNSUBSCRIBE_CODES).toContain(code);
});

/** Each does something that ends the connection of `client`. */
const ENDINGS: readonly [string, (client: Client, world: World) => unknown][] = [
  ["a malformed packet", (client) => client.sendBytes([0x63, 2, 0, 1])],
  ["a Protocol Error", (client) => client.sendBytes([0xd0, 0])],
  ["a wildcard in a topic", (client) => client.publish("a/#", "x")],
  ["an alias that is not allowed", (client) => client.publish("a", "x", { properties: { topicAlias: 999 } })],
  ["a packet that is too large", (client) => client.sendBytes([0x30, 0xff, 0xff, 0xff, 0x7f])],
  ["silence", (_client, world) => world.pass(4_000)],
  ["a newer connection", (_client, world) => world.connect("a")],
  ["a shutdown", (_client, world) => world.onEveryBroker((broker) => broker.shutdown(undefined))],
];

test.each(ENDINGS)(
  "[MQTT-3.14.2-1] [MQTT-3.14.2-2] [MQTT-3.14.4-1] [MQTT-3.14.4-2] [MQTT-4.13.2-1] after %s comes one DISCONNECT with a code of its own, then nothing, then the end",
  (_name, end) => {
    const world = new World();
    const client = world.connect("a", { keepalive: 2, properties: { sessionExpiryInterval: 60 } });
    client.subscribe("t", 1);
    end(client, world);
    const { reasonCode, properties } = client.take("disconnect");
    expect(DISCONNECT_CODES).toContain(reasonCode);
    expect(reasonCode).toBeGreaterThanOrEqual(0x80);
    expect(properties ?? {}).not.toHaveProperty("sessionExpiryInterval");
    expect(client.stream.ended).toBe("end");
    client.sendBytes([0xc0, 0]);
    expect(client.packets).toEqual([]);
  },
);

test.each(ENDINGS)(
  "[MQTT-3.14.2-3] to a client that takes small packets only, the DISCONNECT after %s has no Reason String",
  (_name, end) => {
    const world = new World();
    const client = world.connect("a", { keepalive: 2, properties: SMALL });
    end(client, world);
    expect(client.take("disconnect").properties ?? {}).not.toHaveProperty("reasonString");
    for (const chunk of client.chunks) expect(chunk.length).toBeLessThanOrEqual(14);
  },
);

test("[MQTT-3.2.2-19] a refusal that must stay small is told without a Reason String", () => {
  const world = new World();
  const will = { topic: "a/#", payload: Buffer.from("x"), qos: 0 as const, retain: false };
  const refused = [
    world.attempt("a", { properties: { ...SMALL, authenticationMethod: "unheard of" } }),
    world.attempt("a", { will, properties: SMALL }),
  ];
  world.allowAnonymous = false;
  refused.push(world.attempt("a", { properties: SMALL }));
  for (const client of refused) {
    expect(client.take("connack").properties ?? {}).not.toHaveProperty("reasonString");
    for (const chunk of client.chunks) expect(chunk.length).toBeLessThanOrEqual(14);
  }
});

test.each([
  ["[MQTT-3.6.2-2] PUBREL", { cmd: "pubrec", messageId: 77, reasonCode: 0 }, "pubrel"],
  ["[MQTT-3.7.2-2] PUBCOMP", { cmd: "pubrel", messageId: 77 }, "pubcomp"],
  [
    "[MQTT-3.9.2-1] SUBACK",
    { cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "b+", qos: 0 }] },
    "suback",
  ],
  ["[MQTT-3.11.2-1] UNSUBACK", { cmd: "unsubscribe", messageId: 1, unsubscriptions: ["t"] }, "unsuback"],
] as const)(
  "%s that must stay small says what is wrong without a Reason String",
  (_name, request, answer) => {
    const client = new World().connect("a", { properties: SMALL });
    client.chunks.length = 0;
    const { reasonCode, granted, properties } = client.send(request).take(answer);
    expect(granted?.[0] ?? reasonCode).toBeGreaterThan(2);
    expect(properties ?? {}).not.toHaveProperty("reasonString");
    for (const chunk of client.chunks) expect(chunk.length).toBeLessThanOrEqual(14);
  },
);
