/**
 * Reads retained messages from within a node's process: real packets through the broker, and no network between.
 *
 * One connection for each read: CONNECT and SUBSCRIBE go in together, and when the mark has come (retained-reader.ts)
 * everything has. A topic on which a live message comes meanwhile is left out, because a broker may then leave its
 * replay out.
 */

import { decodeUtf8, type Stream, type StreamHandler } from "@skein/kernel";
import { connectPacket, subscribePacket } from "./client-packets.ts";
import { type ServerPacket, ServerPacketReader } from "./server-packets.ts";

export interface InsideReaderPorts {
  /** Carries out a turn of the node's process, if that still lives. */
  readonly turn: (input: () => void) => void;
  /** The broker takes the connection. */
  readonly accept: (stream: Stream) => void;
  /** Calls back when everything under way at this instant is over. */
  readonly soon: (callback: () => void) => void;
  /** The connection has ended. `isComplete`: the mark had come before. */
  readonly closed: (isComplete: boolean) => void;
}

export class InsideReader implements Stream {
  readonly remoteAddress = "127.0.0.1:0";
  readonly localAddress = "127.0.0.1";
  readonly bufferedBytes = 0;
  /** Payloads that were replayed, as text, by topic. */
  readonly values = new Map<string, string>();
  /** Topics on which something came live. */
  readonly live = new Set<string>();
  readonly #ports: InsideReaderPorts;
  readonly #mark: string;
  readonly #reader: ServerPacketReader;
  #handler: StreamHandler | undefined;
  #isComplete = false;

  /** `mark`: a topic that always has a retained message. */
  constructor(mark: string, ports: InsideReaderPorts) {
    this.#ports = ports;
    this.#mark = mark;
    this.#reader = new ServerPacketReader(4, (packet) => this.#handle(packet));
  }

  /** Reads everything that `filter` matches. */
  read(clientId: string, filter: string): void {
    const options = {
      version: 4,
      clientId,
      isClean: true,
      keepAliveSeconds: 0,
      sessionExpirySeconds: 0,
    } as const;
    this.#ports.turn(() => {
      this.#ports.accept(this);
      this.#handler?.received(connectPacket(options));
      this.#handler?.received(subscribePacket(4, 1, [filter, this.#mark], 0));
    });
  }

  /** Goes away without a word. */
  close(): void {
    if (this.#handler === undefined) return;
    const handler = this.#handler;
    this.#handler = undefined;
    this.#reader.stop();
    // Not within a call of the broker.
    this.#ports.soon(() => this.#ports.turn(() => handler.closed(undefined)));
    this.#ports.closed(this.#isComplete);
  }

  start(handler: StreamHandler): void {
    this.#handler = handler;
  }

  write(bytes: Uint8Array): boolean {
    if (this.#handler !== undefined) this.#reader.feed(bytes);
    return true;
  }

  pause(): void {}

  resume(): void {}

  end(): void {
    this.close();
  }

  reset(): void {
    this.close();
  }

  #handle(packet: ServerPacket): void {
    if (packet.kind !== "publish") return;
    const { topic, payload, retain } = packet;
    if (!retain) this.live.add(topic);
    else this.values.set(topic, decodeUtf8(payload, 0, payload.length));
    if (topic !== this.#mark) return;
    this.#isComplete = retain;
    this.close();
  }
}
