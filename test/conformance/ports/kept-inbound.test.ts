/** SUBSCRIBE, UNSUBSCRIBE and PUBLISH where the mesh keeps sessions (P4 to P6). */

import { SAFE_HERE_ONLY } from "@skein/kernel";
import { expect, test } from "vitest";
import { KeptWorld } from "../support/kept-world.ts";

const SUBSCRIBE = {
  cmd: "subscribe",
  messageId: 3,
  subscriptions: [
    { topic: "a", qos: 1, rh: 1, nl: true },
    { topic: "in/#/valid", qos: 1 },
    { topic: "b", qos: 2, rap: true },
  ],
  properties: { subscriptionIdentifier: 5 },
} as const;

test("SUBACK waits until all granted filters are committed", () => {
  const world = new KeptWorld();
  const client = world.enter("c");
  client.send(SUBSCRIBE);
  expect(client.packets).toEqual([]);
  expect(world.sessions.pending).toBe(1);
  world.commit();
  expect(client.take("suback").granted).toEqual([1, 0x8f, 2]);
  const common = { identifier: 5 };
  expect([...world.sessions.session("c").subscriptions.values()]).toEqual([
    { ...common, filter: "a", qos: 1, noLocal: true, retainAsPublished: false, retainHandling: 1 },
    { ...common, filter: "b", qos: 2, noLocal: false, retainAsPublished: true, retainHandling: 0 },
  ]);
});

test("a Topic Filter that comes twice in one SUBSCRIBE is kept once, as it came last", () => {
  const world = new KeptWorld();
  const client = world.enter("c");
  const subscriptions = [1, 2].map((qos) => ({ topic: "t", qos, rh: 1 }));
  client.send({ cmd: "subscribe", messageId: 1, subscriptions });
  world.commit();
  const { wishes } = world.sessions;
  expect(wishes.map(({ filter, qos, retainHandling }) => [filter, qos, retainHandling])).toEqual([
    ["t", 2, 2],
  ]);
});

test("SUBACK waits for the other nodes as well", () => {
  const world = new KeptWorld();
  const client = world.enter("c");
  world.mesh.isHolding = true;
  client.send(SUBSCRIBE);
  world.commit();
  expect(client.packets).toEqual([]);
  world.answer();
  client.take("suback");
});

test("a SUBSCRIBE that is refused fails as a whole and is taken back", () => {
  const world = new KeptWorld();
  const client = world.enter("c");
  client.send(SUBSCRIBE);
  world.sessions.refuse(0x97);
  world.settle();
  expect(client.take("suback").granted).toEqual([0x97, 0x8f, 0x97]);
  expect(world.mesh.wanted.size).toBe(0);
  world.commit();
  expect(world.sessions.session("c").subscriptions.size).toBe(0);
});

test("what the mesh keeps of a SUBSCRIBE that other nodes refuse is taken back there, too", () => {
  const world = new KeptWorld();
  const client = world.enter("c");
  world.mesh.isHolding = true;
  client.send(SUBSCRIBE);
  world.commit();
  expect(world.sessions.session("c").subscriptions.size).toBe(2);
  world.answer(0x97);
  world.commit();
  expect(world.sessions.session("c").subscriptions.size).toBe(0);
});

test("UNSUBACK waits until the end of the subscriptions is committed", () => {
  const world = new KeptWorld();
  const client = world.subscriber("c", "t", 1);
  client.send({ cmd: "unsubscribe", messageId: 4, unsubscriptions: ["t", "other"] });
  expect(client.packets).toEqual([]);
  world.commit();
  expect(client.take("unsuback").granted).toEqual([0, 0x11]);
  expect(world.sessions.session("c").subscriptions.size).toBe(0);
  expect(world.mesh.wanted.size).toBe(0);
});

