/** Session state, expiry, takeover and wills. */

import { expect, test } from "vitest";
import type { Client } from "./support/client.ts";
import { type ConnectOptions, World } from "./support/world.ts";

function durable(seconds: number, fields: ConnectOptions = {}): ConnectOptions {
  return { clean: false, properties: { sessionExpiryInterval: seconds }, ...fields };
}

function will(payload: string, fields: object = {}): ConnectOptions {
  return { will: { topic: "will", payload, qos: 1, retain: false, ...fields } } as ConnectOptions;
}

/** A world with a client that sees all wills. */
function watched(world = new World()): { readonly world: World; readonly watcher: Client } {
  const watcher = world.connect("watcher");
  watcher.subscribe("will", 1);
  return { world, watcher };
}

test("[MQTT-3.1.2-4] Clean Start discards the session", () => {
  const world = new World();
  const client = world.connect("a", durable(100));
  client.subscribe("t", 1);
  client.sever();
  world.connect("p").publish("t", "x", { qos: 1, messageId: 1 });
  const back = world.attempt("a", { ...durable(100), clean: true });
  expect(back.take("connack").sessionPresent).toBe(false);
  expect(back.packets).toEqual([]);
});

test("[MQTT-3.1.2-5] [MQTT-3.1.2-23] a session within its expiry is resumed with its subscriptions", () => {
  const world = new World();
  const client = world.connect("a", durable(100));
  client.subscribe("t", 1);
  client.disconnect();
  world.pass(90_000);
  const back = world.attempt("a", durable(100));
  expect(back.take("connack").sessionPresent).toBe(true);
  world.connect("p").publish("t", "x");
  expect(back.takePayloads()).toEqual(["x"]);
});

test("[MQTT-4.1.0-2] a session is discarded when its expiry has passed", () => {
  const world = new World();
  const client = world.connect("a", durable(100));
  client.subscribe("t", 1);
  client.sever();
  world.pass(101_000);
  expect(world.sessionCount).toBe(0);
  expect(world.attempt("a", durable(100)).take("connack").sessionPresent).toBe(false);
});

test("[MQTT-4.1.0-1] a session does not expire while it is connected", () => {
  const world = new World();
  const client = world.connect("a", durable(10));
  client.subscribe("t");
  client.sever();
  world.pass(5_000);
  const back = world.connect("a", durable(10));
  world.pass(60_000);
  world.connect("p").publish("t", "x");
  expect(back.takePayloads()).toEqual(["x"]);
});

test("without Session Expiry Interval the session ends with its connection", () => {
  const world = new World();
  world.connect("a", { clean: false }).sever();
  expect(world.sessionCount).toBe(0);
  expect(world.attempt("a", { clean: false }).take("connack").sessionPresent).toBe(false);
});

test("3.1.1 [MQTT-3.1.2-4] [MQTT-3.1.2-6] Clean Session 0 keeps the session, 1 discards it before and after", () => {
  const world = new World();
  const present = (clean: boolean) => {
    const client = world.attempt("a", { version: 4, clean });
    const { sessionPresent } = client.take("connack");
    client.disconnect();
    return sessionPresent;
  };
  expect([false, false, true, false].map(present)).toEqual([false, true, false, false]);
});

test("a 3.1.1 session lives for the configured maximum and no longer", () => {
  const world = new World({ sessionExpiryMaxSeconds: 60 });
  world.connect("a", { version: 4, clean: false }).sever();
  world.pass(59_000);
  expect(world.sessionCount).toBe(1);
  world.pass(2_000);
  expect(world.sessionCount).toBe(0);
});

test("DISCONNECT may change the Session Expiry Interval", () => {
  const world = new World();
  world.connect("a", durable(100)).disconnect({ properties: { sessionExpiryInterval: 5 } });
  world.pass(6_000);
  expect(world.sessionCount).toBe(0);
});

test("DISCONNECT must not bring an expiry that CONNECT had as 0 [MQTT 5 section 3.14.2.2.2]", () => {
  const world = new World();
  const client = world.connect("a");
  client.send({ cmd: "disconnect", reasonCode: 0, properties: { sessionExpiryInterval: 5 } });
  expect(client.take("disconnect").reasonCode).toBe(0x82);
  expect(world.sessionCount).toBe(0);
});

test("[MQTT-3.1.4-3] a takeover hands the session on: nothing is lost, the older connection gets nothing more", () => {
  const world = new World();
  const older = world.connect("a", durable(100));
  older.subscribe("t", 1);
  const publisher = world.connect("p").publish("t", "1", { qos: 1, messageId: 1 });
  older.takePayloads();
  const newer = world.attempt("a", durable(100));
  expect(newer.take("connack").sessionPresent).toBe(true);
  publisher.publish("t", "2", { qos: 1, messageId: 2 });
  expect(newer.takePayloads()).toEqual(["1", "2"]);
  expect(older.take("disconnect").reasonCode).toBe(0x8e);
  expect(older.packets).toEqual([]);
});

test("sessions without a connection are bounded: the one longest away is ended", () => {
  const world = World.withoutMesh("memory", { offlineSessionsMax: 2 });
  for (const id of ["a", "b", "c"]) world.connect(id, durable(1000)).sever();
  expect(world.attempt("a", durable(1000)).take("connack").sessionPresent).toBe(false);
  expect(world.attempt("b", durable(1000)).take("connack").sessionPresent).toBe(true);
  expect(world.attempt("c", durable(1000)).take("connack").sessionPresent).toBe(true);
});

test("[MQTT-3.1.2-8] the will is published when the connection breaks", () => {
  const { world, watcher } = watched();
  world.connect("a", will("gone")).sever();
  expect(watcher.take("publish")).toMatchObject({ topic: "will", qos: 1, retain: false });
});

