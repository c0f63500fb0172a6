/** Shared subscriptions: who gets a message, and what becomes of one that a member does not complete. */

import { expect, test } from "vitest";
import type { Client } from "./support/client.ts";
import { type ConnectOptions, World } from "./support/world.ts";

const DURABLE: ConnectOptions = { clean: false, properties: { sessionExpiryInterval: 1000 } };

interface Group {
  readonly world: World;
  /** The member that got the one message, and its identifier there. */
  readonly chosen: Client;
  readonly messageId: number | undefined;
  readonly id: string;
  readonly others: readonly Client[];
}

/** Three durable members of a shared subscription, one of which has got a QoS 2 message. */
function served(): Group {
  const world = new World();
  const ids = ["a", "b", "c"];
  const members = ids.map((id) => world.connect(id, DURABLE));
  for (const member of members) member.subscribe("$share/g/t", 2);
  world.connect("p").publish("t", "x", { qos: 2, messageId: 1 });
  const at = members.findIndex(({ packets }) => packets.length > 0);
  const chosen = members[at];
  const id = ids[at];
  if (chosen === undefined || id === undefined) throw new Error("nobody got the message");
  const { messageId } = chosen.take("publish");
  return { world, chosen, messageId, id, others: members.filter((member) => member !== chosen) };
}

function expectNothing(clients: readonly Client[]): void {
  expect(clients.flatMap(({ packets }) => packets)).toEqual([]);
}

test("[MQTT-4.8.2-4] a QoS 2 message to a member that is cut off is completed when that member is back", () => {
  const { world, chosen, id, messageId, others } = served();
  chosen.sever();
  world.pass(5_000);
  expectNothing(others);
  const back = world.connect(id, DURABLE);
  expect(back.take("publish")).toMatchObject({ messageId, dup: true });
  back.send({ cmd: "pubrec", messageId, reasonCode: 0 }).take("pubrel");
  back.send({ cmd: "pubcomp", messageId, reasonCode: 0 });
  expectNothing([back, ...others]);
});

test("[MQTT-4.8.2-5] if that member's session ends instead, no other member gets the message", () => {
  const { world, chosen, id, others } = served();
  chosen.sever();
  const anew = world.connect(id, { ...DURABLE, clean: true });
  world.pass(5_000);
  expectNothing([anew, ...others]);
});

test("[MQTT-4.8.2-6] a message that a member refuses goes to no other member, and not to it again", () => {
  const { world, chosen, id, messageId, others } = served();
  chosen.send({ cmd: "pubrec", messageId, reasonCode: 0x80 });
  expectNothing([chosen, ...others]);
  chosen.sever();
  expectNothing([world.connect(id, DURABLE), ...others]);
});

test("each message goes to exactly one member, and every member gets some", () => {
  const world = new World();
  const members = ["a", "b", "c"].map((id) => world.connect(id));
  for (const member of members) member.subscribe("$share/g/t");
  const publisher = world.connect("p");
  for (let i = 0; i < 60; i++) publisher.publish("t", `${i}`);
  const came = members.map((member) => member.takePayloads());
  expect(
    came
      .flat()
      .map(Number)
      .sort((a, b) => a - b),
  ).toEqual(Array.from({ length: 60 }, (_, i) => i));
  for (const payloads of came) expect(payloads.length).toBeGreaterThan(5);
});
