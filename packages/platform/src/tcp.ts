/** MQTT over TCP: listening sockets for clients. */

import { createServer, type Server } from "node:net";
import type { SkeinError, Stream, StreamListener } from "@skein/kernel";
import { SocketStream } from "./socket-stream.ts";
import { listenError } from "./system-error.ts";

/** Silence after which the operating system asks whether the other machine is still there; MQTT's keep-alive may be off. */
const KEEP_ALIVE_MS = 60_000;

export interface ListenOptions {
  /** Address to listen on; `0.0.0.0` or `::` for all. */
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Gets every stream; nothing is read from it before its `start`. */
  readonly accepted: (stream: Stream) => void;
  /** Called once: the listener, or why there is none (ERR_SKEIN_PORT_IN_USE, ERR_SKEIN_LISTEN). */
  readonly ready: (result: StreamListener | SkeinError) => void;
}

/** Accepts TCP connections. */
export function listenTcp(options: ListenOptions): void {
  const server = createServer(
    { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS },
    (socket) => options.accepted(new SocketStream(socket)),
  );
  openListener(server, options.host, options.port, (port) => `--listen mqtt://:${port}`, options.ready);
}

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
