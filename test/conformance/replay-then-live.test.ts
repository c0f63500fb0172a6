/**
 * A new subscriber ends with the newest retained value, also when that is written on another node in the very milliseconds of its
 * SUBSCRIBE: it comes live, or it is replayed. Nobody is left with an old value until there is a newer one.
 */

import { expect, test } from "vitest";
import type { Client, Received } from "./support/client.ts";
import { World } from "./support/world.ts";

/** A fraction of the way through the log and back, and of the way to another node. */
const STEP_MS = 1 / 32;
/** Writes are this many steps before SUBSCRIBE, or after it. */
const FIRST = -64;
const LAST = 8;

function write(client: Client, topic: string, value: number): void {
  const packet = { cmd: "publish", topic, payload: `${value}`, qos: 1, retain: true, messageId: value };
  client.stream.feed(client.encode(packet));
}

function newestOf(topic: string, heard: readonly Received[]): number {
  return Number(heard.findLast((packet) => packet.topic === topic)?.payload);
}

test.each([
  ["that its node has not told the others of", false],
  ["that its node has a subscriber for", true],
])(
  "P8: who subscribes while a topic is written to ends with the newest value of a topic %s",
  (_, isKnown) => {
    const world = new World();
    const writers = [0, 1, 2].map((number) => world.connect(`writer ${number}`));
    if (isKnown) for (const client of writers) client.subscribe("topic/#");
    let value = 0;
    for (let writtenAt = FIRST; writtenAt <= LAST; writtenAt++) {
      const subscriber = world.connect(`subscriber ${writtenAt}`);
      value++;
      for (let step = FIRST; step <= LAST; step++) {
        const subscriptions = [{ topic: "topic/+", qos: 0 }];
        if (step === writtenAt)
          for (const [number, client] of writers.entries()) write(client, `topic/${number}`, value);
        if (step === 0)
          subscriber.stream.feed(subscriber.encode({ cmd: "subscribe", messageId: 1, subscriptions }));
        world.pass(STEP_MS);
      }
      world.settle();
      const heard = subscriber.takeAll("publish");
      for (const number of writers.keys())
        expect(newestOf(`topic/${number}`, heard), `written ${writtenAt} steps from SUBSCRIBE`).toBe(value);
      subscriber.send({ cmd: "disconnect" });
    }
  },
);
