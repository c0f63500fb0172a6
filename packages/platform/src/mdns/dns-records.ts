/** DNS records as the mesh sees them, from and to the form of the dns-packet codec inside multicast-dns. */

import { Buffer } from "node:buffer";
import type { DnsRecord } from "@skein/kernel";
import type { ResponseOutgoingPacket } from "multicast-dns";

type WireRecord = ResponseOutgoingPacket["answers"][number];

/**
 * The record to send. All but PTR are ours alone and carry the cache-flush bit (RFC 6762 section 10.2): receivers drop
 * what they remembered of an earlier address.
 */
export function recordToWire(record: DnsRecord): WireRecord {
  const { name, ttlSeconds: ttl } = record;
  switch (record.type) {
    case "PTR":
      return { type: "PTR", name, ttl, data: record.target };
    case "SRV":
      return { type: "SRV", name, ttl, flush: true, data: { target: record.target, port: record.port } };
    case "TXT":
      return { type: "TXT", name, ttl, flush: true, data: [...record.strings] };
    case "A":
    case "AAAA":
      return { type: record.type, name, ttl, flush: true, data: record.address };
  }
}

/** What was received, or undefined for types that nobody here asks for. */
export function recordFromWire(wire: WireRecord): DnsRecord | undefined {
  const { name } = wire;
  switch (wire.type) {
    case "PTR":
      return { type: "PTR", name, ttlSeconds: wire.ttl ?? 0, target: wire.data };
    case "SRV":
      return { type: "SRV", name, ttlSeconds: wire.ttl ?? 0, target: wire.data.target, port: wire.data.port };
    case "TXT":
      return { type: "TXT", name, ttlSeconds: wire.ttl ?? 0, strings: textOf(wire.data) };
    case "A":
    case "AAAA":
      return { type: wire.type, name, ttlSeconds: wire.ttl ?? 0, address: wire.data };
    default:
      return undefined;
  }
}

/** The codec gives a TXT record as one or several buffers or texts. */
function textOf(data: string | Buffer | readonly (string | Buffer)[]): readonly string[] {
  const parts = typeof data === "string" || Buffer.isBuffer(data) ? [data] : data;
  return parts.map((part) => (typeof part === "string" ? part : part.toString("utf8")));
}
