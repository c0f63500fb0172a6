/** The broker's end of a connection whose other end is the test. */

import type { Stream, StreamHandler } from "@skein/kernel";

export class MemoryStream implements Stream {
  readonly remoteAddress = "192.0.2.7:50000";
  readonly localAddress: string;
  bufferedBytes = 0;
  isPaused = false;
  /** How it ended: by the broker's `end`, by its `reset`, or by the client. */
  ended: "end" | "reset" | "client" | undefined;
  /** Number of `write` calls. */
  writes = 0;
  readonly #receive: (bytes: Uint8Array) => void;
  #handler: StreamHandler | undefined;
  #isStuck = false;
  #stuck: Uint8Array[] = [];

  constructor(localAddress: string, receive: (bytes: Uint8Array) => void) {
    this.localAddress = localAddress;
    this.#receive = receive;
  }

  start(handler: StreamHandler): void {
    this.#handler = handler;
  }

  write(bytes: Uint8Array): boolean {
    if (this.ended !== undefined) return true;
    this.writes++;
    if (!this.#isStuck) {
      this.#receive(bytes);
      return true;
    }
    this.#stuck.push(bytes);
    this.bufferedBytes += bytes.length;
    return false;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  end(): void {
    this.#finish("end");
  }

  reset(): void {
    this.#finish("reset");
  }

  // ---- the test's side

  /** The client stops reading: what is written stays in the buffer. */
  stick(): void {
    this.#isStuck = true;
  }

  /** The client reads everything. */
  unstick(): void {
    this.#isStuck = false;
    const stuck = this.#stuck;
    this.#stuck = [];
    this.bufferedBytes = 0;
    for (const bytes of stuck) this.#receive(bytes);
    if (this.ended === undefined) this.#handler?.drained();
  }

  /** Bytes from the client. As in Node they come in a Buffer. */
  feed(bytes: Uint8Array): void {
    if (this.ended !== undefined) return;
    this.#handler?.received(Buffer.from(bytes));
  }

  /** The client's side breaks without a DISCONNECT. */
  sever(): void {
    this.#finish("client");
  }

  #finish(how: "end" | "reset" | "client"): void {
    if (this.ended !== undefined) return;
    this.ended = how;
    this.#handler?.closed(undefined);
  }
}
