/** MQTT over TCP, with or without TLS: listening sockets for clients. */

import { createServer, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { type ListenOptions, openClientListener } from "./client-listener.ts";
import { SocketStream } from "./socket-stream.ts";

/** Silence after which the operating system asks whether the other machine is still there; MQTT's keep-alive may be off. */
const KEEP_ALIVE_MS = 60_000;

/** How every TCP connection of a client is treated. */
const TCP_OPTIONS = { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS } as const;

/** Accepts TCP connections. */
export function listenTcp(options: ListenOptions): void {
  const { tls, accepted, refused } = options;
  const take = (socket: Socket): void => accepted(new SocketStream(socket));
  const server =
    tls === undefined
      ? createServer(TCP_OPTIONS, take)
      : tls.attach(createTlsServer({ ...TCP_OPTIONS, ...tls.options }, take), refused);
  openClientListener(server, tls === undefined ? "mqtt" : "mqtts", options);
}
