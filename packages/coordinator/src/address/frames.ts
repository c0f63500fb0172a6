/**
 * What nodes tell each other about the clients' address, in frames of their own kind (the mesh carries them and looks at nothing).
 *
 * ABILITY: whether the sender serves clients and can set the address, whether it leads without a quorum, whether another cluster goes first, and
 * its Ethernet addresses, so that nobody takes it for a stranger. CONNECTIONS: who is connected to the address at its holder, whole or as a difference. Both may get lost with their
 * link and are told again with the next one.
 */

import { ByteReader, ByteWriter, SkeinError } from "@skein/kernel";
import { CONNECTIONS_MAX, type Connection } from "./connections.ts";

export type AddressFrame =
  | {
      readonly kind: "ability";
      readonly isServing: boolean;
      readonly isAble: boolean;
      /** It leads, or led until a moment ago, but no quorum has answered it for so long that it has given the address up. */
      readonly isCutOff: boolean;
      /** Another cluster in its sight has the better claim to the address. */
      readonly isOutranked: boolean;
      /** `aa:bb:cc:dd:ee:ff`. */
      readonly macs: readonly string[];
    }
  | {
      readonly kind: "connections";
      /** What was told before is void. */
      readonly isWhole: boolean;
      readonly added: readonly Connection[];
      readonly removed: readonly Connection[];
    };

const ABILITY = 1;
const CONNECTIONS = 2;
/** Network interfaces of one machine that are told. */
const MACS_MAX = 16;
const MAC_BYTES = 6;

export function encodeAddressFrame(frame: AddressFrame): Uint8Array {
  const out = new ByteWriter();
  if (frame.kind === "ability") {
    const { isServing, isAble, isCutOff, isOutranked } = frame;
    const flags = [isServing, isAble, isCutOff, isOutranked].map((flag, bit) => Number(flag) << bit);
    out.u8(ABILITY).u8(flags.reduce((all, flag) => all | flag));
    const macs = frame.macs
      .map(macBytes)
      .filter((bytes) => bytes !== undefined)
      .slice(0, MACS_MAX);
    out.u8(macs.length);
    for (const mac of macs) out.raw(mac);
  } else {
    out.u8(CONNECTIONS).u8(frame.isWhole ? 1 : 0);
    encodeConnections(frame.added, out);
    encodeConnections(frame.removed, out);
  }
  return out.finish();
}

/** @throws {SkeinError} ERR_SKEIN_MALFORMED. Undefined: of a kind that a newer node knows. */
export function decodeAddressFrame(bytes: Uint8Array): AddressFrame | undefined {
  const input = new ByteReader(bytes);
  const kind = input.u8();
  const flags = input.u8();
  if (kind === ABILITY) {
    const macs: string[] = [];
    for (let left = input.u8(); left > 0; left--) macs.push(macText(input.raw(MAC_BYTES)));
    if (macs.length > MACS_MAX) throw malformed(`${macs.length} Ethernet addresses`);
    const has = (bit: number): boolean => ((flags >> bit) & 1) !== 0;
    return {
      kind: "ability",
      isServing: has(0),
      isAble: has(1),
      isCutOff: has(2),
      isOutranked: has(3),
      macs,
    };
  }
  if (kind !== CONNECTIONS) return undefined;
  const frame = {
    kind: "connections",
    isWhole: (flags & 1) !== 0,
    added: decodeConnections(input),
    removed: decodeConnections(input),
  } as const;
  input.end();
  return frame;
}

/** The bytes of `aa:bb:cc:dd:ee:ff`, or undefined if it is no Ethernet address. */
export function macBytes(text: string): Uint8Array | undefined {
  if (!/^([\da-f]{2}:){5}[\da-f]{2}$/i.test(text)) return undefined;
  return Uint8Array.from(text.split(":"), (part) => Number.parseInt(part, 16));
}

/** `aa:bb:cc:dd:ee:ff`. */
export function macText(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}

function encodeConnections(connections: readonly Connection[], out: ByteWriter): void {
  out.varint(connections.length);
  for (const { ip, port, serverPort } of connections) out.u8(ip.length).raw(ip).u16(port).u16(serverPort);
}

function decodeConnections(input: ByteReader): Connection[] {
  const count = input.varint();
  if (count > CONNECTIONS_MAX) throw malformed(`${count} connections`);
  return Array.from({ length: count }, () => {
    const length = input.u8();
    if (length !== 4 && length !== 16) throw malformed(`an IP address of ${length} bytes`);
    return { ip: input.copy(length), port: input.u16(), serverPort: input.u16() };
  });
}

function malformed(what: string): SkeinError {
  return new SkeinError("ERR_SKEIN_MALFORMED", `Cannot decode frame about the address: ${what}`);
}