test.each([4, 5] as const)(
  "[MQTT-3.14.4-3] [MQTT-3.1.2-10] level %i: DISCONNECT takes the will back",
  (version) => {
    const { world, watcher } = watched();
    world.connect("a", { ...will("gone"), version }).disconnect();
    expect(watcher.packets).toEqual([]);
  },
);

test("DISCONNECT 0x04 asks for the will, and so does any failure code", () => {
  const { world, watcher } = watched();
  world.connect("a", will("1")).disconnect({ reasonCode: 0x04 });
  world.connect("a", will("2")).disconnect({ reasonCode: 0x80 });
  expect(watcher.takePayloads()).toEqual(["1", "2"]);
});

test("[MQTT-3.1.2-8] the will is published on keep-alive timeout, Protocol Error and takeover", () => {
  const { world, watcher } = watched(World.onOneNode("takeover"));
  world.connect("a", { ...will("timeout"), keepalive: 2 });
  world.pass(4_000);
  world.connect("b", will("error")).sendBytes([0x00, 0]);
  world.connect("c", will("takeover"));
  world.connect("c", {});
  expect(watcher.takePayloads()).toEqual(["timeout", "error", "takeover"]);
});

test("[MQTT-3.1.2-14] [MQTT-3.1.2-15] will retain decides whether the will is retained", () => {
  const { world } = watched();
  world.connect("a", will("not", { retain: false })).sever();
  expect(world.retainedCount).toBe(0);
  world.connect("a", will("kept", { retain: true })).sever();
  const late = world.connect("late");
  late.subscribe("will");
  expect(late.takePayloads()).toEqual(["kept"]);
});

test("[MQTT-3.1.2-9] all properties of a will travel with it, and stay with a retained one, its expiry as remaining time", () => {
  const { world, watcher } = watched();
  const properties = {
    payloadFormatIndicator: true,
    messageExpiryInterval: 100,
    contentType: "text/plain",
    responseTopic: "answers",
    correlationData: Buffer.from([1, 2, 3]),
    userProperties: { unit: "V", place: ["hall", "stairs"] },
  };
  world
    .connect("a", will("gone", { retain: true, properties: { ...properties, willDelayInterval: 0 } }))
    .sever();
  expect({ ...watcher.take("publish").properties }).toEqual(properties);
  world.pass(30_000);
  const late = world.connect("late");
  late.subscribe("will", 1);
  const { properties: stored, retain } = late.take("publish");
  expect(retain).toBe(true);
  expect({ ...stored }).toEqual({ ...properties, messageExpiryInterval: 70 });
  world.pass(70_500);
  const later = world.connect("later");
  later.subscribe("will", 1);
  expect(later.packets).toEqual([]);
});

test("[MQTT-3.1.2-8] a Will Delay Interval holds the will back", () => {
  const { world, watcher } = watched();
  world.connect("a", durable(100, will("gone", { properties: { willDelayInterval: 20 } }))).sever();
  world.pass(19_000);
  expect(watcher.packets).toEqual([]);
  world.pass(1_500);
  expect(watcher.takePayloads()).toEqual(["gone"]);
  world.pass(100_000);
  expect(watcher.packets).toEqual([]);
});

test("[MQTT-3.1.3-9] a client that is back before its Will Delay has no will published", () => {
  const { world, watcher } = watched();
  world.connect("a", durable(100, will("gone", { properties: { willDelayInterval: 20 } }))).sever();
  world.pass(10_000);
  world.connect("a", durable(100));
  world.pass(60_000);
  expect(watcher.packets).toEqual([]);
});

test("[MQTT-3.1.2-8] a delayed will is published when its session ends first", () => {
  const { world, watcher } = watched();
  const delayed = (seconds: number, payload: string) =>
    durable(seconds, will(payload, { properties: { willDelayInterval: 500 } }));
  world.connect("a", delayed(10, "expired")).sever();
  world.pass(10_500);
  expect(watcher.takePayloads()).toEqual(["expired"]);
  world.connect("b", delayed(1000, "replaced")).sever();
  world.connect("b", { clean: true });
  expect(watcher.takePayloads()).toEqual(["replaced"]);
  world.connect("c", delayed(0, "at once")).sever();
  expect(watcher.takePayloads()).toEqual(["at once"]);
});

test("a will is published before the CONNACK of the connection that took over, so it cannot undo what that says", () => {
  const { world, watcher } = watched(World.onOneNode("takeover"));
  world.connect("a", will("offline"));
  world.connect("a", will("offline")).publish("will", "online");
  expect(watcher.takePayloads()).toEqual(["offline", "online"]);
});

test("shutdown and a move of the floating address publish no wills", () => {
  const { world, watcher } = watched();
  world.connect("a", { ...will("gone"), localAddress: "192.0.2.99" });
  world.onEveryBroker((broker) => broker.resetClientsOn("192.0.2.99", undefined));
  expect(watcher.packets).toEqual([]);
  world.connect("b", will("gone"));
  world.onEveryBroker((broker) => broker.shutdown(undefined));
  expect(watcher.takePayloads()).toEqual([]);
  expect(world.count("willsPublished")).toBe(0);
});

test("a session that came back does not count as one without a connection", () => {
  const world = World.withoutMesh("memory", { offlineSessionsMax: 2 });
  world.connect("a", durable(1000)).sever();
  const back = world.connect("a", durable(1000));
  back.subscribe("t");
  for (const id of ["b", "c"]) world.connect(id, durable(1000)).sever();
  world.connect("p").publish("t", "x");
  expect(back.takePayloads()).toEqual(["x"]);
  expect(world.sessionCount).toBe(4);
});
