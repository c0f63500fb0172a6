/**
 * The packets that Node has no socket for: the tickle, and IPv6's question who has an address and the answer to it, which also
 * tells that an address has moved.
 *
 * A tickle is a bare TCP ACK with sequence number 0 from the floating address to a client of its past holder. The client
 * answers with its true numbers, the kernel here knows no such connection and resets it, and the client connects again:
 * an idle one would have noticed only at its keep-alive.
 *
 * Source: Samba CTDB's tickle ACK; RFC 9293 sections 3.1, 3.10.7.4 (an unacceptable segment is answered); RFC 4861
 * sections 4.3, 4.4, 4.6.1; RFC 4291 section 2.7.1.
 */

import { assert } from "@skein/kernel";

const TCP_HEADER_BYTES = 20;
const TCP = 6;
const FLAG_ACK = 0x10;
const WINDOW = 1234;

const NEIGHBOUR_SOLICITATION = 135;
const NEIGHBOUR_ADVERTISEMENT = 136;
const FLAG_OVERRIDE = 0x20;
const TARGET_AT = 8;
const OPTIONS_AT = 24;
const OPTION_SOURCE_LINK_ADDRESS = 1;
const OPTION_TARGET_LINK_ADDRESS = 2;
/** The length of an option is in units of so many bytes. */
const OPTION_UNIT_BYTES = 8;
const MAC_BYTES = 6;

export interface Endpoint {
  /** 4 or 16 bytes. */
  readonly ip: Uint8Array;
  readonly port: number;
}

/** The TCP segment (without IP header) that makes `to` show whether it still believes in a connection from `from`. */
export function tickleSegment(from: Endpoint, to: Endpoint): Uint8Array {
  assert(from.ip.length === to.ip.length, "both ends of a connection are of one family");
  const segment = new Uint8Array(TCP_HEADER_BYTES);
  const view = new DataView(segment.buffer);
  view.setUint16(0, from.port);
  view.setUint16(2, to.port);
  // Sequence and acknowledgement number stay 0.
  view.setUint8(12, (TCP_HEADER_BYTES / 4) << 4);
  view.setUint8(13, FLAG_ACK);
  view.setUint16(14, WINDOW);
  view.setUint16(16, checksum(sumOf(from.ip, sumOf(to.ip, TCP + TCP_HEADER_BYTES + sumOf(segment, 0)))));
  return segment;
}

/** ICMPv6: whoever knows `ip` shall send to `mac` from now on. The kernel fills in the checksum of a raw ICMPv6 socket. */
export function neighbourAdvertisement(ip: Uint8Array, mac: Uint8Array): Uint8Array {
  const packet = neighbourMessage(NEIGHBOUR_ADVERTISEMENT, ip, OPTION_TARGET_LINK_ADDRESS, mac);
  packet[4] = FLAG_OVERRIDE;
  return packet;
}

/** ICMPv6: whoever has `ip` shall tell `mac`, the sender. To be sent to {@link solicitedNode}. */
export function neighbourSolicitation(ip: Uint8Array, mac: Uint8Array): Uint8Array {
  return neighbourMessage(NEIGHBOUR_SOLICITATION, ip, OPTION_SOURCE_LINK_ADDRESS, mac);
}

/** The multicast address that whoever has `ip` listens on. */
export function solicitedNode(ip: Uint8Array): Uint8Array {
  return Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, ...ip.subarray(13));
}

/** The Ethernet address that `packet` (ICMPv6, from anybody) says `ip` is at; undefined: it is no answer for `ip`. */
export function advertisedMac(packet: Uint8Array, ip: Uint8Array): Uint8Array | undefined {
  if (packet[0] !== NEIGHBOUR_ADVERTISEMENT) return undefined;
  if (!ip.every((byte, at) => packet[TARGET_AT + at] === byte)) return undefined;
  let at = OPTIONS_AT;
  while (at + OPTION_UNIT_BYTES <= packet.length) {
    if (packet[at] === OPTION_TARGET_LINK_ADDRESS) return packet.subarray(at + 2, at + 2 + MAC_BYTES);
    const units = packet[at + 1] ?? 0;
    if (units === 0) return undefined;
    at += units * OPTION_UNIT_BYTES;
  }
  return undefined;
}

function neighbourMessage(type: number, ip: Uint8Array, option: number, mac: Uint8Array): Uint8Array {
  assert(ip.length === 16 && mac.length === MAC_BYTES, "an IPv6 address and an Ethernet address");
  const packet = new Uint8Array(OPTIONS_AT + OPTION_UNIT_BYTES);
  packet[0] = type;
  packet.set(ip, TARGET_AT);
  packet[OPTIONS_AT] = option;
  packet[OPTIONS_AT + 1] = 1;
  packet.set(mac, OPTIONS_AT + 2);
  return packet;
}

/** Adds 16-bit words (RFC 1071). Carries gather above bit 15; the few words of a header cannot overflow. */
export function sumOf(bytes: Uint8Array, start: number): number {
  let sum = start;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  return sum;
}

function checksum(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + (folded >>> 16);
  return ~folded & 0xffff;
}
