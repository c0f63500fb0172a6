/**
 * The PROXY protocol: a header that a proxy sends ahead of a connection's bytes, to say whose connection it passes on.
 *
 * Version 2 (binary) is read and written, version 1 (text) only read. A header has no end mark that could be searched for in a
 * stream: whoever reads it must take exactly its bytes, so the reader takes bytes as they come and leaves the rest. It buffers no
 * more than {@link PROXY_HEADER_BYTES_MAX}, and refuses at the first byte that no header can have. How long to wait for
 * the rest is its owner's decision, and so is whether the sender may be believed: the header alone proves nothing.
 *
 * Not checked: the CRC32C field (0x03), which is optional. Source: HAProxy, "The PROXY protocol", versions 1 and 2.
 */

import { assert } from "./assert.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import { SkeinError } from "./errors.ts";
import { formatIp, parseIp } from "./ip-text.ts";

/** Longest header that is read; the format allows 64 KiB, its authors know of none above 536. */
const PROXY_HEADER_BYTES_MAX = 1024;

/** First byte of a header of version 2; that of version 1 is a letter. */
export const PROXY_V2_FIRST_BYTE = 0x0d;

export interface ProxyEndpoint {
  /** IPv4 or IPv6, without brackets. */
  readonly address: string;
  readonly port: number;
}

/** One of the fields after the addresses. */
interface ProxyField {
  /** 0xE0 to 0xEF are free for the use of one application. */
  readonly type: number;
  readonly value: Uint8Array;
}

export interface ProxyHeader {
  readonly version: 1 | 2;
  /** `local`: the sender speaks for itself; there is nobody behind it. */
  readonly command: "proxy" | "local";
  /** Whose connection it is, and where that arrived; undefined where the sender does not know, and always with `local`. */
  readonly source: ProxyEndpoint | undefined;
  readonly destination: ProxyEndpoint | undefined;
  /** In their order. Version 1 has none. */
  readonly fields: readonly ProxyField[];
}

const SIGNATURE = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);
/** Signature, version and command, family and protocol, length of the rest. */
const FIXED_BYTES = 16;
const TCP_OVER_IPV4 = 0x11;
const TCP_OVER_IPV6 = 0x21;
/** Length of the addresses, by the upper half of the byte for family and protocol. */
const ADDRESS_BYTES = [0, 12, 36, 216];

const TEXT_START = Uint8Array.from("PROXY ", (letter) => letter.charCodeAt(0));
/** With its line end. */
const TEXT_BYTES_MAX = 107;
const LINE_FEED = 0x0a;

/** Writes a header of version 2. Both endpoints are of one family, or both undefined. */
export function encodeProxyHeader(header: Omit<ProxyHeader, "version">): Uint8Array {
  const { command, source, destination, fields } = header;
  const body = new ByteWriter(128);
  const family = writeAddresses(source, destination, body);
  for (const { type, value } of fields) body.u8(type).u16(value.length).raw(value);
  assert(FIXED_BYTES + body.length <= PROXY_HEADER_BYTES_MAX, "a PROXY header stays below its limit");
  const out = new ByteWriter(FIXED_BYTES + body.length);
  out.raw(SIGNATURE).u8(command === "proxy" ? 0x21 : 0x20);
  return out.u8(family).u16(body.length).raw(body.finish()).finish();
}

function writeAddresses(
  source: ProxyEndpoint | undefined,
  destination: ProxyEndpoint | undefined,
  out: ByteWriter,
): number {
  if (source === undefined || destination === undefined) return 0;
  const [from, to] = [parseIp(source.address), parseIp(destination.address)];
  assert(from !== undefined && from.length === to?.length, "endpoints are addresses of one family");
  out.raw(from).raw(to).u16(source.port).u16(destination.port);
  return from.length === 4 ? TCP_OVER_IPV4 : TCP_OVER_IPV6;
}

/** Reads one header from a stream. */
export class ProxyHeaderReader {
  readonly #gathered = new Uint8Array(PROXY_HEADER_BYTES_MAX);
  #length = 0;
  #header: ProxyHeader | undefined;

  /** The header, once it is complete. */
  get header(): ProxyHeader | undefined {
    return this.#header;
  }

  /** Its bytes as they came. Valid until the reader is used again. */
  get bytes(): Uint8Array {
    return this.#gathered.subarray(0, this.#length);
  }

