/** SUBSCRIBE, UNSUBSCRIBE, overlapping and shared subscriptions, retained messages at subscription. */

import { expect, test } from "vitest";
import { World } from "./support/world.ts";

test("[MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-3.8.4-7] SUBACK has the packet identifier and the granted QoS", () => {
  for (const version of [3, 4, 5] as const) {
    const client = new World().connect("a", { version });
    for (const qos of [0, 1, 2] as const) {
      expect(client.subscribe(`t${qos}`, qos)).toMatchObject({ messageId: 101, granted: [qos] });
    }
  }
});

test("[MQTT-3.8.4-5] [MQTT-3.8.4-6] [MQTT-3.9.3-1] many filters get one code each, in order", () => {
  const world = new World();
  const request = {
    cmd: "subscribe",
    messageId: 7,
    subscriptions: ["a", "b/#/c", "c", "$share/g", "d+"].map((topic, i) => ({ topic, qos: i % 2 })),
  };
  const five = world.connect("a").send(request);
  expect(five.take("suback")).toMatchObject({ messageId: 7, granted: [0, 0x8f, 0, 0x8f, 0x8f] });
  const four = world.connect("b", { version: 4 }).send(request);
  expect(four.take("suback").granted).toEqual([0, 0x80, 0, 0x80, 0x80]);
});

test.each(["sport/tennis#", "sport/tennis/#/ranking", "sport+", "a/b+/c", "##"])(
  "[MQTT-4.7.1-1] [MQTT-4.7.1-2] the filter %s is refused with 0x8F",
  (filter) => {
    expect(new World().connect("a").subscribe(filter).granted).toEqual([0x8f]);
  },
);

test("[MQTT-3.8.4-3] subscribing again replaces: one message, with the new QoS", () => {
  const world = new World();
  const client = world.connect("a");
  client.subscribe("t", 0);
  client.subscribe("t", 2);
  world.connect("p").publish("t", "x", { qos: 2, messageId: 1 });
  expect(client.takeAll("publish").map(({ qos }) => qos)).toEqual([2]);
});

test("[MQTT-3.8.4-4] and 3.1.1 [MQTT-3.8.4-3] no message is lost or doubled while a subscription is replaced", () => {
  const world = new World();
  const clients = ([4, 5] as const).map((version) => world.connect(`v${version}`, { version }));
  for (const client of clients) client.subscribe("t", 1);
  const publisher = world.connect("p");
  const payloads = Array.from({ length: 10 }, (_, i) => `${i}`);
  for (const payload of payloads) {
    publisher.publish("t", payload, { qos: 1, messageId: 1 });
    for (const client of clients) client.subscribe("t", 1);
  }
  expect(clients.map((client) => client.takePayloads())).toEqual([payloads, payloads]);
});

test.each([4, 5] as const)(
  "[MQTT-3.3.4-2] and 3.1.1 [MQTT-3.3.5-1] level %i: overlapping subscriptions give one message, at the highest QoS",
  (version) => {
    const world = new World();
    const client = world.connect("a", { version });
    client.subscribe("t/#", 0);
    client.subscribe("t/+", 2);
    client.subscribe("t/x", 1);
    world.connect("p").publish("t/x", "x", { qos: 2, messageId: 1 });
    expect(client.takeAll("publish").map(({ qos }) => qos)).toEqual([2]);
  },
);

test("[MQTT-3.3.4-3] [MQTT-3.3.4-4] a message has the identifiers of all matching subscriptions", () => {
  const world = new World();
  const client = world.connect("a");
  client.subscribe("t/#", 1, {}, { subscriptionIdentifier: 5 });
  client.subscribe("t/+", 0, {}, { subscriptionIdentifier: 300_000 });
  client.subscribe("t/x", 0);
  world.connect("p").publish("t/x", "1").publish("other", "2").publish("t", "3");
  const came = client.takeAll("publish").map(({ properties }) => properties?.subscriptionIdentifier);
  expect([came[0]].flat().sort()).toEqual([300_000, 5]);
  expect(came[1]).toBe(5);
  expect(came).toHaveLength(2);
});

test("[MQTT-3.8.3-3] No Local: what a client publishes does not come back to it, what others publish does", () => {
  const world = new World();
  const client = world.connect("a");
  client.subscribe("t", 0, { nl: true });
  const other = world.connect("b");
  other.subscribe("t");
  client.publish("t", "own");
  expect(client.packets).toEqual([]);
  expect(other.takePayloads()).toEqual(["own"]);
  other.publish("t", "other");
  expect(client.takePayloads()).toEqual(["other"]);
});

