/** Reason Strings, Request Problem Information, Response Information, and packets larger than a client can take. */

import { expect, test } from "vitest";
import type { Client, Received } from "./support/client.ts";
import { World } from "./support/world.ts";

function reasonOf(packet: Received): unknown {
  return (packet.properties as { reasonString?: string } | undefined)?.reasonString;
}

/** A payload that is not UTF-8, flagged as text: refused. */
function publishRefused(client: Client, fields: object): void {
  client.send({
    cmd: "publish",
    topic: "t",
    payload: Buffer.from([0xff]),
    properties: { payloadFormatIndicator: true },
    ...fields,
  });
}

test("[MQTT-3.1.2-29] without Request Problem Information, or with 1, refusals say why; with 0 none does", () => {
  for (const wants of [undefined, true, false]) {
    const world = new World({ subscriptionsPerClientMax: 1 });
    const properties = wants === undefined ? {} : { requestProblemInformation: wants };
    const expected = wants === false ? undefined : expect.any(String);
    const client = world.connect("a", { properties });
    client.subscribe("a");
    const suback = client.subscribe("b");
    expect(suback.granted).toEqual([0x97]);
    expect(reasonOf(suback)).toEqual(expected);
    publishRefused(client, { qos: 1, messageId: 3 });
    const puback = client.take("puback");
    expect(puback).toMatchObject({ reasonCode: 0x99, messageId: 3 });
    expect(reasonOf(puback)).toEqual(expected);
    client.sendBytes([0x00, 0]);
    const disconnect = client.take("disconnect");
    expect(disconnect.reasonCode).toBe(0x82);
    expect(reasonOf(disconnect)).toEqual(expected);
  }
});

test("CONNACK says why it refuses", () => {
  const world = new World();
  world.allowAnonymous = false;
  expect(reasonOf(world.attempt("a").take("connack"))).toBe("anonymous client");
});

test("[MQTT-3.2.2-19] [MQTT-3.4.2-2] [MQTT-3.9.2-1] [MQTT-3.14.2-3] a reason that would make a packet too large is left out", () => {
  const world = new World({ subscriptionsPerClientMax: 0 });
  const client = world.connect("a", { properties: { maximumPacketSize: 20 } });
  expect(reasonOf(client.subscribe("a"))).toBeUndefined();
  publishRefused(client, { qos: 1, messageId: 1 });
  expect(reasonOf(client.take("puback"))).toBeUndefined();
  client.sendBytes([0x00, 0]);
  expect(reasonOf(client.take("disconnect"))).toBeUndefined();
  world.allowAnonymous = false;
  const refused = world.attempt("b", { properties: { maximumPacketSize: 20 } }).take("connack");
  expect([refused.reasonCode, reasonOf(refused)]).toEqual([0x87, undefined]);
});

test("successful acknowledgements carry no reason", () => {
  const client = new World().connect("a");
  client.publish("t", "x", { qos: 1, messageId: 1 });
  expect([...(client.chunks.at(-1) ?? [])]).toEqual([0x40, 2, 0, 1]);
});

test("[MQTT-3.1.2-24] a client that cannot take the CONNACK is put out and leaves no session", () => {
  const world = new World();
  const client = world.attempt("a", { properties: { maximumPacketSize: 10, sessionExpiryInterval: 100 } });
  expect(client.take("connack").reasonCode).toBe(0x95);
  expect(client.stream.ended).toBe("end");
  const tiny = world.attempt("b", { properties: { maximumPacketSize: 1 } });
  expect(tiny.packets).toEqual([]);
  expect(tiny.stream.ended).toBe("end");
  expect(world.sessionCount).toBe(0);
});

test("[MQTT-3.1.2-28] Response Information comes to who requests it, where a prefix is set, and to nobody else", () => {
  const world = new World({ responseTopicPrefix: "answers" });
  const asked = (clientId: string, wants: boolean | undefined) =>
    world
      .attempt(clientId, {
        ...(wants !== undefined && { properties: { requestResponseInformation: wants } }),
      })
      .take("connack").properties?.responseInformation;
  expect(asked("a", true)).toBe("answers/a");
  expect(asked("a", false)).toBeUndefined();
  expect(asked("a", undefined)).toBeUndefined();
  // It could not be a topic.
  expect(asked("a/#", true)).toBeUndefined();
  const without = new World().attempt("a", { properties: { requestResponseInformation: true } });
  expect(without.take("connack").properties?.responseInformation).toBeUndefined();
});
