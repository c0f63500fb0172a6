/** Reads one PROXY header from a socket and leaves what follows unread. */

import type { Socket } from "node:net";
import { type ProxyHeader, ProxyHeaderReader } from "@skein/kernel";

/** `bytes`: the header as it came. */
export type HeaderDone = (header: ProxyHeader, bytes: Uint8Array) => void;

/**
 * Calls `done` when the header is complete, or `failed` when it cannot become one. Neither is called if the socket ends before: its
 * owner hears that from the socket.
 */
export function readHeader(socket: Socket, done: HeaderDone, failed: (error: unknown) => void): void {
  const reader = new ProxyHeaderReader();
  const read = (): void => {
    try {
      while (reader.header === undefined) {
        const bytes = socket.read() as Uint8Array | null;
        if (bytes === null) return;
        const taken = reader.feed(bytes);
        if (taken < bytes.length) socket.unshift(bytes.subarray(taken));
      }
    } catch (error) {
      socket.off("readable", read);
      failed(error);
      return;
    }
    socket.off("readable", read);
    done(reader.header, reader.bytes);
  };
  socket.on("readable", read);
  // What an earlier reader has left is not announced again.
  read();
}
