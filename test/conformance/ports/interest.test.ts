/** What a broker tells the mesh that its subscribers want, and what it makes of messages from other nodes. */

import { expect, test } from "vitest";
import { connectPacket } from "../support/client.ts";
import { HeldWorld } from "../support/held-world.ts";

const DURABLE = { clean: false, properties: { sessionExpiryInterval: 100 } };

test("interest in a filter lasts as long as its subscription, however that ends", () => {
  const world = new HeldWorld();
  const wanted = () => Object.fromEntries(world.mesh.wanted);
  const client = world.connect("a", DURABLE);
  client.subscribe("t", 0);
  client.subscribe("t", 2);
  expect(wanted()).toEqual({ t: 1 });
  client.send({ cmd: "unsubscribe", messageId: 8, unsubscriptions: ["t"] });
  expect(wanted()).toEqual({});
  client.subscribe("u", 1);
  client.sever();
  world.pass(90_000);
  expect(wanted()).toEqual({ u: 1 });
  world.pass(11_000);
  expect(wanted(), "expired").toEqual({});
  const again = world.connect("a", DURABLE);
  again.subscribe("v", 1);
  world.connect("a", { ...DURABLE, clean: true });
  expect(wanted(), "Clean Start").toEqual({});
  const wrong = world.connect("b");
  wrong.subscribe("w");
  wrong.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "$share/g/t", qos: 0, nl: true }] });
  expect(wanted(), "Protocol Error").toEqual({});
});

test("every interest is taken back when the session ends", () => {
  const world = new HeldWorld();
  const client = world.open();
  client.sendTogether(
    connectPacket(5, "a", {}),
    ...["a", "b/#", "$share/g/c", "a"].map((topic, i) => ({
      cmd: "subscribe",
      messageId: i + 1,
      subscriptions: [{ topic, qos: 0 }],
    })),
  );
  expect(world.mesh.wanted.size).toBe(3);
  client.sever();
  expect([...world.mesh.wanted]).toEqual([]);
});

test("thousands of clients come and go and no interest is left", () => {
  const world = new HeldWorld();
  for (let i = 0; i < 2_000; i++) {
    const client = world.connect(`c${i}`, { version: i % 2 === 0 ? 4 : 5 });
    client.subscribe(`t/${i}/#`, 1);
    if (i % 2 === 0) client.disconnect();
    else client.sever();
  }
  expect(world.mesh.wanted.size).toBe(0);
});

test("a message from another node goes to ordinary subscribers only and is not forwarded again", () => {
  const world = new HeldWorld();
  const subscriber = world.connect("s");
  subscriber.subscribe("#", 2);
  const member = world.connect("m");
  member.subscribe("$share/g/#");
  const payload = Buffer.from("far");
  world.broker.deliver({ topic: "t", payload, qos: 1, retain: false, properties: undefined });
  world.settle();
  expect(subscriber.takePayloads()).toEqual(["far"]);
  expect(member.packets).toEqual([]);
  expect(world.mesh.forwarded).toEqual([]);
});

test("deliverShared says whether there is a member here", () => {
  const world = new HeldWorld();
  const client = world.connect("a");
  client.subscribe("$share/g/t");
  const message = {
    topic: "t",
    payload: Buffer.from("x"),
    qos: 0 as const,
    retain: false,
    properties: undefined,
  };
  expect(world.broker.deliverShared("$share/g/t", message)).toBe(true);
  expect(world.broker.deliverShared("$share/h/t", message)).toBe(false);
  client.disconnect();
  expect(world.broker.deliverShared("$share/g/t", message)).toBe(false);
});
