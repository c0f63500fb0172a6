/**
 * The broker's end of a connection of the fuzzer, with what real sockets do to it: a client that does not read, bytes that
 * wait while the broker does not, an end that comes only when everything has gone out.
 */

import type { Stream, StreamHandler } from "@skein/kernel";

export class FuzzStream implements Stream {
  readonly remoteAddress: string;
  readonly localAddress = "192.0.2.1";
  bufferedBytes = 0;
  isClosed = false;
  /** The broker wants no more; what is still under way may go out. */
  isEnding = false;
  readonly #receive: (bytes: Uint8Array) => void;
  #handler: StreamHandler | undefined;
  #isStuck = false;
  #isPaused = false;
  #stuck: Uint8Array[] = [];
  #unread: Uint8Array[] = [];

  constructor(remoteAddress: string, receive: (bytes: Uint8Array) => void) {
    this.remoteAddress = remoteAddress;
    this.#receive = receive;
  }

  get isStuck(): boolean {
    return this.#isStuck;
  }

  /** What the client sends now is read at once. */
  get isRead(): boolean {
    return !this.#isPaused && this.#unread.length === 0;
  }

  start(handler: StreamHandler): void {
    this.#handler = handler;
  }

  write(bytes: Uint8Array): boolean {
    if (this.isClosed || this.isEnding) return true;
    if (!this.#isStuck) {
      this.#receive(bytes);
      return true;
    }
    this.#stuck.push(bytes);
    this.bufferedBytes += bytes.length;
    return false;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
  }

  end(): void {
    this.isEnding = true;
    if (!this.#isStuck) this.#close();
  }

  reset(): void {
    this.#close();
  }

  // ---- the client's side

  stick(): void {
    this.#isStuck = true;
  }

  unstick(): void {
    this.#isStuck = false;
    if (this.isClosed) return;
    const stuck = this.#stuck;
    this.#stuck = [];
    this.bufferedBytes = 0;
    for (const bytes of stuck) this.#receive(bytes);
    if (this.isEnding) this.#close();
    else this.#handler?.drained();
  }

  /** Bytes from the client. */
  feed(bytes: Uint8Array): void {
    this.#unread.push(bytes);
    this.read();
  }

  /** Hands on what waited for the broker to read again. Returns whether there was anything. */
  read(): boolean {
    const isWaiting = this.#unread.length > 0;
    while (!this.#isPaused && !this.isClosed && !this.isEnding) {
      const bytes = this.#unread.shift();
      if (bytes === undefined) return isWaiting;
      this.#handler?.received(Buffer.from(bytes));
    }
    return false;
  }

  sever(): void {
    this.#close();
  }

  #close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#unread = [];
    this.#stuck = [];
    this.#handler?.closed(undefined);
  }
}
