/** MQTT over TCP: listening sockets for clients. */

import { createServer, type Server, type Socket } from "node:net";
import type { SkeinError, Stream, StreamListener } from "@skein/kernel";
import { SocketStream } from "./socket-stream.ts";
import { listenError } from "./system-error.ts";

/** Silence after which the operating system asks whether the other machine is still there; MQTT's keep-alive may be off. */
const KEEP_ALIVE_MS = 60_000;

/** A connection that came in. Whoever is given one hands it on as it is. */
export type ClientSocket = Socket;

export interface ListenOptions {
  /** Address to listen on; `0.0.0.0` or `::` for all. */
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Gets every stream; nothing is read from it before its `start`. */
  readonly accepted: (stream: Stream) => void;
  /**
   * Looks at a connection before anything is read from it. True: it has been taken over; `serve` gives it back to this
   * listener, untouched. Undefined: every connection is served.
   */
  readonly divert?: ((socket: Socket, serve: () => void) => boolean) | undefined;
  /** Called once: the listener, or why there is none (ERR_SKEIN_PORT_IN_USE, ERR_SKEIN_LISTEN). */
  readonly ready: (result: ClientListener | SkeinError) => void;
}

/** A listener for clients. */
export interface ClientListener extends StreamListener {
  /** Serves a connection that came in elsewhere. */
  serve(socket: Socket): void;
}

/** Accepts TCP connections. */
export function listenTcp(options: ListenOptions): void {
  const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS });
  const serve = (socket: Socket): void => options.accepted(new SocketStream(socket));
  openClientListener(server, options, serve, (port) => `--listen mqtt://:${port}`);
}

/** Lets `server` listen for clients; each connection that is not diverted goes to `serve`. */
export function openClientListener(
  server: Server,
  { host, port, divert, ready }: ListenOptions,
  serve: (socket: Socket) => void,
  option: (port: number) => string,
): void {
  server.on("connection", (socket) => {
    if (divert?.(socket, () => serve(socket)) !== true) serve(socket);
  });
  openListener(server, host, port, option, (result) => {
    ready(result instanceof Error ? result : { ...result, serve });
  });
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
