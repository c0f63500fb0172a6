/** Limits that a client can run into: each with its answer, each without harm to others. docs/reference/limits.md lists them. */

import { expect, test } from "vitest";
import { World } from "./support/world.ts";

const DURABLE = { clean: false, properties: { sessionExpiryInterval: 1000 } };

test("a client that sends and does not read is not read from: answers stay within the bound, and all come in the end", () => {
  const world = new World({ outboundBytesMax: 4_000 });
  const client = world.connect("a");
  const other = world.connect("b");
  client.stream.stick();
  const pings = Buffer.concat(Array.from({ length: 1_000 }, () => client.encode({ cmd: "pingreq" })));
  let sent = 0;
  for (; sent < 100 && !client.stream.isPaused; sent++) client.sendBytes(pings);
  expect(sent).toBeLessThan(5);
  expect(client.stream.bufferedBytes).toBeLessThan(4_000 + 2 * pings.length);
  other.send({ cmd: "pingreq" }).take("pingresp");
  client.stream.unstick();
  world.settle();
  expect(client.stream.isPaused).toBe(false);
  expect(client.takeAll("pingresp")).toHaveLength(sent * 1_000);
});

test("[MQTT-3.1.2-22] a client that takes nothing for 1.5 keep-alives is gone, one that takes something is not", () => {
  const world = new World({ outboundBytesMax: 100 });
  const flood = (clientId: string) => {
    const client = world.connect(clientId, { keepalive: 10 });
    client.stream.stick();
    client.sendTogether(...Array.from({ length: 100 }, () => ({ cmd: "pingreq" })));
    expect(client.stream.isPaused).toBe(true);
    return client;
  };
  const slow = flood("slow");
  const stalled = flood("stalled");
  for (let i = 0; i < 10; i++) {
    world.pass(5_000);
    slow.stream.bufferedBytes -= 1;
  }
  expect(slow.stream.ended).toBeUndefined();
  expect(stalled.stream.ended).not.toBeUndefined();
});

test("[MQTT-3.3.2-1] a topic that is longer or deeper than allowed is refused with 0x90, a filter with 0x8F", () => {
  const world = new World({ topicBytesMax: 20, topicLevelsMax: 4 });
  const client = world.connect("a");
  client.publish("x".repeat(20), "ok", { qos: 1, messageId: 1 }).take("puback");
  client.publish("1/2/3/4", "ok", { qos: 1, messageId: 2 }).take("puback");
  for (const filter of ["x".repeat(21), "\u00e4".repeat(11), "1/2/3/4/#"]) {
    expect(client.subscribe(filter).granted).toEqual([0x8f]);
  }
  expect(client.subscribe("1/2/3/#").granted).toEqual([0]);
  for (const topic of ["x".repeat(21), "1/2/3/4/5"]) {
    const offender = world.connect("b").publish(topic, "x");
    expect(offender.take("disconnect").reasonCode).toBe(0x90);
    const will = { topic, payload: "x", qos: 0, retain: false } as const;
    expect(world.attempt("c", { will } as object).take("connack").reasonCode).toBe(0x90);
  }
});

test("the filters of one client are bounded in length too: 0x97, and unsubscribing makes room", () => {
  const world = new World({ subscriptionLengthPerClientMax: 25 });
  const client = world.connect("a");
  expect(client.subscribe("0123456789").granted).toEqual([0]);
  expect(client.subscribe("0123456789/").granted).toEqual([0]);
  expect(client.subscribe("01234").granted).toEqual([0x97]);
  expect(client.subscribe("0123456789", 1).granted).toEqual([1]);
  client.send({ cmd: "unsubscribe", messageId: 1, unsubscriptions: ["0123456789"] });
  expect(client.subscribe("01234").granted).toEqual([0]);
});

test("a queue counts user properties: it is not a way around the bound in bytes", () => {
  const world = new World({ queuedBytesMax: 10_000 });
  const away = world.connect("a", DURABLE);
  away.subscribe("t", 1);
  away.sever();
  const userProperties = { n: Array.from({ length: 10 }, () => "x".repeat(600)) };
  const publisher = world.connect("p");
  for (let i = 0; i < 5; i++)
    publisher.publish("t", "", { qos: 1, messageId: 1, properties: { userProperties } });
  expect(world.count("queueFullDropped")).toBe(4);
});

