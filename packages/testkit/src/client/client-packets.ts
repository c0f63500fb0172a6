/**
 * Writes the packets that only clients send: CONNECT, SUBSCRIBE, UNSUBSCRIBE, PINGREQ, DISCONNECT; and fills in what the
 * broker's codec leaves open (packet identifiers).
 *
 * Source: MQTT 5 and MQTT 3.1.1, sections 3.1, 3.8, 3.10, 3.12, 3.14.
 */

import { type Frame, PacketType, Property, type ProtocolVersion, writeText } from "@skein/broker/codec";
import { ByteWriter, type QoS } from "@skein/kernel";

export interface ConnectOptions {
  readonly version: ProtocolVersion;
  readonly clientId: string;
  /** Clean Start (5.0) or Clean Session (3.x). */
  readonly isClean: boolean;
  readonly keepAliveSeconds: number;
  /** Session Expiry Interval, 5.0 only. */
  readonly sessionExpirySeconds: number;
}

export const PINGREQ = Uint8Array.of(PacketType.Pingreq << 4, 0);
export const DISCONNECT = Uint8Array.of(PacketType.Disconnect << 4, 0);

export function connectPacket(options: ConnectOptions): Uint8Array {
  const { version, clientId, isClean, keepAliveSeconds, sessionExpirySeconds } = options;
  const body = new ByteWriter(64);
  writeText(body, version === 3 ? "MQIsdp" : "MQTT");
  body
    .u8(version)
    .u8(isClean ? 0x02 : 0)
    .u16(keepAliveSeconds);
  if (version === 5) {
    const hasExpiry = sessionExpirySeconds > 0;
    body.u8(hasExpiry ? 5 : 0);
    if (hasExpiry) body.u8(Property.SessionExpiryInterval).u32(sessionExpirySeconds);
  }
  writeText(body, clientId);
  return packet(PacketType.Connect << 4, body);
}

export function subscribePacket(
  version: ProtocolVersion,
  packetId: number,
  filters: readonly string[],
  qos: QoS,
): Uint8Array {
  const body = new ByteWriter(64).u16(packetId);
  if (version === 5) body.u8(0);
  for (const filter of filters) {
    writeText(body, filter);
    body.u8(qos);
  }
  return packet((PacketType.Subscribe << 4) | 2, body);
}

export function unsubscribePacket(version: ProtocolVersion, packetId: number, filter: string): Uint8Array {
  const body = new ByteWriter(64).u16(packetId);
  if (version === 5) body.u8(0);
  writeText(body, filter);
  return packet((PacketType.Unsubscribe << 4) | 2, body);
}

/** A copy of `frame` with its packet identifier. */
export function withPacketId({ bytes, packetIdAt }: Frame, packetId: number): Uint8Array {
  const copy = bytes.slice();
  if (packetIdAt >= 0) {
    copy[packetIdAt] = packetId >> 8;
    copy[packetIdAt + 1] = packetId & 0xff;
  }
  return copy;
}

function packet(header: number, body: ByteWriter): Uint8Array {
  const bytes = body.finish();
  return new ByteWriter(bytes.length + 5).u8(header).varint(bytes.length).raw(bytes).finish();
}
