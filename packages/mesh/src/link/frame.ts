/**
 * Cuts a byte stream back into the frames that were written: `length u32 | type u8 | body`, length counting the type.
 *
 * Frames that lie whole in what was received are handed out as views without copying, and may be kept; only a frame cut by the end of
 * a read is gathered, and nothing of what follows it, in a buffer that grows with what really arrived, never by what a length field claims.
 */

import { readU32, SkeinError } from "@skein/kernel";

const HEADER_BYTES = 4;
const NOTHING = new Uint8Array(0);

/** One per link. `frameBytesMax` may be raised once the peer has said who it is. */
export class FrameSplitter {
  frameBytesMax: number;
  #pending = NOTHING;
  #pendingLength = 0;
  #isStopped = false;

  constructor(frameBytesMax: number) {
    this.frameBytesMax = frameBytesMax;
  }

  /** Hands out no further frame, not even of the input being split now. */
  stop(): void {
    this.#isStopped = true;
    this.#pending = NOTHING;
    this.#pendingLength = 0;
  }

  /**
   * Calls `visit` for each frame that is complete. Nobody changes `body` any more, nor `bytes`.
   * @throws {SkeinError} ERR_SKEIN_MALFORMED if a length is 0 or above the maximum.
   */
  push(bytes: Uint8Array, visit: (type: number, body: Uint8Array) => void): void {
    let at = this.#pendingLength > 0 ? this.#completeCut(bytes, visit) : 0;
    while (!this.#isStopped && bytes.length - at > HEADER_BYTES) {
      const end = at + HEADER_BYTES + this.#lengthAt(bytes, at);
      if (end > bytes.length) break;
      const bodyAt = at + HEADER_BYTES + 1;
      at = end;
      visit(bytes[bodyAt - 1] as number, bytes.subarray(bodyAt, end));
    }
    if (!this.#isStopped) this.#gather(bytes, at, bytes.length);
  }

  #lengthAt(input: Uint8Array, at: number): number {
    const length = readU32(input, at);
    if (length === 0 || length > this.frameBytesMax) {
      throw new SkeinError("ERR_SKEIN_MALFORMED", `Cannot split frames: length ${length}`);
    }
    return length;
  }

  /** Adds to the frame that was cut what belongs to it. Returns where the next one begins. */
  #completeCut(bytes: Uint8Array, visit: (type: number, body: Uint8Array) => void): number {
    const header = this.#gather(bytes, 0, HEADER_BYTES - this.#pendingLength);
    if (this.#pendingLength < HEADER_BYTES) return header;
    const size = HEADER_BYTES + this.#lengthAt(this.#pending, 0);
    const at = this.#gather(bytes, header, header + size - this.#pendingLength);
    if (this.#pendingLength < size) return at;
    const frame = this.#pending;
    this.#pending = NOTHING;
    this.#pendingLength = 0;
    visit(frame[HEADER_BYTES] as number, frame.subarray(HEADER_BYTES + 1, size));
    return at;
  }

  /** Keeps a copy of `bytes[from, to)`, or of what there is of it. Returns where that ends. */
  #gather(bytes: Uint8Array, from: number, to: number): number {
    const end = Math.min(to, bytes.length);
    if (end <= from) return from;
    const length = this.#pendingLength + end - from;
    if (length > this.#pending.length) {
      const grown = new Uint8Array(Math.max(length, this.#pending.length * 2));
      grown.set(this.#pending.subarray(0, this.#pendingLength));
      this.#pending = grown;
    }
    this.#pending.set(bytes.subarray(from, end), this.#pendingLength);
    this.#pendingLength = length;
    return end;
  }
}
