/**
 * The numbered stream to a peer and from it: what survives the cut of a link.
 *
 * Every frame of the stream has the next sequence number. Frames that somebody waits for (QoS >= 1) are kept until the
 * peer has acknowledged them, cumulatively, and are sent again on the next link from where the peer says it is. QoS 0
 * frames are not kept: a cut may lose them. The receiver drops every number it has passed, so nothing is ever
 * delivered twice or out of order, and gaps are legal.
 *
 * Source: architecture.md section 4 (Links); the same scheme as TCP's SACK-less cumulative acknowledgement.
 */

import type { Completion } from "@skein/kernel";

/** A frame on the way that must arrive. */
export interface KeptFrame {
  readonly sequence: number;
  readonly type: number;
  /** The frame body between sequence number and message. */
  readonly head: Uint8Array;
  /** The encoded message, shared with the streams to other peers. */
  readonly message: Uint8Array;
  /** Names shared subscriptions: another node must serve them if this peer dies. */
  readonly hasShared: boolean;
  /** Those of them that the peer has sent back: another node serves them already. */
  returned: readonly string[];
  /** Settled when the peer has accepted it. Replaced while a part of it is served by another node. */
  completion: Completion | undefined;
}

/** Ranges of numbers given up that are remembered. */
const ABANDONED_MAX = 16;
/** Settled entries at the front of the array before it is cut. */
const CUT_AFTER = 1024;

export class OutboundStream {
  #last = 0;
  #kept: KeptFrame[] = [];
  /** Index of the first frame not yet acknowledged. */
  #front = 0;
  #bytes = 0;
  readonly #abandoned: { readonly from: number; readonly to: number }[] = [];

  /** Bytes of all frames not yet acknowledged. */
  get keptBytes(): number {
    return this.#bytes;
  }

  get keptCount(): number {
    return this.#kept.length - this.#front;
  }

  /** Takes the next sequence number. */
  next(): number {
    return ++this.#last;
  }

  keep(frame: KeptFrame): void {
    this.#kept.push(frame);
    this.#bytes += frame.head.length + frame.message.length;
  }

  /** Settles everything up to `sequence`. A number that was never sent is the peer's mistake and settles nothing more. */
  acknowledge(sequence: number): void {
    for (;;) {
      const frame = this.#kept[this.#front];
      if (frame === undefined || frame.sequence > sequence) break;
      this.#front++;
      this.#bytes -= frame.head.length + frame.message.length;
      frame.completion?.settle(0);
    }
    if (this.#front === this.#kept.length || this.#front >= CUT_AFTER) {
      this.#kept = this.#kept.slice(this.#front);
      this.#front = 0;
    }
  }

  find(sequence: number): KeptFrame | undefined {
    for (let at = this.#front; at < this.#kept.length; at++) {
      if (this.#kept[at]?.sequence === sequence) return this.#kept[at];
    }
    return undefined;
  }

  /** What must be sent again on a new link, in order. */
  unacknowledged(): readonly KeptFrame[] {
    return this.#kept.slice(this.#front);
  }

  /** Gives up all frames: the peer they were for is gone. The caller settles them. Numbers go on. */
  abandon(): readonly KeptFrame[] {
    const frames = this.#kept.slice(this.#front);
    const [first, last] = [frames[0], frames.at(-1)];
    if (first !== undefined && last !== undefined)
      this.#abandoned.push({ from: first.sequence, to: last.sequence });
    if (this.#abandoned.length > ABANDONED_MAX) this.#abandoned.shift();
    this.#kept = [];
    this.#front = 0;
    this.#bytes = 0;
    return frames;
  }

  /** Whether the frame of this number was given up while it was on its way. */
  wasAbandoned(sequence: number): boolean {
    return this.#abandoned.some(({ from, to }) => from <= sequence && sequence <= to);
  }
}

/** Remembers how far the stream from a peer (one incarnation of it) has come. */
export class InboundStream {
  #last = 0;

  get last(): number {
    return this.#last;
  }

  /** Whether the frame with this number is new; it is passed from now on. */
  accept(sequence: number): boolean {
    if (sequence <= this.#last) return false;
    this.#last = sequence;
    return true;
  }

  /** The peer restarted: its numbers begin anew. */
  reset(): void {
    this.#last = 0;
  }
}
