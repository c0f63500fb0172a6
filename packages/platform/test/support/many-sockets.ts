/** Many clients at once, without more of them waiting to be accepted than the system lets wait: it would let some in seconds later. */

import { once } from "node:events";
import type { Socket } from "node:net";
import { setImmediate } from "node:timers/promises";

/** Below the shortest queue of connections that are not accepted yet. */
const AT_ONCE = 64;

/** Dials `count` times; resolves when all are connected and had a turn to be accepted in. */
export async function dialMany(count: number, dial: () => Socket): Promise<readonly Socket[]> {
  const sockets: Socket[] = [];
  while (sockets.length < count) {
    const batch = Array.from({ length: Math.min(AT_ONCE, count - sockets.length) }, dial);
    await Promise.all(batch.map((socket) => once(socket, "connect")));
    await setImmediate();
    sockets.push(...batch);
  }
  return sockets;
}
