/** Retained messages after a SUBSCRIBE while the store first has to find out what is committed elsewhere (P8). */

import { expect, test } from "vitest";
import { HeldWorld } from "../support/held-world.ts";

const DURABLE = { clean: false, properties: { sessionExpiryInterval: 1000 } };

/** A broker with retained messages, whose store lets nobody read for the moment. */
function held(topics: Readonly<Record<string, string>>, options = {}): HeldWorld {
  const world = new HeldWorld(options);
  const publisher = world.connect("p");
  for (const [topic, payload] of Object.entries(topics)) publisher.publish(topic, payload, { retain: true });
  publisher.disconnect();
  world.store.isHolding = true;
  return world;
}

test("SUBACK does not wait for the store, and the retained messages follow when it lets them be read", () => {
  const world = held({ "t/a": "1", "t/b": "2" });
  const client = world.connect("a");
  expect(client.subscribe("t/+").granted).toEqual([0]);
  expect(client.packets).toEqual([]);
  world.letRead();
  expect(client.takePayloads()).toEqual(["1", "2"]);
});

test("the store is asked when the barrier is open, not before: what was published until then may be known to it alone", () => {
  const world = held({ t: "1" });
  world.mesh.isHolding = true;
  const client = world.connect("a");
  client.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "t", qos: 0 }] });
  expect(world.store.held).toHaveLength(0);
  world.answer();
  expect(world.store.held).toHaveLength(1);
});

test("what is replayed is what the store holds when it lets be read", () => {
  const world = held({ t: "old" });
  const client = world.connect("a");
  client.subscribe("t");
  // From a node that does not route to this one yet: it reaches the store only.
  const payload = Buffer.from("new");
  world.store.put({ topic: "t", payload, qos: 0, retain: true, properties: undefined }, undefined);
  world.letRead();
  expect(client.takePayloads()).toEqual(["new"]);
});

test("P8: a message that comes live meanwhile is not followed by the older one of its topic", () => {
  const world = held({ "t/a": "old", "t/b": "old", "t/c": "old" });
  const client = world.connect("a");
  client.subscribe("t/+");
  // They have been published on another node; this node's store does not have them yet.
  const live = {
    topic: "t/a",
    payload: Buffer.from("new"),
    qos: 0,
    retain: true,
    properties: undefined,
  } as const;
  world.broker.deliver(live);
  world.broker.deliver({ ...live, topic: "t/b", payload: Buffer.from("") });
  world.settle();
  expect(client.takePayloads()).toEqual(["new", ""]);
  world.letRead();
  expect(client.takePayloads(), "only what nothing live has replaced").toEqual(["old"]);
});

test("a message without RETAIN that comes live meanwhile replaces nothing", () => {
  const world = held({ t: "kept" });
  const client = world.connect("a");
  client.subscribe("t");
  world.connect("p").publish("t", "passing");
  world.letRead();
  expect(client.takePayloads()).toEqual(["passing", "kept"]);
});

test("one question at a time for each session; who subscribes while it is open is answered by the next one", () => {
  const world = held({ a: "1", b: "2", c: "3" });
  const client = world.connect("a");
  for (const filter of ["a", "b", "c"]) client.subscribe(filter);
  expect(world.store.held).toHaveLength(1);
  world.letRead();
  expect(client.takePayloads()).toEqual(["1"]);
  expect(world.store.held).toHaveLength(1);
  world.letRead();
  expect(client.takePayloads()).toEqual(["2", "3"]);
  expect(world.store.held).toEqual([]);
});

test("a subscription that ends or is replaced while the store is asked gets nothing, or is replayed once", () => {
  const world = held({ a: "1", b: "2" });
  const client = world.connect("a");
  client.subscribe("a");
  client.subscribe("b");
  client.send({ cmd: "unsubscribe", messageId: 1, unsubscriptions: ["a"] });
  client.subscribe("b", 0);
  world.letRead();
  world.letRead();
  expect(client.takePayloads()).toEqual(["2"]);
});

test("a client that has gone while the store is asked is no problem; one whose session lives on gets its messages", () => {
  const world = held({ t: "1" });
  const [gone, away] = [world.connect("gone"), world.connect("away", DURABLE)];
  for (const client of [gone, away]) client.subscribe("t");
  for (const client of [gone, away]) client.sever();
  expect(() => world.letRead()).not.toThrow();
  expect(world.connect("away", DURABLE).takePayloads()).toEqual(["1"]);
  expect(world.connect("gone").packets).toEqual([]);
});

test("nobody asks the store without need: shared subscriptions, Retain Handling 2, refused filters", () => {
  const world = held({ t: "1" });
  const client = world.connect("a");
  client.subscribe("$share/g/t");
  client.subscribe("t", 0, { rh: 2 });
  client.subscribe("a/#/b");
  expect(world.store.held).toEqual([]);
});

test("subscribing anew to many filters whose replay waits takes no time that grows with their square", () => {
  const world = new HeldWorld({ filtersPerSubscribeMax: 20_000, subscriptionsPerClientMax: 20_000 });
  const client = world.connect("a");
  world.store.isHolding = true;
  const subscriptions = Array.from({ length: 10_000 }, (_, i) => ({ topic: `t/${i}`, qos: 0 }));
  client.send({ cmd: "subscribe", messageId: 1, subscriptions });
  const begun = performance.now();
  for (let i = 0; i < 5; i++) client.send({ cmd: "subscribe", messageId: 1, subscriptions });
  // A search in a list of 10,000 for each of 50,000 took many seconds; this takes a few hundred milliseconds.
  expect(performance.now() - begun).toBeLessThan(4_000);
});
