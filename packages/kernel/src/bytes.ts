/**
 * Bounded reading and growing writing of binary frames, for everything nodes say to each other or to disk.
 *
 * All integers are big-endian; `varint` is LEB128 of a whole number up to 2^53 - 1; text is UTF-8 with a varint
 * length. A reader never reads past its end: malformed input throws SkeinError ERR_SKEIN_MALFORMED, which the
 * owner of the conversation answers (drops the link, sets the record aside).
 */

import { AssertionError } from "./assert.ts";
import { SkeinError } from "./errors.ts";
import { recentText } from "./recent-texts.ts";
import { encodeUtf8Into, utf8Length } from "./utf8.ts";

// Every message passes here several times. So: no DataView (making one costs more than the rest of a frame, and moves a short
// array out of the engine's heap), and no `assert`, whose message would be put together for every number.

/** A copy of so few bytes costs the engine less than a view of them. */
const SHORT_BYTES = 64;

/** To copy so few takes less than the call that copies many. */
const FEW_BYTES = 16;

/** The engine computes with whole numbers up to this one without taking them for fractions. */
const INTEGER_MAX = 0x7fff_ffff;

/** What a writer keeps for its next use, unless it was made for more. */
const KEPT_BYTES_MAX = 64 * 1024;

/** Appends values to a buffer that grows. Reuse it with `reset`; `finish` returns a copy of its own, `take` the buffer itself. */
export class ByteWriter {
  readonly #initialBytes: number;
  readonly #keptBytesMax: number;
  #buffer: Uint8Array;
  #length = 0;

  /** A buffer that has grown beyond `keptBytesMax` is given back with the next `reset`. */
  constructor(initialBytes = 256, keptBytesMax = KEPT_BYTES_MAX) {
    this.#initialBytes = initialBytes;
    this.#keptBytesMax = keptBytesMax;
    this.#buffer = new Uint8Array(initialBytes);
  }

  get length(): number {
    return this.#length;
  }