test("an UNSUBSCRIBE that is refused ends the connection, and the session still has the subscription", () => {
  const world = new KeptWorld();
  const client = world.subscriber("c", "t", 1);
  client.send({ cmd: "unsubscribe", messageId: 4, unsubscriptions: ["t"] });
  world.sessions.refuse(0x97);
  world.settle();
  expect(client.take("disconnect").reasonCode).toBe(0x97);
  world.commit();
  world.enter("c");
  expect(world.mesh.wanted.get("t")).toBe(1);
});

test("what of a session is safe on one node alone is answered like what is committed", () => {
  const world = new KeptWorld();
  const client = world.enter("c");
  const taken = (): void => {
    world.sessions.refuse(SAFE_HERE_ONLY);
    world.settle();
  };
  client.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "t", qos: 1 }] });
  taken();
  expect(client.take("suback").granted).toEqual([1]);
  client.send({ cmd: "unsubscribe", messageId: 2, unsubscriptions: ["t"] });
  taken();
  expect(client.take("unsuback").granted).toEqual([0]);
  client.publish("other", "x", { qos: 2, messageId: 3 });
  taken();
  expect(client.take("pubrec")).toMatchObject({ messageId: 3, reasonCode: 0 });
  client.chunks.length = 0;
  client.send({ cmd: "pubrel", messageId: 3 });
  taken();
  expect(client.chunks.flatMap((chunk) => [...chunk])).toEqual([0x70, 2, 0, 3]);
});

test("PUBACK waits for the queues of sessions that want the message", () => {
  const world = new KeptWorld();
  world.subscriber("away", "t", 1).sever();
  world.commit();
  const publisher = world.connect("p");
  publisher.publish("t", "x", { qos: 1, messageId: 1 });
  expect(publisher.packets).toEqual([]);
  world.commit();
  expect(publisher.take("puback").messageId).toBe(1);
  expect(world.sessions.session("away").queued).toBe(1);
});

test("a message that no kept session wants is not put into the log", () => {
  const world = new KeptWorld();
  world.subscriber("away", "t", 1);
  const publisher = world.connect("p");
  publisher.publish("other", "x", { qos: 1, messageId: 1 });
  publisher.take("puback");
  expect(world.sessions.published).toEqual([]);
});

test("a retained message that kept sessions want goes to the store once, with what it puts into the queues", () => {
  const world = new KeptWorld();
  world.subscriber("away", "t", 1);
  const publisher = world.connect("p");
  publisher.publish("t", "x", { qos: 1, messageId: 1, retain: true });
  expect(world.retainedCount).toBe(0);
  expect(world.sessions.published.map(({ message }) => message.retain)).toEqual([true]);
  publisher.publish("other", "x", { qos: 1, messageId: 2, retain: true });
  expect(world.retainedCount).toBe(1);
});

test("the store hears who has published, for No Local", () => {
  const world = new KeptWorld();
  const client = world.enter("c");
  client.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "t", qos: 1, nl: true }] });
  world.commit();
  client.take("suback");
  client.publish("t", "mine", { qos: 1, messageId: 2 });
  world.publish("t", "theirs");
  expect(client.takePayloads()).toEqual(["theirs"]);
});

test("QoS 2 of a kept session goes to everybody through the log, and PUBREC follows the commit", () => {
  const world = new KeptWorld();
  const live = world.connect("live");
  live.subscribe("t", 2);
  const [kept, low] = [world.subscriber("kept", "t", 2), world.subscriber("low", "t", 0)];
  const publisher = world.enter("p");
  publisher.publish("t", "x", { qos: 2, messageId: 7 });
  for (const client of [live, kept, low, publisher]) expect(client.packets).toEqual([]);
  expect(world.mesh.forwarded).toEqual([]);
  world.commit();
  expect(publisher.take("pubrec").messageId).toBe(7);
  for (const client of [live, kept, low]) expect(client.takePayloads()).toEqual(["x"]);
});

