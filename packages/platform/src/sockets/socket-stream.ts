/**
 * The stream port on a socket of Node, plain or encrypted.
 *
 * Nothing is handed on before `start` or after `end`. Errors before `start` are kept for it. An `end` that the other side does not answer
 * becomes a reset after a while, so that a stream never lingers. Only the public interface of `net` is used, and as few listeners as will
 * do: thousands of connections that say nothing keep theirs.
 */

import type { Socket } from "node:net";
import type { Stream, StreamHandler } from "@skein/kernel";
import { plainBytes } from "../plain-bytes.ts";
import { resetSocket } from "./reset-socket.ts";
import { localAddressOf, remoteEndOf } from "./socket-ends.ts";

/** Time the other side has, after `end`, to take what is left and to close. */
const END_TIMEOUT_MS = 5000;

/** Without a listener an error would end the process; the socket keeps it until it closes. */
const KEPT = (): void => undefined;

export class SocketStream implements Stream {
  readonly remoteAddress: string;
  readonly identity: string | undefined;
  readonly #socket: Socket;
  #handler: StreamHandler | undefined;
  /** Set by `end` and `reset`: what still arrives is not handed on. */
  #isEnding = false;
  #isClosed = false;
  #endTimer: NodeJS.Timeout | undefined;
  /** The socket was full at least once. */
  #hearsDrain = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    const { remoteAddress, identity } = remoteEndOf(socket);
    this.remoteAddress = remoteAddress;
    this.identity = identity;
    socket.on("error", KEPT);
    socket.on("close", () => this.#close());
  }

  get localAddress(): string {
    return localAddressOf(this.#socket);
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  start(handler: StreamHandler): void {
    this.#handler = handler;
    if (this.#isClosed) {
      // The socket ended before anyone listened; tell so after this call has returned.
      setImmediate(() => this.#report());
      return;
    }
    this.#socket.on("data", (bytes) => {
      if (!this.#isEnding) this.#handler?.received(plainBytes(bytes as Uint8Array));
    });
  }

  write(bytes: Uint8Array): boolean {
    if (!this.#socket.writable) return true;
    const hasRoom = this.#socket.write(bytes);
    if (!hasRoom && !this.#hearsDrain) this.#hearDrain();
    return hasRoom;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    if (this.#isClosed || this.#isEnding) return;
    this.#isEnding = true;
    this.#endTimer = setTimeout(() => this.reset(), END_TIMEOUT_MS);
    this.#socket.end();
    // Without reading on, the end of the other side would never be noticed.
    this.#socket.resume();
  }

  reset(): void {
    if (this.#isClosed) return;
    this.#isEnding = true;
    resetSocket(this.#socket);
  }

  /** Most sockets never fill up. */
  #hearDrain(): void {
    this.#hearsDrain = true;
    this.#socket.on("drain", () => {
      if (!this.#isEnding) this.#handler?.drained();
    });
  }

  #close(): void {
    this.#isClosed = true;
    clearTimeout(this.#endTimer);
    this.#report();
  }

  /** Says that the stream has ended, once. */
  #report(): void {
    const handler = this.#handler;
    if (handler === undefined) return;
    this.#handler = undefined;
    handler.closed(this.#socket.errored ?? undefined);
  }
}
