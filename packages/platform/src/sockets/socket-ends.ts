/**
 * Whose connection a socket is: its own ends, unless another node or a proxy has passed it on and said whose it is.
 *
 * Everything above sees the client where it really is, so that logs, limits and rules need not know about passing.
 */

import type { Socket } from "node:net";
import { joinHostPort, plainAddress } from "./host-port.ts";

export interface SocketEnds {
  /** `address:port` of the client. */
  readonly remoteAddress: string;
  /** Address (without port) that the client connected to. */
  readonly localAddress: string;
  /** Who its certificate says it is; undefined: it showed none. */
  readonly identity?: string | undefined;
}

const known = new WeakMap<Socket, SocketEnds>();

export function endsOf(socket: Socket): SocketEnds {
  return known.get(socket) ?? { ...remoteEndOf(socket), localAddress: localAddressOf(socket) };
}

/** All but its local address, which costs a system call of its own. */
export function remoteEndOf(socket: Socket): Omit<SocketEnds, "localAddress"> {
  return (
    known.get(socket) ?? {
      remoteAddress: joinHostPort(plainAddress(socket.remoteAddress), socket.remotePort ?? 0),
    }
  );
}

/** As in {@link SocketEnds}; empty once the socket has been closed, if it was not asked for before. */
export function localAddressOf(socket: Socket): string {
  return known.get(socket)?.localAddress ?? plainAddress(socket.localAddress);
}

/** `socket` carries the connection of somebody else, or of somebody who has proved who it is. */
export function setEnds(socket: Socket, ends: SocketEnds): void {
  known.set(socket, ends);
}
