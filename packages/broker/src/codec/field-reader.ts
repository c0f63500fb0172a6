/**
 * Reads the data types of MQTT from one packet and never past its end.
 *
 * Source: MQTT 5 section 1.5. One reader is reused for every packet; `binary` returns views of the
 * input, which is only valid while the packet is handled, so whoever keeps bytes copies them.
 */

import { decodeUtf8 } from "@skein/kernel";
import { malformed } from "./packet-error.ts";

const EMPTY = new Uint8Array(0);

export class FieldReader {
  #bytes: Uint8Array = EMPTY;
  #at = 0;
  #end = 0;

  /** Points the reader at `bytes[at, end)`. */
  reset(bytes: Uint8Array, at: number, end: number): void {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
  }

  get remaining(): number {
    return this.#end - this.#at;
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get at(): number {
    return this.#at;
  }

  u8(): number {
    return this.#bytes[this.skip(1)] as number;
  }

  u16(): number {
    const at = this.skip(2);
    return ((this.#bytes[at] as number) << 8) | (this.#bytes[at + 1] as number);
  }

  u32(): number {
    const high = this.u16();
    return high * 0x1_0000 + this.u16();
  }

  /** Variable Byte Integer; the shortest form is required [MQTT-1.5.5-1]. */
  varint(): number {
    let value = 0;
    for (let shift = 0; shift <= 21; shift += 7) {
      const byte = this.u8();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (byte === 0 && shift > 0) throw malformed("variable byte integer longer than needed");
        return value;
      }
    }
    throw malformed("variable byte integer longer than four bytes");
  }

  /** Binary Data, as a view of the input. */
  binary(): Uint8Array {
    const length = this.u16();
    const at = this.skip(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** UTF-8 Encoded String: well formed [MQTT-1.5.4-1], without U+0000 [MQTT-1.5.4-2]. */
  text(): string {
    const length = this.u16();
    const at = this.skip(length);
    return textAt(this.#bytes, at, at + length);
  }

  /** Everything that is left, as a view of the input. */
  rest(): Uint8Array {
    const at = this.skip(this.remaining);
    return this.#bytes.subarray(at, this.#end);
  }

  /** Steps over `count` bytes; returns where they begin. */
  skip(count: number): number {
    const at = this.#at;
    if (count > this.#end - at) throw malformed("packet too short");
    this.#at = at + count;
    return at;
  }

  /** Throws unless everything was read. */
  finish(): void {
    if (this.#at !== this.#end) throw malformed("packet too long");
  }
}

/**
 * A copy of `view` for whoever keeps it. Not `view.slice()`: where the input is a Node Buffer, that is another view of
 * the read buffer.
 */
export function copyOf(view: Uint8Array): Uint8Array {
  return new Uint8Array(view);
}

/** The string in `bytes[at, end)`, checked as the specification demands. */
export function textAt(bytes: Uint8Array, at: number, end: number): string {
  let text: string;
  try {
    text = decodeUtf8(bytes, at, end);
  } catch {
    // decodeUtf8 has one reason to throw; the client hears it as a Malformed Packet.
    throw malformed("string is not well-formed UTF-8");
  }
  if (text.includes("\u0000")) throw malformed("string contains U+0000");
  return text;
}
