/**
 * A kept session without room for a message is passed by, and stops nobody: who can be told hears of it, who cannot is not cut off, and
 * everybody else gets the message once (docs/decisions/0016).
 */

import { expect, test } from "vitest";
import type { Client } from "../support/client.ts";
import { KeptWorld } from "../support/kept-world.ts";

/** An orphan that wants everything and has no room, and two that get what is published: by the log, and the live way. */
function home() {
  const world = new KeptWorld();
  world.subscriber("orphan", "#", 2).sever();
  const kept = world.subscriber("kept", "t", 2);
  const live = world.connect("live");
  live.subscribe("t", 2);
  world.sessions.full.add("orphan");
  const delivered = (): readonly string[][] => [kept.takePayloads(), live.takePayloads()];
  return { world, delivered };
}

const both = (...payloads: string[]): readonly string[][] => [payloads, payloads];

test.each([3, 4] as const)("level %i: the publisher is acknowledged and stays", (version) => {
  const { world, delivered } = home();
  const publisher = world.connect("p", { version });
  publisher.publish("t", "1", { qos: 1, messageId: 1 }).publish("t", "2", { qos: 2, messageId: 2 });
  expect(publisher.packets).toEqual([]);
  world.commit();
  expect(publisher.take("puback").messageId).toBe(1);
  expect(publisher.take("pubrec").messageId).toBe(2);
  publisher.send({ cmd: "pubrel", messageId: 2 });
  expect(publisher.take("pubcomp").messageId).toBe(2);
  expect(publisher.stream.ended).toBeUndefined();
  expect(delivered()).toEqual(both("1", "2"));
  expect(world.sessions.session("orphan").queued).toBe(0);
});

const PASSED = "taken, but the queue of a client that is away, or all queues together, had no room for it";

test("level 5: the publisher hears 0x97 of QoS 1, and in a Reason String of QoS 2; everybody else has the message", () => {
  const { world, delivered } = home();
  const publisher = world.connect("p");
  publisher.publish("t", "1", { qos: 1, messageId: 1 }).publish("t", "2", { qos: 2, messageId: 2 });
  world.commit();
  const properties = { reasonString: PASSED };
  expect(publisher.take("puback")).toMatchObject({ messageId: 1, reasonCode: 0x97, properties });
  expect(publisher.take("pubrec")).toMatchObject({ messageId: 2, reasonCode: 0, properties });
  expect(delivered()).toEqual(both("1", "2"));
});

test.each([4, 5] as const)(
  "level %i: [MQTT-4.3.3-10] QoS 2 of one that keeps nothing comes once",
  (version) => {
    const { world, delivered } = home();
    const publisher = world.connect("p", { version });
    for (const dup of [false, true]) {
      publisher.publish("t", "1", { qos: 2, messageId: 7, dup });
      world.commit();
      expect(publisher.take("pubrec")).toMatchObject({ messageId: 7 });
    }
    expect(delivered()).toEqual(both("1"));
  },
);

test.each([4, 5] as const)(
  "level %i: QoS 2 of a kept publisher that comes again elsewhere comes once (P6)",
  (version) => {
    const { world, delivered } = home();
    const enter = (): Client => world.enter("p", { version });
    const first = enter();
    first.publish("t", "1", { qos: 2, messageId: 7 });
    world.commit();
    first.sever();
    world.commit();
    const second = enter();
    second.publish("t", "1", { qos: 2, messageId: 7, dup: true });
    world.commit();
    expect(second.take("pubrec")).toMatchObject({ messageId: 7 });
    expect(second.stream.ended).toBeUndefined();
    expect(delivered()).toEqual(both("1"));
  },
);

test("level 4: what cannot be kept at all still ends the connection", () => {
  const { world } = home();
  world.mesh.isHolding = true;
  const publisher = world.connect("p", { version: 4 });
  publisher.publish("t", "1", { qos: 1, messageId: 1 });
  world.commit();
  expect(publisher.stream.ended).toBeUndefined();
  world.answer(0x97);
  expect(publisher.packets).toEqual([]);
  expect(publisher.stream.ended).toBe("end");
});
