/** A TCP connection that sends whatever bytes a test wants, for clients that break the protocol. */

import { connect, type Socket } from "node:net";
import { type Packet, parser } from "mqtt-packet";
import { onTestFinished } from "vitest";
import type { NodeProcess } from "./node-process.ts";

export class RawClient {
  readonly #socket: Socket;
  /** What the node sent before it closed the connection. */
  readonly closed: Promise<readonly Packet[]>;

  constructor(node: NodeProcess, protocolVersion: 4 | 5) {
    this.#socket = connect({ host: "127.0.0.1", port: node.ports.mqtt });
    const packets: Packet[] = [];
    const reader = parser({ protocolVersion });
    reader.on("packet", (packet) => packets.push(packet));
    this.#socket.on("data", (bytes) => reader.parse(bytes));
    // A reset is one of the ways to be closed.
    this.#socket.on("error", () => undefined);
    this.closed = new Promise((resolve) => {
      this.#socket.once("close", () => resolve(packets));
    });
    onTestFinished(() => {
      this.#socket.destroy();
    });
  }

  send(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }
}