test("No Local of one subscription does not silence an overlapping one", () => {
  const world = new World();
  const client = world.connect("a");
  client.subscribe("t/#", 2, { nl: true }, { subscriptionIdentifier: 1 });
  client.subscribe("t/x", 1, {}, { subscriptionIdentifier: 2 });
  client.publish("t/x", "own", { qos: 2, messageId: 1 });
  const [own] = client.takeAll("publish");
  expect(own).toMatchObject({ qos: 1, properties: { subscriptionIdentifier: 2 } });
});

test("[MQTT-3.8.3-4] No Local on a shared subscription is a Protocol Error", () => {
  const world = new World();
  const client = world.connect("a");
  client.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "$share/g/t", qos: 0, nl: true }] });
  expect(client.take("disconnect").reasonCode).toBe(0x82);
});

test("[MQTT-3.3.1-9] [MQTT-3.8.4-4] Retain Handling 0: retained messages come with every subscription", () => {
  const world = new World();
  world.connect("p").publish("t", "x", { retain: true });
  const client = world.connect("a");
  client.subscribe("t", 0, { rh: 0 });
  client.subscribe("t", 0, { rh: 0 });
  expect(client.takeAll("publish").map(({ retain }) => retain)).toEqual([true, true]);
});

test("[MQTT-3.3.1-10] Retain Handling 1: only with a new subscription", () => {
  const world = new World();
  world.connect("p").publish("t", "x", { retain: true });
  const client = world.connect("a");
  client.subscribe("t", 0, { rh: 1 });
  client.subscribe("t", 0, { rh: 1 });
  expect(client.takePayloads()).toEqual(["x"]);
});

test("[MQTT-3.3.1-11] Retain Handling 2: never", () => {
  const world = new World();
  world.connect("p").publish("t", "x", { retain: true });
  const client = world.connect("a");
  client.subscribe("t", 0, { rh: 2 });
  expect(client.packets).toEqual([]);
});

test("3.1.1 [MQTT-3.8.4-3] retained messages are sent again when subscribing again", () => {
  const world = new World();
  world.connect("p").publish("t", "x", { retain: true });
  const client = world.connect("a", { version: 4 });
  client.subscribe("t");
  client.subscribe("t");
  expect(client.takePayloads()).toEqual(["x", "x"]);
});

test("retained messages come after SUBACK, with the lower QoS and the subscription's identifier", () => {
  const world = new World();
  world.connect("p").publish("t", "x", { retain: true, qos: 2, messageId: 1 });
  const client = world.connect("a");
  client.send({
    cmd: "subscribe",
    messageId: 1,
    subscriptions: [{ topic: "+", qos: 1 }],
    properties: { subscriptionIdentifier: 9 },
  });
  client.take("suback");
  expect(client.take("publish")).toMatchObject({
    qos: 1,
    retain: true,
    properties: { subscriptionIdentifier: 9 },
  });
});

test("[MQTT-3.10.4-1] [MQTT-3.10.4-2] [MQTT-3.10.4-4] UNSUBSCRIBE ends exactly the named subscription", () => {
  const world = new World();
  const client = world.connect("a");
  client.subscribe("a/+");
  client.subscribe("a/b");
  client.send({ cmd: "unsubscribe", messageId: 8, unsubscriptions: ["a/b"] });
  expect(client.take("unsuback")).toMatchObject({ messageId: 8, granted: [0] });
  const publisher = world.connect("p").publish("a/b", "x");
  expect(client.takePayloads()).toEqual(["x"]);
  client.send({ cmd: "unsubscribe", messageId: 9, unsubscriptions: ["a/+"] });
  publisher.publish("a/b", "y");
  expect(client.takePayloads()).toEqual([]);
});

test("[MQTT-3.10.4-5] [MQTT-3.10.4-6] [MQTT-3.11.3-1] UNSUBACK comes even if nothing was deleted, codes in order", () => {
  const world = new World();
  const client = world.connect("a");
  client.subscribe("b");
  client.send({ cmd: "unsubscribe", messageId: 8, unsubscriptions: ["a", "b", "b"] });
  expect(client.take("unsuback").granted).toEqual([0x11, 0, 0x11]);
  const four = world.connect("f", { version: 4 });
  four.send({ cmd: "unsubscribe", messageId: 8, unsubscriptions: ["a"] });
  expect(four.take("unsuback").messageId).toBe(8);
});

test("[MQTT-3.10.4-3] what was under way when the subscription ended is completed", () => {
  const world = new World();
  const options = { clean: false, properties: { sessionExpiryInterval: 100 } };
  const client = world.connect("a", options);
  client.subscribe("t", 1);
  world.connect("p").publish("t", "x", { qos: 1, messageId: 1 });
  client.take("publish");
  client.send({ cmd: "unsubscribe", messageId: 8, unsubscriptions: ["t"] });
  client.sever();
  expect(world.connect("a", options).takePayloads()).toEqual(["x"]);
});

