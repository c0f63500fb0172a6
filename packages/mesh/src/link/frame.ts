/**
 * Cuts a byte stream back into the frames that were written: `length u32 | type u8 | body`, length counting the type.
 *
 * Frames that lie whole in what was received are handed out as views without copying, and may be kept; only a frame cut by the end of
 * a read is gathered, in a buffer that grows with what really arrived, never by what a length field claims.
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
    if (this.#isStopped) return;
    const isGathered = this.#pendingLength > 0;
    const input = isGathered ? this.#gather(bytes) : bytes;
    let at = 0;
    while (input.length - at > HEADER_BYTES) {
      const length = this.#lengthAt(input, at);
      const end = at + HEADER_BYTES + length;
      if (end > input.length) break;
      visit(input[at + HEADER_BYTES] as number, input.subarray(at + HEADER_BYTES + 1, end));
      if (this.#isStopped) return;
      at = end;
    }
    if (isGathered && at === 0) return;
    // A new buffer: frames that were handed out lie in the one before.
    this.#pendingLength = input.length - at;
    this.#pending = this.#pendingLength === 0 ? NOTHING : input.slice(at);
  }

  #lengthAt(input: Uint8Array, at: number): number {
    const length = readU32(input, at);
    if (length === 0 || length > this.frameBytesMax) {
      throw new SkeinError("ERR_SKEIN_MALFORMED", `Cannot split frames: length ${length}`);
    }
    return length;
  }

  #gather(bytes: Uint8Array): Uint8Array {
    const needed = this.#pendingLength + bytes.length;
    if (needed > this.#pending.length) {
      const grown = new Uint8Array(Math.max(needed, this.#pending.length * 2));
      grown.set(this.#pending.subarray(0, this.#pendingLength));
      this.#pending = grown;
    }
    this.#pending.set(bytes, this.#pendingLength);
    this.#pendingLength = needed;
    return this.#pending.subarray(0, needed);
  }
}
