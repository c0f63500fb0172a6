/**
 * Bounded reading and growing writing of binary frames, so that the package needs no other.
 *
 * Whole numbers are LEB128 varints up to 2^53 - 1, text is UTF-8 (RFC 3629) with a varint length. Every value has one
 * form. A reader never reads past its end: whatever is wrong with the input is a {@link RaftFormatError}.
 */

import { assert } from "./assert.ts";

/** Bytes that are not what their encoder writes. The peer's or the disk's fault; what they belong to is dropped. */
export class RaftFormatError extends Error {
  override readonly name = "RaftFormatError";
  readonly code = "ERR_RAFT_FORMAT";
}

/** Appends values to a buffer that grows. Good for one frame: `finish` may hand out the buffer itself. */
export class ByteWriter {
  #buffer: Uint8Array;
  #length = 0;

  /** `expectedBytes`: a guess that saves growing. */
  constructor(expectedBytes = 128) {
    this.#buffer = new Uint8Array(expectedBytes);
  }

  finish(): Uint8Array {
    const isMostlyFull = this.#length * 2 > this.#buffer.length;
    return isMostlyFull ? this.#buffer.subarray(0, this.#length) : this.#buffer.slice(0, this.#length);
  }

  u8(value: number): this {
    const at = this.#reserve(1);
    this.#buffer[at] = value;
    return this;
  }

  f64(value: number): this {
    const at = this.#reserve(8);
    new DataView(this.#buffer.buffer).setFloat64(at, value);
    return this;
  }

  /** A whole number in [0, 2^53). */
  varint(value: number): this {
    assert(Number.isSafeInteger(value) && value >= 0, "varint out of range:", value);
    let rest = value;
    while (rest >= 0x80) {
      this.u8((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    return this.u8(rest);
  }

  /** A varint length, then the bytes. */
  bytes(bytes: Uint8Array): this {
    this.varint(bytes.length);
    const at = this.#reserve(bytes.length);
    this.#buffer.set(bytes, at);
    return this;
  }

  /** A varint length in bytes, then UTF-8. Unpaired surrogates become U+FFFD. */
  text(text: string): this {
    if (text === "") return this.varint(0);
    const bytes: number[] = [];
    for (const character of text) pushUtf8(bytes, character.codePointAt(0) ?? 0);
    return this.bytes(Uint8Array.from(bytes));
  }

  #reserve(count: number): number {
    const at = this.#length;
    const end = at + count;
    if (end > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(end, this.#buffer.length * 2));
      grown.set(this.#buffer.subarray(0, at));
      this.#buffer = grown;
    }
    this.#length = end;
    return at;
  }
}

/** Reads what {@link ByteWriter} wrote. Every method throws {@link RaftFormatError} on malformed input. */
export class ByteReader {
  readonly #buffer: Uint8Array;
  #at = 0;

  constructor(buffer: Uint8Array) {
    this.#buffer = buffer;
  }

  get remaining(): number {
    return this.#buffer.length - this.#at;
  }

  u8(): number {
    const at = this.#take(1);
    return this.#buffer[at] as number;
  }

  f64(): number {
    const at = this.#take(8);
    const value = new DataView(this.#buffer.buffer, this.#buffer.byteOffset).getFloat64(at);
    // There are many of them, and none is a time.
    if (Number.isNaN(value)) throw new RaftFormatError("Cannot decode time: not a number");
    return value;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8; i++) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if ((byte & 0x80) === 0) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        if (byte === 0 && i > 0)
          throw new RaftFormatError("Cannot decode number: longer than it needs to be");
        return value;
      }
      scale *= 0x80;
    }
    throw new RaftFormatError("Cannot decode number: longer than 53 bits");
  }

  /** A varint length, then that many bytes, as a view of the input (no copy). */
  bytes(): Uint8Array {
    const length = this.varint();
    const at = this.#take(length);
    return this.#buffer.subarray(at, at + length);
  }

  text(): string {
    return decodeUtf8(this.bytes());
  }

  /** Throws unless everything was read. */
  end(): void {
    if (this.remaining !== 0) throw new RaftFormatError(`Cannot decode: ${this.remaining} bytes too many`);
  }

  #take(count: number): number {
    if (count > this.remaining) {
      throw new RaftFormatError(`Cannot decode: ${count} bytes wanted, ${this.remaining} left`);
    }
    const at = this.#at;
    this.#at += count;
    return at;
  }
}

function pushUtf8(bytes: number[], codePoint: number): void {
  const point = codePoint >= 0xd800 && codePoint <= 0xdfff ? 0xfffd : codePoint;
  if (point < 0x80) {
    bytes.push(point);
  } else if (point < 0x800) {
    bytes.push(0xc0 | (point >> 6), 0x80 | (point & 0x3f));
  } else if (point < 0x10000) {
    bytes.push(0xe0 | (point >> 12), 0x80 | ((point >> 6) & 0x3f), 0x80 | (point & 0x3f));
  } else {
    const low = [0x80 | ((point >> 12) & 0x3f), 0x80 | ((point >> 6) & 0x3f), 0x80 | (point & 0x3f)];
    bytes.push(0xf0 | (point >> 18), ...low);
  }
}

function decodeUtf8(bytes: Uint8Array): string {
  let text = "";
  let at = 0;
  while (at < bytes.length) {
    const first = bytes[at++] as number;
    if (first < 0x80) {
      text += String.fromCharCode(first);
      continue;
    }
    const extra = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    if (first < 0xc2 || first > 0xf4 || at + extra > bytes.length) throw malformedText(at - 1);
    let point = first & (0x3f >> extra);
    for (let i = 0; i < extra; i++) {
      const next = bytes[at++] as number;
      if ((next & 0xc0) !== 0x80) throw malformedText(at - 1);
      point = (point << 6) | (next & 0x3f);
    }
    const smallest = extra === 1 ? 0x80 : extra === 2 ? 0x800 : 0x10000;
    const isSurrogate = point >= 0xd800 && point <= 0xdfff;
    if (point < smallest || point > 0x10ffff || isSurrogate) throw malformedText(at - 1);
    text += String.fromCodePoint(point);
  }
  return text;
}

function malformedText(at: number): RaftFormatError {
  return new RaftFormatError(`Cannot decode text: malformed UTF-8 at byte ${at}`);
}