test("each message goes to one member of a shared subscription, and they take turns", () => {
  const world = World.onOneNode("turns");
  const members = ["a", "b", "c"].map((id) => world.connect(id));
  for (const member of members) member.subscribe("$share/g/t/#");
  const other = world.connect("d");
  other.subscribe("$share/h/t/#");
  const plain = world.connect("e");
  plain.subscribe("t/#");
  const publisher = world.connect("p");
  for (let i = 0; i < 6; i++) publisher.publish("t/x", `${i}`);
  expect(members.map((member) => member.takePayloads().length)).toEqual([2, 2, 2]);
  expect(other.takePayloads()).toHaveLength(6);
  expect(plain.takePayloads()).toHaveLength(6);
});

test.each(["$share/", "$share//t", "$share/g", "$share/g/", "$share/g+/t", "$share/#/t", "$share/g/a#"])(
  "[MQTT-4.8.2-1] [MQTT-4.8.2-2] the shared filter %s is refused",
  (filter) => {
    expect(new World().connect("a").subscribe(filter).granted).toEqual([0x8f]);
  },
);

test("[MQTT-4.8.2-3] a shared subscription respects the QoS of the member that is chosen", () => {
  const world = new World();
  const low = world.connect("a");
  low.subscribe("$share/g/t", 0);
  const high = world.connect("b");
  high.subscribe("$share/g/t", 2);
  const publisher = world.connect("p");
  for (let i = 1; i <= 2; i++) publisher.publish("t", "x", { qos: 2, messageId: i });
  expect([low.take("publish").qos, high.take("publish").qos]).toEqual([0, 2]);
});

test("a shared subscription gets no retained messages, and a client may have it beside an ordinary one", () => {
  const world = new World();
  const publisher = world.connect("p").publish("t", "kept", { retain: true });
  const client = world.connect("a");
  client.subscribe("$share/g/t");
  expect(client.packets).toEqual([]);
  client.subscribe("t", 0, { rh: 2 });
  publisher.publish("t", "x");
  expect(client.takePayloads()).toEqual(["x", "x"]);
});

test("a member that leaves or has no connection is passed over while another can take the message", () => {
  const world = new World();
  const durable = { clean: false, properties: { sessionExpiryInterval: 100 } };
  const away = world.connect("a", durable);
  away.subscribe("$share/g/t", 1);
  const here = world.connect("b");
  here.subscribe("$share/g/t", 1);
  away.sever();
  const publisher = world.connect("p");
  for (let i = 1; i <= 4; i++) publisher.publish("t", `${i}`, { qos: 1, messageId: i });
  expect(here.takePayloads()).toEqual(["1", "2", "3", "4"]);
  here.disconnect();
  publisher.publish("t", "5", { qos: 1, messageId: 5 });
  expect(world.connect("a", durable).takePayloads()).toEqual(["5"]);
});

test("limits: filters beyond the maximum of a packet or a session are answered 0x97", () => {
  const world = new World({ filtersPerSubscribeMax: 2, subscriptionsPerClientMax: 3 });
  const client = world.connect("a");
  const subscriptions = ["a", "b", "c"].map((topic) => ({ topic, qos: 0 }));
  client.send({ cmd: "subscribe", messageId: 1, subscriptions });
  expect(client.take("suback").granted).toEqual([0, 0, 0x97]);
  expect(client.subscribe("c").granted).toEqual([0]);
  expect(client.subscribe("d").granted).toEqual([0x97]);
  expect(client.subscribe("c").granted).toEqual([0]);
});

test("members that can take messages take turns among themselves while another is away", () => {
  const world = new World();
  const away = world.connect("a", { clean: false, properties: { sessionExpiryInterval: 100 } });
  away.subscribe("$share/g/t", 1);
  away.sever();
  const members = ["b", "c"].map((id) => world.connect(id));
  for (const member of members) member.subscribe("$share/g/t");
  const publisher = world.connect("p");
  for (let i = 0; i < 6; i++) publisher.publish("t", "x");
  expect(members.map((member) => member.takePayloads().length)).toEqual([3, 3]);
});

test.each([1, 2] as const)(
  "QoS %i: each message goes to one member of all, whether their sessions outlive the connection or not",
  (qos) => {
    const world = new World();
    const durable = { clean: false, properties: { sessionExpiryInterval: 100 } };
    const members = ["a", "b", "c", "d", "e", "f"].map((id, at) => world.connect(id, at % 2 ? durable : {}));
    for (const member of members) member.subscribe("$share/g/t", qos);
    const publishers = ["p", "q", "r"].map((id, at) => world.connect(id, at === 2 ? durable : {}));
    const sent = Array.from({ length: 12 }, (_, at) => `${at}`);
    for (const [at, payload] of sent.entries())
      publishers[at % 3]?.publish("t", payload, { qos, messageId: at + 1 });
    const came = members.flatMap((member) => member.takePayloads());
    expect(came.toSorted((a, b) => Number(a) - Number(b))).toEqual(sent);
  },
);
