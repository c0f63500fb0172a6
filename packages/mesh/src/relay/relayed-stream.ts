/**
 * A stream to a node that cannot be reached directly, through one that reaches both.
 *
 * To the link on top it is a stream as any other, so everything a link does (greeting, numbered streams, acknowledgements,
 * heartbeats) goes from end to end, and a relay that is changed is a link that is replaced. Bytes on the way are bounded by a window, which
 * bounds what the relay must hold. The relay keeps nothing about the stream: bytes that it lost show as a gap, and
 * a stream with a gap is broken.
 */

import type { NodeId, StreamHandler } from "@skein/kernel";
import type { LinkStream } from "../link/link.ts";
import { RelayKind } from "./relay-frame.ts";

/** Bytes that may be on the way: enough for 10 MB/s at 100 ms. */
const WINDOW_BYTES = 1024 * 1024;
/** The sender is told again after so many bytes. */
const CREDIT_EVERY_BYTES = WINDOW_BYTES / 4;

/** Which stream it is. */
export interface RelayedEnd {
  /** The node at the other end. */
  readonly peer: NodeId;
  readonly channel: number;
  readonly isOpener: boolean;
  readonly relay: NodeId;
}

export interface RelayedStreamOwner {
  /** Sends a frame of the stream to the relay: kind, then what belongs to it. False: there is no link to the relay. */
  send(route: RelayedEnd, kind: number, count?: number, bytes?: Uint8Array): boolean;
  /** It is over, whoever ended it. Called once. */
  ended(stream: RelayedStream): void;
}

export class RelayedStream implements LinkStream {
  readonly remoteAddress = "";
  readonly localAddress = "";
  readonly route: RelayedEnd;
  readonly #owner: RelayedStreamOwner;
  #handler: StreamHandler | undefined;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #sent = 0;
  /** Of what was sent, so much has arrived. */
  #credited = 0;
  #received = 0;
  /** Of what was received, so much was told. */
  #told = 0;
  #isEnding = false;
  #isOver = false;

  constructor(route: RelayedEnd, owner: RelayedStreamOwner) {
    this.route = route;
    this.#owner = owner;
  }

  get bufferedBytes(): number {
    return this.#waitingBytes;
  }

  start(handler: StreamHandler): void {
    this.#handler = handler;
  }

  write(bytes: Uint8Array): boolean {
    if (this.#isOver || this.#isEnding) return true;
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#sendWaiting();
    return this.#waitingBytes === 0;
  }

  end(): void {
    this.#isEnding = true;
    this.#sendWaiting();
  }

  reset(): void {
    if (this.#isOver) return;
    this.#owner.send(this.route, RelayKind.reset);
    this.#over(undefined);
  }

  /** Bytes have come, which stand at `offset` of what the other end sent. */
  arrived(offset: number, bytes: Uint8Array): void {
    if (this.#isOver) return;
    if (offset !== this.#received) {
      this.#owner.send(this.route, RelayKind.reset);
      this.#over(new Error("bytes were lost at the relay"));
      return;
    }
    this.#received += bytes.length;
    this.#handler?.received(bytes);
    if (this.#isOver || this.#received - this.#told < CREDIT_EVERY_BYTES) return;
    this.#told = this.#received;
    this.#owner.send(this.route, RelayKind.credit, this.#received);
  }

  credited(total: number): void {
    if (this.#isOver || total <= this.#credited || total > this.#sent) return;
    this.#credited = total;
    const wasWaiting = this.#waitingBytes > 0;
    this.#sendWaiting();
    if (wasWaiting && this.#waitingBytes === 0 && !this.#isOver) this.#handler?.drained();
  }

  /** The other end, or the relay, has ended it. */
  broken(error: Error | undefined): void {
    this.#over(error);
  }

  #sendWaiting(): void {
    while (!this.#isOver) {
      const [bytes] = this.#waiting;
      const room = WINDOW_BYTES - (this.#sent - this.#credited);
      if (bytes === undefined || room <= 0) break;
      const piece = bytes.length <= room ? bytes : bytes.subarray(0, room);
      if (piece === bytes) this.#waiting.shift();
      else this.#waiting[0] = bytes.subarray(room);
      if (!this.#owner.send(this.route, RelayKind.data, this.#sent, piece)) {
        this.#over(new Error("no link to the relay"));
        return;
      }
      this.#sent += piece.length;
      this.#waitingBytes -= piece.length;
    }
    if (!this.#isEnding || this.#isOver || this.#waitingBytes > 0) return;
    this.#owner.send(this.route, RelayKind.end);
    this.#over(undefined);
  }

  #over(error: Error | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#owner.ended(this);
    this.#handler?.closed(error);
  }
}
