/**
 * The two packets that Node has no socket for: the tickle, and IPv6's word that an address has moved.
 *
 * A tickle is a bare TCP ACK with sequence number 0 from the floating address to a client of its past holder. The client
 * answers with its true numbers, the kernel here knows no such connection and resets it, and the client connects again:
 * an idle one would have noticed only at its keep-alive.
 *
 * Source: Samba CTDB's tickle ACK; RFC 9293 sections 3.1, 3.10.7.4 (an unacceptable segment is answered); RFC 4861 section 4.4.
 */

import { assert } from "@skein/kernel";

const TCP_HEADER_BYTES = 20;
const TCP = 6;
const FLAG_ACK = 0x10;
const WINDOW = 1234;

const NEIGHBOUR_ADVERTISEMENT = 136;
const FLAG_OVERRIDE = 0x20;
const OPTION_TARGET_LINK_ADDRESS = 2;

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
  assert(ip.length === 16 && mac.length === 6, "an IPv6 address and an Ethernet address");
  const packet = new Uint8Array(32);
  packet[0] = NEIGHBOUR_ADVERTISEMENT;
  packet[4] = FLAG_OVERRIDE;
  packet.set(ip, 8);
  packet[24] = OPTION_TARGET_LINK_ADDRESS;
  packet[25] = 1;
  packet.set(mac, 26);
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
