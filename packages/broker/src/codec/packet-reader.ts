/**
 * Cuts a byte stream into MQTT Control Packets without copying those that arrive whole.
 *
 * Only an incomplete tail is copied, and its buffer grows with the bytes that really came (to four times as much at most), never with
 * the length that a stranger announced. A packet above `packetBytesMax` is refused as soon as its fixed header is there.
 *
 * Source: MQTT 5 section 2.1 (fixed header), 2.1.4 (remaining length).
 */

import { ReasonCode } from "./reason-codes.ts";

/** Who hears about packets. */
export interface PacketHandler {
  /** One packet: fixed header byte, and the rest in `bytes[at, end)`, which may be kept. */
  packet(header: number, bytes: Uint8Array, at: number, end: number): void;
  /** The stream cannot be cut any further. Nothing follows. */
  unreadable(reasonCode: number): void;
}

const EMPTY = new Uint8Array(0);
/** Fixed header byte and the four bytes a remaining length may have. */
const HEADER_BYTES_MAX = 5;
/** The tail has room for at most so many times what has come. */
const ROOM_FACTOR = 4;
const UNKNOWN = 0;
const REFUSED = -1;

export class PacketReader {
  /** Largest packet accepted, fixed header included, in bytes. */
  packetBytesMax: number;
  readonly #handler: PacketHandler;
  #tail: Uint8Array = EMPTY;
  #tailBytes = 0;
  /** Size of the packet at the start of the tail, or UNKNOWN while its header is incomplete. */
  #tailPacketBytes = UNKNOWN;
  #bodyAt = 0;
  #stopped = false;
  #isPaused = false;
  /** What came, or was left over, while it was paused. */
  #held: Uint8Array[] | undefined;

  constructor(handler: PacketHandler, packetBytesMax: number) {
    this.#handler = handler;
    this.packetBytesMax = packetBytesMax;
  }

  /** Takes the next bytes and reports every packet they complete. Nobody changes `chunk` any more. */
  feed(chunk: Uint8Array): void {
    let at = 0;
    while (this.#tailBytes > 0 && at < chunk.length && this.#isReading()) at = this.#feedTail(chunk, at);
    while (at < chunk.length && this.#isReading()) {
      const size = this.#measure(chunk, at, chunk.length);
      if (size === REFUSED) return;
      if (size === UNKNOWN || size > chunk.length - at) {
        this.#tailPacketBytes = size;
        this.#append(chunk, at, chunk.length);
        return;
      }
      this.#handler.packet(chunk[at] as number, chunk, this.#bodyAt, at + size);
      at += size;
    }
    if (!this.#isPaused || at === chunk.length) return;
    this.#held ??= [];
    this.#held.push(chunk.subarray(at));
  }

  /** Reports nothing until {@link resume}, and keeps what comes. Whoever calls this stops the stream as well. */
  pause(): void {
    this.#isPaused = true;
  }

  /** Goes on with what it has kept. */
  resume(): void {
    this.#isPaused = false;
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    for (const chunk of held) this.feed(chunk);
  }

  /** Reports nothing any more and lets go of what it holds. */
  stop(): void {
    this.#stopped = true;
    this.#isPaused = false;
    this.#held = undefined;
    this.#dropTail();
  }

  /** No getter: a private one is a call out of compiled code each time, here for every packet. */
  #isReading(): boolean {
    return !this.#stopped && !this.#isPaused;
  }

  /** Moves bytes of `chunk` into the tail until its packet is complete; returns where the rest begins. */
  #feedTail(chunk: Uint8Array, at: number): number {
    const wanted = this.#tailPacketBytes === UNKNOWN ? 1 : this.#tailPacketBytes - this.#tailBytes;
    const end = Math.min(at + wanted, chunk.length);
    this.#append(chunk, at, end);
    if (this.#tailPacketBytes === UNKNOWN) {
      const size = this.#measure(this.#tail, 0, this.#tailBytes);
      if (size === REFUSED) return chunk.length;
      this.#tailPacketBytes = size;
    }
    if (this.#tailPacketBytes === this.#tailBytes) {
      const packet = this.#tail;
      const packetBytes = this.#tailBytes;
      this.#measure(packet, 0, packetBytes);
      this.#dropTail();
      this.#handler.packet(packet[0] as number, packet, this.#bodyAt, packetBytes);
    }
    return end;
  }

  /** Size of the packet at `at` (and `#bodyAt`), UNKNOWN if its header is not complete, or REFUSED (reported). */
  #measure(bytes: Uint8Array, at: number, end: number): number {
    let length = 0;
    for (let i = at + 1; i < at + HEADER_BYTES_MAX; i++) {
      if (i >= end) return UNKNOWN;
      const byte = bytes[i] as number;
      length |= (byte & 0x7f) << (7 * (i - at - 1));
      if (byte < 0x80) {
        if (byte === 0 && i > at + 1) return this.#refuse(ReasonCode.MalformedPacket);
        this.#bodyAt = i + 1;
        const size = this.#bodyAt - at + length;
        return size > this.packetBytesMax ? this.#refuse(ReasonCode.PacketTooLarge) : size;
      }
    }
    return this.#refuse(ReasonCode.MalformedPacket);
  }

  #refuse(reasonCode: number): number {
    this.stop();
    this.#handler.unreadable(reasonCode);
    return REFUSED;
  }

  #append(chunk: Uint8Array, from: number, to: number): void {
    const bytes = this.#tailBytes + to - from;
    if (bytes > this.#tail.length) {
      // Where a good part of the packet is there, room for the rest of it.
      const isMuch = bytes * ROOM_FACTOR >= this.#tailPacketBytes && this.#tailPacketBytes !== UNKNOWN;
      const grown = new Uint8Array(isMuch ? this.#tailPacketBytes : Math.max(bytes, this.#tail.length * 2));
      grown.set(this.#tail.subarray(0, this.#tailBytes));
      this.#tail = grown;
    }
    this.#tail.set(chunk.subarray(from, to), this.#tailBytes);
    this.#tailBytes = bytes;
  }

  #dropTail(): void {
    this.#tail = EMPTY;
    this.#tailBytes = 0;
    this.#tailPacketBytes = UNKNOWN;
  }
}
