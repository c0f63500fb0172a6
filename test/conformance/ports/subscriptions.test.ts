/** SUBACK while the mesh does not route to this node yet, or refuses to (P4). */

import { expect, test } from "vitest";
import { HeldWorld } from "../support/held-world.ts";

test("SUBACK comes only when the mesh routes to us (P4), messages may come before", () => {
  const world = new HeldWorld();
  world.mesh.isHolding = true;
  const client = world
    .connect("a")
    .send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "t", qos: 0 }] });
  expect(client.packets).toEqual([]);
  world.connect("p").publish("t", "early");
  expect(client.takePayloads()).toEqual(["early"]);
  world.answer();
  client.take("suback");
});

test("a retained message that came live while SUBACK waited is not replayed after it", () => {
  const world = new HeldWorld();
  const publisher = world.connect("p");
  publisher.publish("t/before", "old", { retain: true }).publish("t/during", "old", { retain: true });
  world.mesh.isHolding = true;
  const client = world
    .connect("a")
    .send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "t/+", qos: 0 }] });
  publisher.publish("t/during", "new", { retain: true });
  expect(client.takePayloads()).toEqual(["new"]);
  world.answer();
  client.take("suback");
  expect(client.takePayloads()).toEqual(["old"]);
  world.mesh.isHolding = false;
  client.subscribe("t/during");
  expect(client.takePayloads()).toEqual(["new"]);
});

test("SUBACK waits for all filters of its packet", () => {
  const world = new HeldWorld();
  world.mesh.isHolding = true;
  const subscriptions = ["a", "b"].map((topic) => ({ topic, qos: 0 }));
  const client = world.connect("a").send({ cmd: "subscribe", messageId: 1, subscriptions });
  const [first, second] = world.mesh.held.splice(0);
  first?.settle(0);
  world.settle();
  expect(client.packets).toEqual([]);
  second?.settle(0);
  world.settle();
  client.take("suback");
});

test("a subscription that the mesh refuses fails as a whole and leaves nothing behind", () => {
  const world = new HeldWorld();
  world.mesh.isHolding = true;
  const client = world
    .connect("a")
    .send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "t", qos: 1 }] });
  world.answer(0x83);
  expect(client.take("suback").granted).toEqual([0x83]);
  expect([...world.mesh.wanted]).toEqual([]);
});

test("a client that has gone before the barrier opens is no problem", () => {
  const world = new HeldWorld();
  world.mesh.isHolding = true;
  const client = world
    .connect("a")
    .send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "t", qos: 1 }] });
  client.sever();
  expect(() => world.answer()).not.toThrow();
  expect([...world.mesh.wanted]).toEqual([]);
});

test("reading pauses while too many SUBSCRIBEs wait for the mesh", () => {
  const world = new HeldWorld({ pendingSubscribesMax: 2 });
  world.mesh.isHolding = true;
  const client = world.connect("a");
  for (let i = 1; i <= 3; i++) {
    client.send({ cmd: "subscribe", messageId: i, subscriptions: [{ topic: `t${i}`, qos: 0 }] });
  }
  expect(client.stream.isPaused).toBe(true);
  world.answer();
  expect(client.stream.isPaused).toBe(false);
  expect(client.takeAll("suback").map(({ messageId }) => messageId)).toEqual([1, 2, 3]);
});