  reset(): this {
    this.#length = 0;
    if (this.#buffer.length > this.#keptBytesMax) this.#buffer = new Uint8Array(this.#initialBytes);
    return this;
  }

  /** A copy of everything written since the last `reset`. */
  finish(): Uint8Array {
    return this.#buffer.slice(0, this.#length);
  }

  /** Copies everything written since the last `reset` into `target`, from `at` on. */
  copyTo(target: Uint8Array, at: number): void {
    target.set(this.#buffer.subarray(0, this.#length), at);
  }

  /** Everything written, not copied: for what is large, and for the last use of a writer made for about so many bytes. */
  take(): Uint8Array {
    const taken = this.#buffer.subarray(0, this.#length);
    this.#buffer = new Uint8Array(0);
    this.#length = 0;
    return taken;
  }

  u8(value: number): this {
    const at = this.#reserve(1);
    this.#buffer[at] = value;
    return this;
  }

  u16(value: number): this {
    return this.u8(value >>> 8).u8(value);
  }

  u32(value: number): this {
    const at = this.#reserve(4);
    writeU32(this.#buffer, at, value);
    return this;
  }

  /** Overwrites four bytes written earlier at `at`: a length that was not known before. */
  setU32(at: number, value: number): this {
    if (at < 0 || at + 4 > this.#length)
      throw new AssertionError(`setU32 outside of what was written: ${at}`);
    writeU32(this.#buffer, at, value);
    return this;
  }

  /** A whole number in [0, 2^53). */
  varint(value: number): this {
    if (!Number.isSafeInteger(value) || value < 0) throw new AssertionError(`varint out of range: ${value}`);
    let rest = value;
    for (; rest > INTEGER_MAX; rest = Math.floor(rest / 0x80)) this.u8((rest % 0x80) | 0x80);
    for (; rest >= 0x80; rest >>>= 7) this.u8((rest & 0x7f) | 0x80);
    return this.u8(rest);
  }

  /** The bytes as they are, without a length. */
  raw(bytes: Uint8Array): this {
    const { length } = bytes;
    const at = this.#reserve(length);
    if (length > FEW_BYTES) this.#buffer.set(bytes, at);
    else for (let i = 0; i < length; i++) this.#buffer[at + i] = bytes[i] as number;
    return this;
  }

  /** A varint length, then the bytes. */
  bytes(bytes: Uint8Array): this {
    return this.varint(bytes.length).raw(bytes);
  }

  /** A varint length in bytes, then UTF-8. */
  text(text: string): this {
    if (text.length < 0x80 && this.#shortAscii(text)) return this;
    const length = utf8Length(text);
    this.varint(length);
    const at = this.#reserve(length);
    encodeUtf8Into(text, this.#buffer, at);
    return this;
  }

  /** Nearly every text: its length and its letters, each a byte, in one go. False: it has others, and nothing is written. */
  #shortAscii(text: string): boolean {
    const { length } = text;
    const at = this.#reserve(1 + length);
    const buffer = this.#buffer;
    buffer[at] = length;
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i);
      if (unit >= 0x80) {
        this.#length = at;
        return false;
      }
      buffer[at + 1 + i] = unit;
    }
    return true;
  }

  #reserve(bytes: number): number {
    const at = this.#length;
    const end = at + bytes;
    if (end > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(end, this.#buffer.length * 2));
      grown.set(this.#buffer.subarray(0, at));
      this.#buffer = grown;
    }
    this.#length = end;
    return at;
  }
}

/** Reads what {@link ByteWriter} wrote. Every method throws ERR_SKEIN_MALFORMED where the input is too short or wrong. */
export class ByteReader {
  readonly #buffer: Uint8Array;
  readonly #end: number;
  #at: number;

  /** Reads `buffer[at, end)`. */
  constructor(buffer: Uint8Array, at = 0, end = buffer.length) {
    this.#buffer = buffer;
    this.#at = at;
    this.#end = end;
  }

  get remaining(): number {
    return this.#end - this.#at;
  }

  u8(): number {
    const at = this.#take(1);
    return this.#buffer[at] as number;
  }

  u16(): number {
    return (this.u8() << 8) | this.u8();
  }

  u32(): number {
    const at = this.#take(4);
    return readU32(this.#buffer, at);
  }

  varint(): number {
    let value = this.u8();
    if (value < 0x80) return value;
    value &= 0x7f;
    let scale = 0x80;
    for (let i = 1; i < 8; i++) {
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

  /** `count` bytes; more than a few are a view of the input (no copy). */
  raw(count: number): Uint8Array {
    const at = this.#take(count);
    return count <= SHORT_BYTES ? this.#buffer.slice(at, at + count) : this.#buffer.subarray(at, at + count);
  }

  /** `count` bytes of their own, for who keeps them. */
  copy(count: number): Uint8Array {
    const at = this.#take(count);
    return this.#buffer.slice(at, at + count);
  }

  /** A varint length, then that many bytes, as {@link raw} gives them. */
  bytes(): Uint8Array {
    return this.raw(this.varint());
  }

  text(): string {
    const length = this.varint();
    const at = this.#take(length);
    return recentText(this.#buffer, at, at + length);
  }

  /** Throws unless everything was read. */
  end(): void {
    if (this.remaining !== 0) {
      throw new SkeinError("ERR_SKEIN_MALFORMED", `Cannot decode: ${this.remaining} bytes too many`);
    }
  }

  #take(count: number): number {
    const at = this.#at;
    if (count > this.#end - at) {
      throw new SkeinError(
        "ERR_SKEIN_MALFORMED",
        `Cannot decode: ${count} bytes wanted, ${this.remaining} left`,
      );
    }
    this.#at = at + count;
    return at;
  }
}

/** All of `content` in one place; not copied if it is already. */
export function joined(content: Uint8Array | readonly Uint8Array[]): Uint8Array {
  if (content instanceof Uint8Array) return content;
  const out = new ByteWriter(content.reduce((sum, { length }) => sum + length, 0));
  for (const piece of content) out.raw(piece);
  return out.take();
}

/** The big-endian number at `at`; the caller knows that four bytes stand there. */
export function readU32(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)) >>>
    0
  );
}

/** Writes four bytes, big-endian, at `at`; the caller has made room. */
export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}
