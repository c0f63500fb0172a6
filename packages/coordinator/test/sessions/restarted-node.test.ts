/** When the time begins that the clients of a node which is gone have to come back: what it held is left, and their wills come after the grace. */

import type { KeptSession } from "@skein/kernel";
import { expect, test } from "vitest";
import { comesTo } from "../support/kept-client.ts";
import { completion, type SimNode, World } from "../support/world.ts";
import { wish } from "./session-world.ts";

const WILL = {
  topic: "gone",
  payload: Uint8Array.of(1),
  qos: 1,
  retain: false,
  properties: undefined,
} as const;
const AT_ONCE_MS = 500;
const GRACE_MS = 15_000;
/** Until a node that is killed is taken for dead, and its clients for gone. */
const NOTICED_MS = 11_500;

/** A mesh of three, and on the third node a client with a will that another client on the first one waits for. */
function meshWithWill(): { world: World; watching: SimNode; struck: SimNode; heard: () => KeptSession } {
  const world = new World(1);
  const [watching, , struck] = world.add(3);
  if (watching === undefined || struck === undefined) throw new Error("no nodes");
  world.startAll();
  world.until(() => world.isFormed(3) && world.leader !== undefined, 60_000, "formed");
  const { claim, kept } = comesTo(watching, "watcher");
  claim.subscribe([wish("gone")], completion());
  const mortal = { keepAliveSeconds: 4, expirySeconds: 0, will: { message: WILL, delaySeconds: 0 } };
  comesTo(struck, "mortal", mortal);
  world.run(AT_ONCE_MS);
  return { world, watching, struck, heard: kept };
}

test("a node that is back before anybody has called it dead", () => {
  const { world, struck, heard } = meshWithWill();
  world.restart(struck);
  world.run(GRACE_MS - 2 * AT_ONCE_MS);
  expect(heard().queued).toBe(0);
  world.run(10 * AT_ONCE_MS);
  expect(heard().after(-1)?.message.topic).toBe("gone");
});

test("all nodes were down: the time that they were does not count", () => {
  const { world, watching } = meshWithWill();
  world.run(2000);
  for (const node of world.nodes) world.kill(node);
  world.run(GRACE_MS - 2000);
  world.startAll();
  world.until(() => world.leader !== undefined, 60_000, "a leader");
  const { kept: heard } = comesTo(watching, "watcher");
  world.run(GRACE_MS - 2 * AT_ONCE_MS);
  expect(heard().queued).toBe(0);
  world.run(10 * AT_ONCE_MS);
  expect(heard().after(-1)?.message.topic).toBe("gone");
});

test.each([60_000, 1_000_000])("nobody has written anything for %i ms when a node dies", (quietMs) => {
  const { world, struck, heard } = meshWithWill();
  world.run(quietMs);
  world.kill(struck);
  world.run(GRACE_MS);
  expect(heard().queued).toBe(0);
  world.run(NOTICED_MS + 2 * AT_ONCE_MS);
  expect(heard().after(-1)?.message.topic).toBe("gone");
});
