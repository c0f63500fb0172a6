/** Ends a connection at once, with a reset where its kind has one. */

import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";

export function resetSocket(socket: Socket): void {
  // Node has no reset for TLS, and resetting the TCP socket under it can crash the process (seen with Node 20 and 24): an encrypted
  // stream is closed at once, what Node has buffered is lost, but the other end may see an ordinary end. A Unix socket, which has no
  // address, knows no reset at all.
  if (socket instanceof TLSSocket || socket.remoteAddress === undefined) socket.destroy();
  else socket.resetAndDestroy();
}