  /**
   * Takes what belongs to the header from `bytes`, and returns how many that were: all, unless it is complete now.
   *
   * @throws {SkeinError} ERR_SKEIN_MALFORMED if it cannot become a header any more
   */
  feed(bytes: Uint8Array): number {
    let at = 0;
    while (this.#header === undefined && at < bytes.length) {
      const taken = bytes.subarray(at, at + this.#wanted());
      this.#gathered.set(taken, this.#length);
      this.#length += taken.length;
      at += taken.length;
      this.#advance();
    }
    return at;
  }

  /** How many bytes may be taken without taking one too many. */
  #wanted(): number {
    const isBinary = this.#gathered[0] === PROXY_V2_FIRST_BYTE;
    if (this.#length === 0 || !isBinary) return 1;
    return (this.#length < FIXED_BYTES ? FIXED_BYTES : this.#binaryLength()) - this.#length;
  }

  #binaryLength(): number {
    return FIXED_BYTES + (((this.#gathered[14] ?? 0) << 8) | (this.#gathered[15] ?? 0));
  }

  #advance(): void {
    const bytes = this.bytes;
    if (bytes[0] === PROXY_V2_FIRST_BYTE) {
      expectStart(bytes, SIGNATURE);
      if (this.#length < FIXED_BYTES) return;
      if (this.#binaryLength() > PROXY_HEADER_BYTES_MAX) throw malformed(`${this.#binaryLength()} bytes`);
      if (this.#length === this.#binaryLength()) this.#header = decodeBinary(bytes);
      return;
    }
    expectStart(bytes, TEXT_START);
    if (bytes.at(-1) === LINE_FEED) this.#header = decodeText(bytes);
    else if (this.#length >= TEXT_BYTES_MAX) throw malformed("line too long");
  }
}

function expectStart(bytes: Uint8Array, start: Uint8Array): void {
  for (let at = 0; at < bytes.length && at < start.length; at++) {
    if (bytes[at] !== start[at]) throw malformed("no signature");
  }
}

function decodeBinary(bytes: Uint8Array): ProxyHeader {
  const input = new ByteReader(bytes, SIGNATURE.length);
  const versionAndCommand = input.u8();
  if (versionAndCommand >> 4 !== 2) throw malformed(`version ${versionAndCommand >> 4}`);
  const command = versionAndCommand & 0x0f;
  if (command > 1) throw malformed(`command ${command}`);
  const family = input.u8();
  input.u16();
  const addressBytes = ADDRESS_BYTES[family >> 4];
  if (addressBytes === undefined || (family & 0x0f) > 2) throw malformed(`family and protocol ${family}`);
  const addresses = input.copy(addressBytes);
  const fields = readFields(input);
  const isLocal = command === 0;
  const isKnown = !isLocal && (family === TCP_OVER_IPV4 || family === TCP_OVER_IPV6);
  const ends = isKnown ? readEndpoints(addresses) : { source: undefined, destination: undefined };
  return { version: 2, command: isLocal ? "local" : "proxy", ...ends, fields };
}

function readEndpoints(bytes: Uint8Array): Pick<ProxyHeader, "source" | "destination"> {
  const input = new ByteReader(bytes);
  const ipBytes = (bytes.length - 4) / 2;
  const [from, to] = [formatIp(input.raw(ipBytes)), formatIp(input.raw(ipBytes))];
  return {
    source: { address: from, port: input.u16() },
    destination: { address: to, port: input.u16() },
  };
}

function readFields(input: ByteReader): readonly ProxyField[] {
  const fields: ProxyField[] = [];
  while (input.remaining > 0) fields.push({ type: input.u8(), value: input.copy(input.u16()) });
  return fields;
}

/** `PROXY TCP4 198.51.100.22 203.0.113.7 35646 80\r\n` */
function decodeText(bytes: Uint8Array): ProxyHeader {
  const line = String.fromCharCode(...bytes);
  if (!line.endsWith("\r\n")) throw malformed("line end");
  const [, family, ...rest] = line.slice(0, -2).split(" ");
  // What follows UNKNOWN is to be ignored.
  if (family === "UNKNOWN")
    return { version: 1, command: "proxy", source: undefined, destination: undefined, fields: [] };
  const ipBytes = family === "TCP4" ? 4 : family === "TCP6" ? 16 : 0;
  const [from = "", to = "", sourcePort = "", destinationPort = ""] = rest;
  if (rest.length !== 4 || ipBytes === 0) throw malformed("line");
  return {
    version: 1,
    command: "proxy",
    source: { address: checkedIp(from, ipBytes), port: checkedPort(sourcePort) },
    destination: { address: checkedIp(to, ipBytes), port: checkedPort(destinationPort) },
    fields: [],
  };
}

function checkedIp(text: string, ipBytes: number): string {
  const bytes = parseIp(text);
  if (bytes?.length !== ipBytes) throw malformed("address");
  return formatIp(bytes);
}

function checkedPort(text: string): number {
  if (!/^(0|[1-9]\d{0,4})$/.test(text) || Number(text) > 0xffff) throw malformed("port");
  return Number(text);
}

function malformed(what: string): SkeinError {
  return new SkeinError("ERR_SKEIN_MALFORMED", `Cannot decode PROXY header: ${what}`);
}
