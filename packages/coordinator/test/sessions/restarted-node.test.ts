/** A node that is back before anybody has called it dead. */

import type { KeptSession } from "@skein/kernel";
import { expect, test } from "vitest";
import { World } from "../support/world.ts";

const WILL = {
  topic: "gone",
  payload: Uint8Array.of(1),
  qos: 1,
  retain: false,
  properties: undefined,
} as const;
const LIMITS = { queuedMessagesMax: 10, queuedBytesMax: 1000 };
const OPENING = { ...LIMITS, cleanStart: true, keepAliveSeconds: 4 } as const;
const AT_ONCE_MS = 500;
const GRACE_MS = 15_000;

test("what an earlier process of a restarted node held is left: its clients' wills come after the grace", () => {
  const world = new World(1);
  const [watching, , struck] = world.add(3);
  if (watching === undefined || struck === undefined) throw new Error("no nodes");
  world.startAll();
  world.until(() => world.isFormed(3) && world.leader !== undefined, 60_000, "formed");
  let heard: KeptSession | undefined;
  const watcher = watching.running.sessions.open(
    { ...OPENING, clientId: "watcher", expirySeconds: 3600, will: undefined },
    {
      opened: (kept) => {
        heard = kept;
      },
      grown: () => undefined,
      lost: () => undefined,
      placed: () => undefined,
    },
  );
  const wish = {
    qos: 1,
    noLocal: false,
    retainAsPublished: false,
    identifier: undefined,
    retainHandling: 0,
  } as const;
  watcher.subscribe([{ ...wish, filter: "gone" }], { settle: () => undefined });
  struck.running.sessions.open(
    { ...OPENING, clientId: "mortal", expirySeconds: 0, will: { message: WILL, delaySeconds: 0 } },
    { opened: () => undefined, grown: () => undefined, lost: () => undefined, placed: () => undefined },
  );
  world.run(AT_ONCE_MS);
  world.restart(struck);
  world.run(GRACE_MS - 2 * AT_ONCE_MS);
  expect(heard?.queued).toBe(0);
  world.run(10 * AT_ONCE_MS);
  expect(heard?.after(-1)?.message.topic).toBe("gone");
});
