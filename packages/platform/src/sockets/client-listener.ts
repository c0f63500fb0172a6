/**
 * What happens to a client's connection between the operating system and the layer that speaks its protocol.
 *
 *   accepted -> (PROXY header) -> (another node takes it) -> counted -> (TLS) -> (HTTP) -> stream
 *
 * Each step in brackets only where the listener wants it. Whatever goes wrong on the way ends the connection with a reset, never with
 * an answer: nothing has been said yet that a client could misunderstand (P11). The servers of Node take a connection in their
 * first listener for "connection"; it is taken off and called when the steps before are done.
 */

import type { Server, Socket } from "node:net";
import type { SkeinError, Stream, StreamListener } from "@skein/kernel";
import type { ClientTls } from "./client-tls.ts";
import { openListener } from "./open-listener.ts";
import { PendingClients } from "./pending-clients.ts";
import { readClientEnds } from "./proxied-client.ts";
import { resetSocket } from "./reset-socket.ts";
import { endsOf } from "./socket-ends.ts";

/** A connection that came in. Whoever is given one hands it on as it is. */
export type ClientSocket = Socket;

export interface ClientListenOptions {
  /** Gets every stream; nothing is read from it before its `start`. */
  readonly accepted: (stream: Stream) => void;
  /** Hears of every connection that did not become a stream through its own fault or for want of room. */
  readonly refused?: ((remoteAddress: string, reason: string) => void) | undefined;
  /** Each connection begins with a PROXY header, which is believed. */
  readonly isProxied?: boolean | undefined;
  /**
   * Looks at a connection before anything is read from it. True: it has been taken over; `serve` gives it back to this
   * listener, untouched. Undefined: every connection is served. Not asked where connections are proxied.
   */
  readonly divert?: ((socket: Socket, serve: (socket: Socket) => void) => boolean) | undefined;
  /** Connections that are served at a time; more are reset. Undefined: no bound of this listener's own. */
  readonly connectionsMax?: number | undefined;
  /** Undefined: connections are not encrypted. */
  readonly tls?: ClientTls | undefined;
  /** Called once: the listener, or why there is none (ERR_SKEIN_PORT_IN_USE, ERR_SKEIN_LISTEN). */
  readonly ready: (result: ClientListener | SkeinError) => void;
}

export interface ListenOptions extends ClientListenOptions {
  /** Address to listen on; `0.0.0.0` or `::` for all. */
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
}

/** A listener for clients. */
export interface ClientListener extends StreamListener {
  /** Serves a connection that came in elsewhere. */
  serve(socket: Socket): void;
}

/** Lets `server` listen for clients, with the steps before its own. `scheme`: of its URL. */
export function openClientListener(server: Server, scheme: string, options: ListenOptions): void {
  const { host, port, ready } = options;
  const serve = guardClients(server, options);
  openListener(
    server,
    host,
    port,
    (other) => `--listen ${scheme}://:${other}`,
    (result) => ready(result instanceof Error ? result : { ...result, serve }),
  );
}

/** Puts the steps before the server's own. Returns what serves a connection that came in elsewhere. */
export function guardClients(server: Server, options: ClientListenOptions): (socket: Socket) => void {
  const { isProxied = false, divert, connectionsMax = Number.POSITIVE_INFINITY, refused } = options;
  const [take] = server.listeners("connection");
  server.removeAllListeners("connection");
  const headers = new PendingClients("PROXY headers", refused);
  let served = 0;
  const serve = (socket: Socket): void => {
    if (served >= connectionsMax) {
      refused?.(endsOf(socket).remoteAddress, "this listener has as many clients as it may have");
      resetSocket(socket);
      return;
    }
    if (connectionsMax !== Number.POSITIVE_INFINITY) {
      served++;
      socket.once("close", () => {
        served--;
      });
    }
    take?.call(server, socket);
  };
  const serveProxied = (socket: Socket): void => {
    const proxied = (): void => {
      headers.done(socket);
      serve(socket);
    };
    if (headers.begin(socket)) readClientEnds(socket, proxied, refused);
  };
  server.on("connection", (socket) => {
    if (isProxied) serveProxied(socket);
    else if (divert?.(socket, serve) !== true) serve(socket);
  });
  return serve;
}
