/**
 * MQTT over WebSocket, with or without TLS: an HTTP listener whose upgrades become byte streams.
 *
 * Any path; sub-protocols `mqtt` and `mqttv3.1`. Binary frames carry the bytes, in whatever portions; a text frame ends
 * the connection with 1003. No compression: MQTT messages are small, and its memory per connection is not.
 *
 * Source: MQTT 5 section 6 [MQTT-6.0.0-1] to [MQTT-6.0.0-4]; RFC 6455.
 */

import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { Socket } from "node:net";
import type { Stream, StreamHandler } from "@skein/kernel";
import { type WebSocket, WebSocketServer } from "ws";
import { createHttpServer } from "../http-server.ts";
import { plainBytes } from "../plain-bytes.ts";
import { type ListenOptions, openClientListener } from "./client-listener.ts";
import { PendingClients } from "./pending-clients.ts";
import { resetSocket } from "./reset-socket.ts";
import { endsOf } from "./socket-ends.ts";

/** Held of a message (all its frames) that is not complete, unless `gatherAtMost` says otherwise. */
const GATHERED_BYTES_MAX = 65_536;
/** Time for an HTTP request, from connecting to its last header. */
const REQUEST_TIMEOUT_MS = 10_000;
/** How often that is looked at. */
const REQUEST_CHECK_MS = 1000;
/** Time the other side has, after `end`, to close as well. */
const END_TIMEOUT_MS = 5000;
/** The first that a client offers is chosen. */
const PROTOCOLS = new Set(["mqtt", "mqttv3.1"]);
/** Close code "unsupported data" (RFC 6455 section 7.4.1). */
const UNSUPPORTED_DATA = 1003;

const HTTP_OPTIONS = {
  noDelay: true,
  requestTimeout: REQUEST_TIMEOUT_MS,
  headersTimeout: REQUEST_TIMEOUT_MS,
  connectionsCheckingInterval: REQUEST_CHECK_MS,
} as const;

/** Accepts WebSocket connections. */
export function listenWebSocket(options: ListenOptions): void {
  const { tls, refused } = options;
  const server =
    tls === undefined
      ? limitRequests(createHttpServer(HTTP_OPTIONS, askForUpgrade), "connection", refused)
      : tls.attach(
          limitRequests(
            createHttpsServer({ ...HTTP_OPTIONS, ...tls.options }, askForUpgrade),
            "secureConnection",
            refused,
          ),
          refused,
        );
  upgradeTo(options, server);
  openClientListener(server, tls === undefined ? "ws" : "wss", options);
}

/** Whoever wants something else than an upgrade. */
function askForUpgrade(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(426, { Upgrade: "websocket", Connection: "close" });
  response.end("This port speaks MQTT over WebSocket.\n");
}

/** Bounds how many clients have not said what they want. `begins`: the event with which HTTP begins to read from a connection. */
function limitRequests<Kind extends Server>(
  server: Kind,
  begins: "connection" | "secureConnection",
  refused: ListenOptions["refused"],
): Kind {
  const requests = new PendingClients("HTTP requests", refused);
  const [read] = server.listeners(begins);
  server.removeAllListeners(begins);
  server.on(begins, (socket: Socket) => {
    if (requests.begin(socket)) read?.call(server, socket);
  });
  server.on("upgrade", (_request, duplex) => requests.done(duplex as Socket));
  return server;
}

/** Makes streams of the upgrades that `server` is asked for. */
function upgradeTo({ accepted }: ListenOptions, server: Server): void {
  const upgrader = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    // Who accepts the stream says how much it may gather, and says it anew when it knows the client.
    maxPayload: 0,
    handleProtocols: (offered) => [...offered].find((name) => PROTOCOLS.has(name)) ?? false,
  });
  server.on("upgrade", (request, duplex, head) => {
    // The stream behind an upgrade is the net.Socket, or the TLS socket on it.
    const socket = duplex as Socket;
    // Without a listener an error between here and the end of the upgrade would end the process.
    socket.on("error", () => socket.destroy());
    const offered = request.headers["sec-websocket-protocol"];
    if (offered !== undefined && !offered.split(",").some((name) => PROTOCOLS.has(name.trim()))) {
      socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
      return;
    }
    upgrader.handleUpgrade(request, socket, head, (webSocket) => {
      accepted(new WebSocketStream(webSocket, socket));
    });
  });
}