test("a QoS 2 message that is repeated while it is not committed is published and answered once", () => {
  const world = new KeptWorld();
  const live = world.connect("live");
  live.subscribe("t", 1);
  const publisher = world.enter("p");
  publisher.publish("t", "x", { qos: 2, messageId: 7 });
  publisher.publish("t", "x", { qos: 2, messageId: 7, dup: true });
  expect(world.sessions.pending).toBe(1);
  world.commit();
  expect(publisher.takeAll("pubrec")).toHaveLength(1);
  publisher.publish("t", "x", { qos: 2, messageId: 7, dup: true });
  expect(publisher.takeAll("pubrec")).toHaveLength(1);
  world.commit();
  expect(live.takePayloads()).toEqual(["x"]);
});

/** A publisher whose message "x" under identifier 7 is committed and answered. */
function unreleased(world: KeptWorld) {
  const publisher = world.enter("p");
  publisher.publish("t", "x", { qos: 2, messageId: 7 });
  world.commit();
  publisher.take("pubrec");
  return publisher;
}

test("what a session has received is known to its next connection", () => {
  const world = new KeptWorld();
  const live = world.connect("live");
  live.subscribe("t", 1);
  const publisher = world.enter("p");
  publisher.publish("t", "x", { qos: 2, messageId: 7 });
  publisher.sever();
  world.commit();
  const again = world.enter("p");
  again.publish("t", "x", { qos: 2, messageId: 7, dup: true });
  expect(again.take("pubrec").messageId).toBe(7);
  world.commit();
  expect(live.takePayloads()).toEqual(["x"]);
});

test("P5: under an identifier that the mesh still holds for something else, a message is a new one", () => {
  const world = new KeptWorld();
  const publisher = unreleased(world);
  publisher.sever();
  world.commit();
  const again = world.enter("p");
  world.commit();
  again.publish("t", "x", { qos: 2, messageId: 7 });
  expect(world.sessions.pending).toBe(0);
  expect(again.takeAll("pubrec")).toHaveLength(1);
  world.sessions.session("p").others.add(7);
  again.publish("t", "y", { qos: 2, messageId: 7 });
  expect(world.sessions.pending).toBe(1);
  expect(again.packets).toEqual([]);
  world.commit();
  expect(again.take("pubrec").messageId).toBe(7);
});

test("P5: so is one under an identifier that the mesh held when the connection began, and has heard the PUBREL of since", () => {
  const world = new KeptWorld();
  const publisher = unreleased(world);
  publisher.sever();
  const again = world.enter("p");
  world.commit();
  world.sessions.session("p").received.delete(7);
  again.publish("t", "y", { qos: 2, messageId: 7 });
  expect(world.sessions.pending).toBe(1);
  world.commit();
  expect(again.takeAll("pubrec")).toHaveLength(1);
  again.publish("t", "y", { qos: 2, messageId: 7, dup: true });
  world.sessions.session("p").received.delete(7);
  again.publish("t", "y", { qos: 2, messageId: 7, dup: true });
  expect(world.sessions.pending).toBe(0);
  expect(again.takeAll("pubrec")).toHaveLength(2);
});

test("P6: the log is told which QoS 2 messages came with DUP: another node may bring them, too", () => {
  const world = new KeptWorld();
  const publisher = world.enter("p");
  publisher.publish("t", "1", { qos: 2, messageId: 7 });
  publisher.publish("t", "2", { qos: 2, messageId: 8, dup: true });
  publisher.publish("t", "3", { qos: 2, messageId: 9 });
  expect(world.sessions.repeated).toEqual([8]);
});

test("PUBCOMP waits until the release is committed; the identifier is new then", () => {
  const world = new KeptWorld();
  const publisher = unreleased(world);
  publisher.send({ cmd: "pubrel", messageId: 7 });
  expect(publisher.packets).toEqual([]);
  world.commit();
  expect(publisher.take("pubcomp").reasonCode).toBe(0);
  expect(world.sessions.session("p").received.size).toBe(0);
  publisher.publish("t", "2", { qos: 2, messageId: 7 });
  world.commit();
  publisher.take("pubrec");
  publisher.send({ cmd: "pubrel", messageId: 9 });
  world.commit();
  expect(publisher.take("pubcomp").reasonCode).toBe(0x92);
});

