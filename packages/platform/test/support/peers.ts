/** The other end of a stream under test: a plain socket, a WebSocket client, or a stream of ours. */

import type { Socket } from "node:net";
import type { Stream } from "@skein/kernel";
import type { WebSocket } from "ws";
import { resetSocket } from "../../src/sockets/reset-socket.ts";
import { type Peer, RecordingHandler } from "./stream-contract.ts";

export function socketPeer(socket: Socket): Peer {
  const handler = new RecordingHandler();
  let failure: Error | undefined;
  socket.on("data", (bytes) => handler.received(bytes as Uint8Array));
  socket.on("error", (error) => {
    failure ??= error;
  });
  socket.on("close", () => handler.noteClosed(failure));
  return {
    send: (bytes) => void socket.write(bytes),
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    end: () => void socket.end(),
    reset: () => resetSocket(socket),
    get received() {
      return handler.bytes;
    },
    whenReceived: (count) => handler.whenReceived(count),
    closed: handler.closed,
  };
}

/** @param socket the connection under the WebSocket, for resets */
export function webSocketPeer(client: WebSocket, socket: Socket): Peer {
  const handler = new RecordingHandler();
  let failure: Error | undefined;
  client.on("message", (bytes) => handler.received(bytes as Buffer));
  client.on("error", (error) => {
    failure ??= error;
  });
  client.on("close", () => handler.noteClosed(failure));
  return {
    send: (bytes) => client.send(bytes),
    pause: () => client.pause(),
    resume: () => client.resume(),
    end: () => client.close(1000),
    reset: () => resetSocket(socket),
    get received() {
      return handler.bytes;
    },
    whenReceived: (count) => handler.whenReceived(count),
    closed: handler.closed,
  };
}

export function streamPeer(stream: Stream): Peer {
  const handler = new RecordingHandler();
  stream.start({
    received: (bytes) => handler.received(bytes),
    drained: () => handler.drained(),
    closed: (error) => handler.noteClosed(error),
  });
  return {
    send: (bytes) => void stream.write(bytes),
    pause: () => stream.pause(),
    resume: () => stream.resume(),
    end: () => stream.end(),
    reset: () => stream.reset(),
    get received() {
      return handler.bytes;
    },
    whenReceived: (count) => handler.whenReceived(count),
    closed: handler.closed,
  };
}
