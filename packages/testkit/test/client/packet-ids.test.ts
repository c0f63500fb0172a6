import { expect, test } from "vitest";
import { PACKET_ID_HABITS, type PacketIdHabit, PacketIds } from "../../src/client/packet-ids.ts";
import { PERSISTENT_V5 } from "../../src/client/profiles.ts";
import { SimClient } from "../../src/client/sim-client.ts";
import { LoneBroker } from "../support/lone-broker.ts";

/** Takes three, of which the first and the last go on, loses its connection and takes two more. */
function taken(habit: PacketIdHabit): number[] {
  const held = new Set<number>();
  const packetIds = new PacketIds(habit, (packetId) => held.has(packetId));
  const take = (): number => {
    const packetId = packetIds.next();
    held.add(packetId);
    return packetId;
  };
  packetIds.connected();
  const first = [take(), take(), take()];
  held.delete(2);
  packetIds.connected();
  const next = [take()];
  held.clear();
  return [...first, ...next, take()];
}

test.each([
  ["counts on", [1, 2, 3, 4, 5]],
  ["takes the lowest", [1, 2, 3, 2, 1]],
  ["begins at 1", [1, 2, 3, 2, 3]],
] as const)("[MQTT-2.2.1-3] a client that %s takes none that is under way", (habit, packetIds) => {
  expect(taken(habit)).toEqual(packetIds);
});

test("identifiers go round", () => {
  const packetIds = new PacketIds("counts on", (packetId) => packetId === 1);
  const taken = Array.from({ length: 65_536 }, () => packetIds.next());
  expect(taken.slice(-3)).toEqual([65_535, 2, 3]);
});

test.each(PACKET_ID_HABITS)("a client that %s tells apart what it asks for and says at once", (packetIds) => {
  const world = new LoneBroker();
  const options = { clientId: "c", target: "node:0", profile: PERSISTENT_V5, packetIds } as const;
  const client = new SimClient(world.host, options);
  client.start();
  world.run(100);
  for (let round = 1; round <= 3; round++) {
    client.publish("a", `one ${round}`, 2, false);
    client.subscribe(`b/${round}`, 1);
    client.subscribe(`c/${round}`, 2);
    client.publish("a", `two ${round}`, 1, false);
    world.run(100);
    expect(world.of("subscribeAcked").slice(-2)).toMatchObject([
      { filter: `b/${round}`, qos: 1 },
      { filter: `c/${round}`, qos: 2 },
    ]);
    expect(world.of("publishAcked").map(({ payloadId }) => payloadId)).toHaveLength(2 * round);
  }
  expect(client.unfinished).toBe(0);
});