test("P5: a PUBREL for what the mesh does not hold is committed, too: the message may be in an outbox yet, and would be held for ever", () => {
  const world = new KeptWorld();
  const publisher = world.enter("p");
  publisher.publish("t", "on", { qos: 2, messageId: 7 });
  world.sessions.refuse(SAFE_HERE_ONLY);
  world.settle();
  publisher.take("pubrec");
  publisher.sever();
  const again = world.enter("p");
  world.commit();
  again.send({ cmd: "pubrel", messageId: 7 });
  expect(world.sessions.pending).toBe(1);
  expect(again.packets).toEqual([]);
  world.commit();
  expect(again.take("pubcomp").reasonCode).toBe(0x92);
});

test("a release that is refused ends the connection instead of a PUBCOMP", () => {
  const world = new KeptWorld();
  const publisher = unreleased(world);
  publisher.send({ cmd: "pubrel", messageId: 7 });
  world.sessions.refuse(0x97);
  world.settle();
  expect(publisher.take("disconnect").reasonCode).toBe(0x97);
  expect(world.sessions.session("p").received.has(7)).toBe(true);
});

test("a QoS 2 message that is refused is free to be sent anew", () => {
  const world = new KeptWorld();
  const publisher = world.enter("p");
  publisher.publish("t", "1", { qos: 2, messageId: 7 });
  world.sessions.refuse(0x97);
  world.settle();
  expect(publisher.take("pubrec").reasonCode).toBe(0x97);
  publisher.publish("t", "1", { qos: 2, messageId: 7 });
  world.commit();
  expect(publisher.take("pubrec").reasonCode).toBe(0);
});

test("QoS 2 of a client that keeps nothing goes the live way, and to kept sessions through the log", () => {
  const world = new KeptWorld();
  const live = world.connect("live");
  live.subscribe("t", 2);
  const kept = world.subscriber("kept", "t", 2);
  const publisher = world.connect("p");
  publisher.publish("t", "x", { qos: 2, messageId: 7 });
  expect(live.takePayloads()).toEqual(["x"]);
  expect(publisher.packets).toEqual([]);
  world.commit();
  publisher.take("pubrec");
  publisher.send({ cmd: "pubrel", messageId: 7 });
  publisher.take("pubcomp");
  expect(kept.takePayloads()).toEqual(["x"]);
});

test("a message from the log goes to each live subscriber, to kept ones only with QoS 0, not to its publisher with No Local", () => {
  const world = new KeptWorld();
  const live = world.connect("live");
  live.subscribe("t", 1);
  const own = world.connect("own");
  own.subscribe("t", 1, { nl: true });
  const [kept, low] = [world.subscriber("kept", "t", 1), world.subscriber("low", "t", 0)];
  const member = world.connect("member");
  member.subscribe("$share/g/t", 1);
  const message = {
    topic: "t",
    payload: Buffer.from("will"),
    qos: 1,
    retain: false,
    properties: undefined,
  } as const;
  world.broker.deliverFromLog(message, "own", false, []);
  world.settle();
  expect(live.packets.map(({ payload, qos }) => `${payload} ${qos}`)).toEqual(["will 1"]);
  expect(low.packets.map(({ payload, qos }) => `${payload} ${qos}`)).toEqual(["will 0"]);
  for (const client of [own, kept, member]) expect(client.packets).toEqual([]);
  world.broker.deliverFromLog(message, undefined, true, []);
  world.settle();
  expect(own.takePayloads()).toEqual(["will"]);
  expect(member.takePayloads()).toEqual(["will"]);
});

test("a live value takes the place of the retained one that a kept session has still to be shown (P8)", () => {
  const world = new KeptWorld();
  world.connect("p").publish("t", "old", { retain: true });
  const client = world.enter("b");
  world.store.isHolding = true;
  client.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "t", qos: 1 }] });
  world.commit();
  world.publish("t", "new", 1, { retain: true });
  world.store.isHolding = false;
  world.letRead();
  expect(client.takePayloads()).toEqual(["new"]);
});
