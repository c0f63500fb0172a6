import { expect, test } from "vitest";
import { InsideReader } from "../../src/client/inside-reader.ts";
import { MQTT_JS } from "../../src/client/profiles.ts";
import { SimClient } from "../../src/client/sim-client.ts";
import { LoneBroker } from "../support/lone-broker.ts";

/** A broker with retained messages, and the client that writes them. */
function prepared(): { world: LoneBroker; publisher: SimClient } {
  const world = new LoneBroker();
  const publisher = new SimClient(world.host, { clientId: "pub", target: "node:0", profile: MQTT_JS });
  publisher.start();
  world.run(100);
  for (const topic of ["t/a", "t/b", "mark"]) publisher.publish(topic, `${topic}!`, 1, true);
  world.run(100);
  world.readDelayMs = 50;
  return { world, publisher };
}

function insideReader(world: LoneBroker): { reader: InsideReader; ends: boolean[] } {
  const ends: boolean[] = [];
  const reader = new InsideReader("mark", {
    turn: (input) => input(),
    accept: (stream) => world.broker.accept(stream, { name: "inside", allowAnonymous: true }),
    soon: (callback) => world.events.after(0, callback),
    closed: (isComplete) => ends.push(isComplete),
  });
  reader.read("inside", "t/+");
  return { reader, ends };
}

test("it reads everything that the filter matches, and leaves no trace", () => {
  const { world } = prepared();
  const { reader, ends } = insideReader(world);
  world.run(40);
  expect(ends).toEqual([]);
  world.run(60);
  expect(ends).toEqual([true]);
  expect([...reader.values].filter(([topic]) => topic !== "mark")).toEqual([
    ["t/a", "t/a!"],
    ["t/b", "t/b!"],
  ]);
  expect([world.broker.clientCount, world.broker.sessionCount]).toEqual([1, 1]);
});

test("it tells of topics on which something came live, and ends without a result when that was the mark", () => {
  const { world, publisher } = prepared();
  const { reader, ends } = insideReader(world);
  publisher.publish("t/b", "live", 0, true);
  world.run(100);
  expect(ends).toEqual([true]);
  expect([...reader.live]).toEqual(["t/b"]);
  expect(reader.values.has("t/b")).toBe(false);
  const spoiled = insideReader(world);
  publisher.publish("mark", "live", 0, true);
  world.run(100);
  expect(spoiled.ends).toEqual([false]);
});

test("it can be called off", () => {
  const { world } = prepared();
  const { reader, ends } = insideReader(world);
  reader.close();
  world.run(100);
  expect(ends).toEqual([false]);
  expect(world.broker.clientCount).toBe(1);
});
