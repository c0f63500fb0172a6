/**
 * Clients that come through a proxy (HAProxy, nginx, a cloud's load balancer): whose connection it is says a PROXY header.
 *
 * The listener believes every header, so only the proxy may reach it. A header that is missing, malformed or late resets the connection.
 * LOCAL (a health check of the proxy itself) and UNKNOWN leave the connection its own ends.
 *
 * Source: HAProxy, "The PROXY protocol", versions 1 and 2; the reader is the kernel's.
 */

import type { Socket } from "node:net";
import { readHeader } from "../passing/read-header.ts";
import { joinHostPort } from "./host-port.ts";
import { resetSocket } from "./reset-socket.ts";
import { endsOf, setEnds } from "./socket-ends.ts";

/** Time for the whole header, which a proxy sends at once. */
const HEADER_TIMEOUT_MS = 5000;

/** Calls `done` when the header has come; what follows it is unread. */
export function readClientEnds(
  socket: Socket,
  done: () => void,
  refused: ((remoteAddress: string, reason: string) => void) | undefined,
): void {
  const ends = endsOf(socket);
  const refuse = (reason: string): void => {
    clearTimeout(timer);
    resetSocket(socket);
    refused?.(ends.remoteAddress, reason);
  };
  const timer = setTimeout(() => refuse("it sent no PROXY header in time"), HEADER_TIMEOUT_MS);
  // The end that follows an error says enough.
  socket.on("error", () => undefined);
  socket.once("close", () => clearTimeout(timer));
  readHeader(
    socket,
    ({ source }) => {
      clearTimeout(timer);
      // The address it came in on stays this machine's: it tells what is reset when that address moves.
      if (source !== undefined)
        setEnds(socket, { ...ends, remoteAddress: joinHostPort(source.address, source.port) });
      done();
    },
    () => refuse("it did not begin with a PROXY header"),
  );
}
