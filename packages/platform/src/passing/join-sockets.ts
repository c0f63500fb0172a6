/**
 * Makes one connection of two sockets: bytes, their pace, the end of either direction and resets go through.
 *
 * Nothing is read from one socket faster than the other takes it. An end is an end for the other side,
 * and only in that direction. What breaks one socket resets the other: through a proxy nobody must see another kind of end
 * than without it.
 */

import type { Socket } from "node:net";

/** Both must allow half-open connections. `ended` is called once, when both sockets are closed. */
export function joinSockets(one: Socket, other: Socket, ended: () => void): void {
  let open = 2;
  const closed = (): void => {
    open--;
    if (open === 0) ended();
  };
  passOn(one, other, closed);
  passOn(other, one, closed);
}

function passOn(from: Socket, to: Socket, closed: () => void): void {
  from.pipe(to);
  from.on("error", () => to.resetAndDestroy());
  from.once("close", () => {
    // It ended before it had said all, or before it had heard all.
    if (!from.readableEnded || !from.writableFinished) to.resetAndDestroy();
    closed();
  });
}
