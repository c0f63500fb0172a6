/**
 * Bounded reading and growing writing of binary frames, for everything nodes say to each other or to disk.
 *
 * All integers are big-endian; `varint` is LEB128 of a whole number up to 2^53 - 1; text is UTF-8 with a varint
 * length. A reader never reads past its end: malformed input throws SkeinError ERR_SKEIN_MALFORMED, which the
 * owner of the conversation answers (drops the link, sets the record aside).
 */

import { assert } from "./assert.ts";
import { SkeinError } from "./errors.ts";
import { decodeUtf8, encodeUtf8Into, utf8Length } from "./utf8.ts";

/** Appends values to a buffer that grows. Reuse it with `reset`; `finish` returns a copy of its own. */
export class ByteWriter {
  #buffer: Uint8Array;
  #view: DataView;
  #length = 0;

  constructor(initialBytes = 256) {
    this.#buffer = new Uint8Array(initialBytes);
    this.#view = new DataView(this.#buffer.buffer);
  }

  get length(): number {
    return this.#length;
  }

  reset(): void {
    this.#length = 0;
  }

  /** A copy of everything written since the last `reset`. */
  finish(): Uint8Array {
    return this.#buffer.slice(0, this.#length);
  }

  u8(value: number): this {
    const at = this.#reserve(1);
    this.#buffer[at] = value;
    return this;
  }

  u16(value: number): this {
    const at = this.#reserve(2);
    this.#view.setUint16(at, value);
    return this;
  }

  u32(value: number): this {
    const at = this.#reserve(4);
    this.#view.setUint32(at, value);
    return this;
  }

  /** Overwrites four bytes written earlier at `at`: a length that was not known before. */
  setU32(at: number, value: number): this {
    assert(at >= 0 && at + 4 <= this.#length, `setU32 outside of what was written: ${at}`);
    this.#view.setUint32(at, value);
    return this;
  }

  /** A whole number in [0, 2^53). */
  varint(value: number): this {
    assert(Number.isSafeInteger(value) && value >= 0, `varint out of range: ${value}`);
    let rest = value;
    while (rest >= 0x80) {
      this.u8((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    return this.u8(rest);
  }

  /** The bytes as they are, without a length. */
  raw(bytes: Uint8Array): this {
    const at = this.#reserve(bytes.length);
    this.#buffer.set(bytes, at);
    return this;
  }

  /** A varint length, then the bytes. */
  bytes(bytes: Uint8Array): this {
    return this.varint(bytes.length).raw(bytes);
  }

  /** A varint length in bytes, then UTF-8. */
  text(text: string): this {
    const length = utf8Length(text);
    this.varint(length);
    const at = this.#reserve(length);
    encodeUtf8Into(text, this.#buffer, at);
    return this;
  }

  #reserve(bytes: number): number {
    const at = this.#length;
    const end = at + bytes;
    if (end > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(end, this.#buffer.length * 2));
      grown.set(this.#buffer.subarray(0, at));
      this.#buffer = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#length = end;
    return at;
  }
}

/** Reads what {@link ByteWriter} wrote. Every method throws ERR_SKEIN_MALFORMED where the input is too short or wrong. */
export class ByteReader {
  readonly #buffer: Uint8Array;
  readonly #view: DataView;
  #at: number;

  constructor(buffer: Uint8Array, at = 0) {
    this.#buffer = buffer;
    this.#view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    this.#at = at;
  }

  get remaining(): number {
    return this.#buffer.length - this.#at;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4));
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8; i++) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if ((byte & 0x80) === 0) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        return value;
      }
      scale *= 0x80;
    }
    throw new SkeinError("ERR_SKEIN_MALFORMED", "Cannot decode number: longer than 53 bits");
  }

  /** `count` bytes, as a view of the input (no copy). */
  raw(count: number): Uint8Array {
    const at = this.#take(count);
    return this.#buffer.subarray(at, at + count);
  }

  /** A varint length, then that many bytes, as a view of the input (no copy). */
  bytes(): Uint8Array {
    return this.raw(this.varint());
  }

  text(): string {
    const length = this.varint();
    const at = this.#take(length);
    return decodeUtf8(this.#buffer, at, at + length);
  }

  /** Throws unless everything was read. */
  end(): void {
    if (this.remaining !== 0) {
      throw new SkeinError("ERR_SKEIN_MALFORMED", `Cannot decode: ${this.remaining} bytes too many`);
    }
  }

  #take(count: number): number {
    const at = this.#at;
    if (count > this.#buffer.length - at) {
      throw new SkeinError(
        "ERR_SKEIN_MALFORMED",
        `Cannot decode: ${count} bytes wanted, ${this.remaining} left`,
      );
    }
    this.#at = at + count;
    return at;
  }
}
