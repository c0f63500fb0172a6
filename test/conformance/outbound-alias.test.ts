/** Topic Aliases from the server to clients that allow them. */

import { expect, test } from "vitest";
import { World } from "./support/world.ts";

const LONG = "home/living-room/lamp/state";
const OTHER = "home/kitchen/lamp/state";
const THIRD = "home/garden/lamp/state";

/** Topic and alias of everything that came. */
function forms(client: {
  takeAll: (cmd: "publish") => { topic?: string; properties?: object }[];
}): [topic: unknown, alias: unknown][] {
  return client.takeAll("publish").map(({ topic, properties }) => {
    return [topic, (properties as { topicAlias?: number } | undefined)?.topicAlias];
  });
}

test("[MQTT-3.1.2-26] [MQTT-3.3.2-11] a topic that comes again gets an alias within the client's maximum, and then is left out", () => {
  const world = new World();
  const client = world.connect("a", { properties: { topicAliasMaximum: 2 } });
  client.subscribe("#", 1);
  const publisher = world.connect("p");
  for (const topic of [LONG, LONG, LONG, OTHER, OTHER, OTHER, THIRD, THIRD, THIRD, LONG])
    publisher.publish(topic, "x");
  expect(forms(client)).toEqual([
    [LONG, undefined],
    [LONG, 1],
    ["", 1],
    [OTHER, undefined],
    [OTHER, 2],
    ["", 2],
    [THIRD, undefined],
    [THIRD, undefined],
    [THIRD, undefined],
    ["", 1],
  ]);
});

test("[MQTT-3.1.2-27] a client that says 0 or nothing gets no alias, and short topics are not worth one", () => {
  const world = new World();
  const silent = world.connect("a");
  const zero = world.connect("b", { properties: { topicAliasMaximum: 0 } });
  const willing = world.connect("c", { properties: { topicAliasMaximum: 9 } });
  for (const client of [silent, zero, willing]) client.subscribe("#");
  const publisher = world.connect("p");
  for (let i = 0; i < 3; i++) publisher.publish("a/b", "x").publish(LONG, "x");
  for (const client of [silent, zero])
    expect(forms(client).every(([, alias]) => alias === undefined)).toBe(true);
  expect(forms(willing).filter(([topic]) => topic === "a/b")).toHaveLength(3);
});

test("[MQTT-3.3.2-7] aliases end with their connection: redelivery after it has the topic", () => {
  const world = new World();
  const keep = { clean: false, properties: { sessionExpiryInterval: 100, topicAliasMaximum: 5 } };
  const first = world.connect("a", keep);
  first.subscribe("#", 1);
  const publisher = world.connect("p");
  for (let i = 0; i < 3; i++) publisher.publish(LONG, "x", { qos: 1, messageId: 1 });
  expect(forms(first).at(-1)).toEqual(["", 1]);
  first.sever();
  expect(forms(world.connect("a", keep))).toEqual(Array(3).fill([LONG, undefined]));
});

test("a message that is too large for the client does not set its alias", () => {
  const world = new World();
  const client = world.connect("a", { properties: { topicAliasMaximum: 5, maximumPacketSize: 100 } });
  client.subscribe("#");
  const publisher = world.connect("p");
  publisher.publish(LONG, "x").publish(LONG, "y".repeat(100)).publish(LONG, "z").publish(LONG, "z");
  expect(forms(client)).toEqual([
    [LONG, undefined],
    [LONG, 1],
    ["", 1],
  ]);
});

test("receivers without aliases share their frame, whoever has one beside them", () => {
  const world = World.onOneNode("frame");
  const [one, two] = [world.connect("one"), world.connect("two")];
  const willing = world.connect("c", { properties: { topicAliasMaximum: 9 } });
  for (const client of [one, willing, two]) client.subscribe("#");
  const publisher = world.connect("p");
  for (let i = 0; i < 3; i++) publisher.publish(LONG, "x");
  expect(one.chunks.at(-1)).toBe(two.chunks.at(-1));
});
