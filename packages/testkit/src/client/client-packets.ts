/**
 * Writes the packets that clients send. Of those that servers send, too, the broker's codec leaves the packet identifier open, which is filled in
 * here.
 *
 * Source: MQTT 5 and MQTT 3.1.1, sections 3.1, 3.3 to 3.8, 3.10, 3.12, 3.14.
 */

import {
  acknowledgementFrame,
  encodePublish,
  type Frame,
  PacketType,
  Property,
  type ProtocolVersion,
  writeText,
} from "@skein/broker/codec";
import { ByteWriter, type QoS } from "@skein/kernel";
import type { PublishedPacket, PublishedWill } from "../observations.ts";
import { encodePayload } from "./payload.ts";
import type { ConnectAsked } from "./profiles.ts";

export interface ConnectOptions extends ConnectAsked {
  readonly clientId: string;
  readonly will?: PublishedWill | undefined;
}

const ACKNOWLEDGEMENTS = {
  puback: PacketType.Puback,
  pubrec: PacketType.Pubrec,
  pubrel: PacketType.Pubrel,
  pubcomp: PacketType.Pubcomp,
} as const;

export type AcknowledgementKind = keyof typeof ACKNOWLEDGEMENTS;

const HAS_WILL = 0x04;
const RETAINED_WILL = 0x20;

export const PINGREQ = Uint8Array.of(PacketType.Pingreq << 4, 0);
export const DISCONNECT = Uint8Array.of(PacketType.Disconnect << 4, 0);

export function connectPacket(options: ConnectOptions): Uint8Array {
  const { version, clientId, isClean, keepAliveSeconds, sessionExpirySeconds, will } = options;
  const body = new ByteWriter(64);
  writeText(body, version === 3 ? "MQIsdp" : "MQTT");
  body
    .u8(version)
    .u8((isClean ? 0x02 : 0) | (will === undefined ? 0 : willFlags(will)))
    .u16(keepAliveSeconds);
  if (version === 5) {
    const hasExpiry = sessionExpirySeconds > 0;
    body.u8(hasExpiry ? 5 : 0);
    if (hasExpiry) body.u8(Property.SessionExpiryInterval).u32(sessionExpirySeconds);
  }
  writeText(body, clientId);
  if (will !== undefined) writeWill(body, version, will);
  return packet(PacketType.Connect << 4, body);
}

function willFlags({ qos, retain }: PublishedWill): number {
  return HAS_WILL | (qos << 3) | (retain ? RETAINED_WILL : 0);
}

function writeWill(body: ByteWriter, version: ProtocolVersion, will: PublishedWill): void {
  const { topic, payloadId, delaySeconds } = will;
  if (version === 5) {
    body.u8(delaySeconds > 0 ? 5 : 0);
    if (delaySeconds > 0) body.u8(Property.WillDelayInterval).u32(delaySeconds);
  }
  writeText(body, topic);
  const payload = encodePayload(payloadId, 0);
  body.u16(payload.length).raw(payload);
}

export function publishPacket(
  version: ProtocolVersion,
  packetId: number,
  { topic, payloadId, qos, retain, expirySeconds, paddingBytes = 0 }: PublishedPacket,
  dup: boolean,
): Uint8Array {
  const payload = encodePayload(payloadId, paddingBytes);
  const properties = expirySeconds === undefined ? undefined : { messageExpirySeconds: expirySeconds };
  const message = { topic, payload, qos, retain, properties };
  const form = { qos, retain, dup: dup && qos > 0, identifiers: undefined, expirySeconds };
  return withPacketId(encodePublish(message, version, form), packetId);
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

export function acknowledgementPacket(
  version: ProtocolVersion,
  kind: AcknowledgementKind,
  packetId: number,
): Uint8Array {
  return withPacketId(acknowledgementFrame(ACKNOWLEDGEMENTS[kind], 0, version), packetId);
}

/** A copy of `frame` with its packet identifier. */
function withPacketId({ bytes, packetIdAt }: Frame, packetId: number): Uint8Array {
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