test("connections from one address above the rate are reset without a CONNACK (P11), and time heals", () => {
  const world = World.onOneNode("limit", { connectsPerSecondMax: 1, connectsBurstMax: 3 });
  for (let i = 0; i < 3; i++) world.connect(`a${i}`);
  const tooMany = world.attempt("a3");
  expect(tooMany.stream.ended).toBe("reset");
  expect(tooMany.packets).toEqual([]);
  expect(world.count("connectionsRefused")).toBe(1);
  world.pass(1_000);
  world.connect("a4");
  expect(world.attempt("a5").stream.ended).toBe("reset");
});

test("of connections that say nothing the oldest makes room: a flood of them keeps nobody out", () => {
  const world = World.onOneNode("limit", { connectingMax: 3 });
  const silent = Array.from({ length: 5 }, () => world.open());
  expect(silent.map(({ stream }) => stream.ended)).toEqual([
    "reset",
    "reset",
    undefined,
    undefined,
    undefined,
  ]);
  for (const { packets } of silent) expect(packets).toEqual([]);
  const client = world.connect("a");
  for (let i = 0; i < 10; i++) world.open();
  expect(client.stream.ended).toBeUndefined();
  expect(world.connect("b").stream.ended).toBeUndefined();
});

test("[MQTT-3.3.2-6] a message that is sent again tells what is left of its expiry, and is sent even if nothing is", () => {
  const world = new World();
  const first = world.connect("a", DURABLE);
  first.subscribe("t", 1);
  const publisher = world.connect("p");
  publisher.publish("t", "x", { qos: 1, messageId: 1, properties: { messageExpiryInterval: 60 } });
  publisher.publish("t", "y", { qos: 1, messageId: 1 });
  expect(first.take("publish").properties?.messageExpiryInterval).toBe(60);
  first.sever();
  world.pass(20_000);
  const second = world.connect("a", DURABLE);
  expect(second.takeAll("publish").map(({ properties }) => properties?.messageExpiryInterval)).toEqual([
    40,
    undefined,
  ]);
  second.sever();
  world.pass(60_000);
  const third = world.connect("a", DURABLE);
  expect(third.takeAll("publish").map(({ properties }) => properties?.messageExpiryInterval)).toEqual([
    0,
    undefined,
  ]);
});

test("[MQTT-3.3.2-5] [MQTT-3.3.2-6] a retained message that waits for a slow reader expires, or tells what is left", () => {
  const world = new World({ outboundBytesMax: 500 });
  const publisher = world.connect("p");
  const retained = (topic: string, messageExpiryInterval?: number): void => {
    const properties = messageExpiryInterval === undefined ? {} : { messageExpiryInterval };
    publisher.publish(topic, "x".repeat(100), { retain: true, properties });
  };
  for (let i = 0; i < 10; i++) retained(`r/${i}`);
  retained("r/short", 10);
  retained("r/long", 100);
  const slow = world.connect("slow", { keepalive: 0 });
  slow.stream.stick();
  slow.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "r/#", qos: 0 }] });
  slow.stream.unstick();
  slow.stream.stick();
  world.settle();
  world.pass(20_000);
  for (let i = 0; i < 20; i++) {
    slow.stream.unstick();
    slow.stream.stick();
    world.settle();
  }
  const came = slow
    .takeAll("publish")
    .map(({ topic, properties }) => [topic, properties?.messageExpiryInterval]);
  expect(came).toHaveLength(11);
  expect(came.find(([topic]) => topic === "r/short")).toBeUndefined();
  expect(came.find(([topic]) => topic === "r/long")?.[1]).toBe(80);
});

test("sessions left behind with full queues cannot take all memory: together they are bounded, and give it back when they end", () => {
  const world = World.withoutMesh("memory", { queuedTotalBytesMax: 40_000 });
  const leaveBehind = (clientId: string, clean = false): void => {
    const client = world.connect(clientId, { ...DURABLE, clean });
    client.subscribe(clientId, 1);
    client.sever();
    for (let i = 0; i < 30; i++) {
      world.connect("p").publish(clientId, "x".repeat(900), { qos: 1, messageId: 1 });
    }
  };
  const dropped = (): number => world.count("queueFullDropped");
  leaveBehind("one");
  const byOne = dropped();
  expect(byOne).toBe(11);
  leaveBehind("two");
  // Half of the half that anybody may have, though that is used up.
  expect(dropped() - byOne).toBe(21);
  world.connect("one", { clean: true }).disconnect();
  world.connect("two", { clean: true }).disconnect();
  const before = dropped();
  leaveBehind("three");
  expect(dropped() - before).toBe(11);
});
