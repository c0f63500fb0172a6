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

/** What a frame says of shared subscriptions: another node must serve them if this peer dies. */
export interface Shares {
  /** `$share/...`: the peer must serve one member of each. */
  readonly filters: readonly string[];
  /** Nodes that were asked before. */
  readonly tries: number;
  /** The message on its way to peers that were taken for dead. */
  readonly before: readonly Sending[];
  /** Those of the filters that the peer has sent back: another node serves them already. */
  returned: readonly string[];
}

/** A frame on the stream to one peer. */
export interface Sending {
  readonly stream: OutboundStream;
  readonly sequence: number;
}

/** A frame on the way that must arrive. */
export interface KeptFrame {
  readonly sequence: number;
  readonly type: number;
  /** The frame body between sequence number and message. */
  readonly head: Uint8Array;
  /** The encoded message, shared with the streams to other peers. */
  readonly message: Uint8Array;
  /** Undefined: it names no shared subscription. */
  readonly shares: Shares | undefined;
  /** Settled when the peer has accepted it. Replaced while a part of it is served by another node. */
  completion: Completion | undefined;
}

/** Numbers given up at once because the peer counted as dead. */
interface GivenUp {
  readonly from: number;
  readonly to: number;
  /** How far the peer had come, as it said when it was back; undefined: it is not. Nothing of this is sent after that. */
  arrivedTo: number | undefined;
  /** Those that it has sent back since. */
  readonly sentBack: Set<number>;
}

/** Ranges of numbers given up that are remembered. */
const GIVEN_UP_MAX = 16;
/** Settled entries at the front of the array before it is cut. */
const CUT_AFTER = 1024;

export class OutboundStream {
  #last = 0;
  #kept: KeptFrame[] = [];
  /** Index of the first frame not yet acknowledged. */
  #front = 0;
  #bytes = 0;
  readonly #givenUp: GivenUp[] = [];

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

  /**
   * A link begins and the peer says that it has everything up to `sequence`, also of what was given up. That may be further than this stream
   * knows, which begins anew when its peer was forgotten: the next numbers come behind it, because what is not is dropped over there.
   */
  resume(sequence: number): void {
    this.#last = Math.max(this.#last, sequence);
    for (const range of this.#givenUp) range.arrivedTo ??= sequence;
    this.acknowledge(sequence);
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
    const [from, to] = [frames[0]?.sequence, frames.at(-1)?.sequence];
    if (from !== undefined && to !== undefined)
      this.#givenUp.push({ from, to, arrivedTo: undefined, sentBack: new Set() });
    if (this.#givenUp.length > GIVEN_UP_MAX) this.#givenUp.shift();
    this.#kept = [];
    this.#front = 0;
    this.#bytes = 0;
    return frames;
  }

  /** The peer sends the frame of this number back. Returns whether it was given up: then another node is to serve it since. */
  sentBack(sequence: number): boolean {
    const range = this.#rangeOf(sequence);
    range?.sentBack.add(sequence);
    return range !== undefined;
  }

  /** Whether the frame of this number was given up, and the peer, which is back, had it all the same and has not sent it back. */
  hasArrived(sequence: number): boolean {
    const range = this.#rangeOf(sequence);
    return range !== undefined && sequence <= (range.arrivedTo ?? 0) && !range.sentBack.has(sequence);
  }

  #rangeOf(sequence: number): GivenUp | undefined {
    return this.#givenUp.find(({ from, to }) => from <= sequence && sequence <= to);
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
