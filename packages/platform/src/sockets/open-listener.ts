/** Lets a server listen, and says in words why it cannot. */

import type { Server } from "node:net";
import type { SkeinError, StreamListener } from "@skein/kernel";
import { listenError } from "../system-error.ts";

/** Lets `server` listen and reports the result. `option` shows how the operator chooses another port. */
export function openListener(
  server: Server,
  host: string,
  port: number,
  option: (port: number) => string,
  ready: (result: StreamListener | SkeinError) => void,
): void {
  const fail = (error: Error): void => ready(listenError(error, host, port, option));
  server.once("error", fail);
  server.listen({ host, port }, () => {
    server.off("error", fail);
    // A connection that could not be accepted (too many open files) is lost; the listener lives on.
    server.on("error", () => {});
    const address = server.address();
    const actual = address !== null && typeof address === "object" ? address.port : port;
    ready({ port: actual, close: () => server.close() });
  });
}