class WebSocketStream implements Stream {
  readonly remoteAddress: string;
  readonly localAddress: string;
  readonly identity: string | undefined;
  readonly #webSocket: WebSocket;
  readonly #socket: Socket;
  #handler: StreamHandler | undefined;
  #error: Error | undefined;
  /** Set by `end` and `reset`: what still arrives is not handed on. */
  #isEnding = false;
  #isClosed = false;
  #endTimer: NodeJS.Timeout | undefined;
  /** Read since the last whole message; what of a read belongs to the next one is not counted. */
  #gathered = 0;
  #gatheredMax = GATHERED_BYTES_MAX;

  constructor(webSocket: WebSocket, socket: Socket) {
    this.#webSocket = webSocket;
    this.#socket = socket;
    const { remoteAddress, localAddress, identity } = endsOf(socket);
    this.remoteAddress = remoteAddress;
    this.localAddress = localAddress;
    this.identity = identity;
    const note = (error: Error): void => {
      this.#error ??= error;
    };
    webSocket.on("error", note);
    // The library reports what the other end did wrong, but not that the connection broke.
    socket.on("error", note);
    webSocket.on("close", () => this.#close());
    webSocket.pause();
  }

  get bufferedBytes(): number {
    return this.#webSocket.bufferedAmount;
  }

  start(handler: StreamHandler): void {
    this.#handler = handler;
    if (this.#isClosed) {
      // The connection ended before anyone listened; tell so after this call has returned.
      setImmediate(() => this.#report());
      return;
    }
    // Before the library's own listener, which gathers the bytes and tells only of whole messages.
    this.#socket.prependListener("data", (bytes: Buffer) => {
      if (this.#gathered > this.#gatheredMax) this.#resetLarge();
      this.#gathered += bytes.length;
    });
    this.#webSocket.on("message", (message, isBinary) => {
      this.#gathered = 0;
      if (this.#isEnding) return;
      // [MQTT-6.0.0-1]: MQTT Control Packets are sent in binary data frames.
      if (isBinary) handler.received(plainBytes(message as Buffer));
      else this.#close1003();
    });
    this.#socket.on("drain", () => {
      if (!this.#isEnding) handler.drained();
    });
    this.#webSocket.resume();
  }

  write(bytes: Uint8Array): boolean {
    if (this.#webSocket.readyState !== this.#webSocket.OPEN) return true;
    this.#webSocket.send(bytes, { binary: true });
    return !this.#socket.writableNeedDrain;
  }

  pause(): void {
    this.#webSocket.pause();
  }

  resume(): void {
    this.#webSocket.resume();
  }

  gatherAtMost(bytes: number): void {
    this.#gatheredMax = bytes;
  }

  end(): void {
    this.#end(1000);
  }

  reset(): void {
    if (this.#isClosed) return;
    this.#isEnding = true;
    resetSocket(this.#socket);
  }

  #resetLarge(): void {
    this.#error ??= new Error(`more than ${this.#gatheredMax} bytes without a whole message`);
    this.reset();
  }

  #close1003(): void {
    this.#error ??= new Error("text frame on an MQTT connection");
    this.#end(UNSUPPORTED_DATA);
  }

  #end(code: number): void {
    if (this.#isClosed || this.#isEnding) return;
    this.#isEnding = true;
    this.#endTimer = setTimeout(() => this.reset(), END_TIMEOUT_MS);
    // Without reading on, the answer of the other side would never be noticed.
    this.#webSocket.resume();
    this.#webSocket.close(code);
  }

  #close(): void {
    this.#isClosed = true;
    clearTimeout(this.#endTimer);
    this.#report();
  }

  #report(): void {
    const handler = this.#handler;
    if (handler === undefined) return;
    this.#handler = undefined;
    handler.closed(this.#error);
  }
}
