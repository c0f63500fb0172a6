/**
 * Writes the packets that a broker sends, PUBLISH aside.
 *
 * Acknowledgements are templates shared by everyone: the outbound queue patches the packet identifier while it copies
 * them into the write, so that an acknowledgement allocates nothing. Source: MQTT 5 sections 3.2 to 3.14.
 */

import { ByteWriter, encodeUtf8Into, utf8Length } from "@skein/kernel";
import type { ProtocolVersion } from "./connect-packet.ts";
import { PacketType } from "./control-packets.ts";
import { Property } from "./properties.ts";
import { isFailure } from "./reason-codes.ts";

/** A packet: `bytes[at, end)`. Never modified once made; other packets may lie beside it. */
export interface Frame {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly end: number;
  /** Where in `bytes` its packet identifier stands; -1: it has none. */
  readonly packetIdAt: number;
}

/** A PUBLISH. */
export interface PublishFrame extends Frame {
  readonly payloadBytes: number;
}

/** A packet that has its bytes for itself. */
export function ownFrame(bytes: Uint8Array, packetIdAt: number): Frame {
  return { bytes, at: 0, end: bytes.length, packetIdAt };
}

export function frameBytes({ at, end }: Frame): number {
  return end - at;
}

const PUBACK: Frame = ownFrame(Uint8Array.of(PacketType.Puback << 4, 2, 0, 0), 2);
const PUBREC: Frame = ownFrame(Uint8Array.of(PacketType.Pubrec << 4, 2, 0, 0), 2);
const PUBREL: Frame = ownFrame(Uint8Array.of((PacketType.Pubrel << 4) | 2, 2, 0, 0), 2);
const PUBCOMP: Frame = ownFrame(Uint8Array.of(PacketType.Pubcomp << 4, 2, 0, 0), 2);
/** Of 3.x, to who may come in. */
const CONNACK: Frame = ownFrame(Uint8Array.of(PacketType.Connack << 4, 2, 0, 0), -1);
export const PINGRESP: Frame = ownFrame(Uint8Array.of(PacketType.Pingresp << 4, 0), -1);

/**
 * PUBACK, PUBREC, PUBREL or PUBCOMP; the reason code is left out where it is Success and nothing follows it, or the version has
 * none. `reason`: a Reason String.
 */
export function acknowledgementFrame(
  type: 4 | 5 | 6 | 7,
  reasonCode: number,
  version: ProtocolVersion,
  reason?: string,
): Frame {
  if ((reasonCode === 0 && reason === undefined) || version !== 5) {
    if (type === PacketType.Puback) return PUBACK;
    if (type === PacketType.Pubrec) return PUBREC;
    return type === PacketType.Pubrel ? PUBREL : PUBCOMP;
  }
  const header = (type << 4) | (type === PacketType.Pubrel ? 2 : 0);
  if (reason === undefined) return ownFrame(Uint8Array.of(header, 3, 0, 0, reasonCode), 2);
  const body = new ByteWriter(128).u16(0).u8(reasonCode).bytes(reasonProperties(reason));
  const { bytes } = packet(header, body.finish());
  return ownFrame(bytes, bytes.length - body.length);
}

/** What CONNACK tells a 5.0 client; only what differs from the client's wish or the protocol's default is given. */
export interface ConnackProperties {
  readonly sessionExpirySeconds?: number;
  readonly receiveMaximum?: number;
  readonly maximumPacketSize?: number;
  readonly assignedClientIdentifier?: string;
  readonly topicAliasMaximum?: number;
  readonly serverKeepAliveSeconds?: number;
  readonly responseInformation?: string;
  readonly authenticationMethod?: string;
  readonly authenticationData?: Uint8Array;
  readonly reason?: string | undefined;
}

/** CONNACK. `code` is a Reason Code for 5.0, a return code for 3.x. */
export function connackFrame(
  version: ProtocolVersion,
  code: number,
  sessionPresent: boolean,
  properties: ConnackProperties,
): Frame {
  // MQTT 3.1 section 3.2 reserves the byte.
  const flags = sessionPresent && version !== 3 ? 1 : 0;
  if (version !== 5) {
    if (flags === 0 && code === 0) return CONNACK;
    return ownFrame(Uint8Array.of(PacketType.Connack << 4, 2, flags, code), -1);
  }
  const body = new ByteWriter(64).u8(flags).u8(code).bytes(connackProperties(properties));
  return packet(PacketType.Connack << 4, body.finish());
}

function connackProperties(properties: ConnackProperties): Uint8Array {
  const out = new ByteWriter(64);
  const {
    sessionExpirySeconds,
    receiveMaximum,
    maximumPacketSize,
    assignedClientIdentifier,
    topicAliasMaximum,
    serverKeepAliveSeconds,
  } = properties;
  if (sessionExpirySeconds !== undefined) out.u8(Property.SessionExpiryInterval).u32(sessionExpirySeconds);
  if (receiveMaximum !== undefined) out.u8(Property.ReceiveMaximum).u16(receiveMaximum);
  if (maximumPacketSize !== undefined) out.u8(Property.MaximumPacketSize).u32(maximumPacketSize);
  if (assignedClientIdentifier !== undefined) {
    writeText(out.u8(Property.AssignedClientIdentifier), assignedClientIdentifier);
  }
  if (topicAliasMaximum !== undefined) out.u8(Property.TopicAliasMaximum).u16(topicAliasMaximum);
  if (serverKeepAliveSeconds !== undefined) out.u8(Property.ServerKeepAlive).u16(serverKeepAliveSeconds);
  if (properties.responseInformation !== undefined) {
    writeText(out.u8(Property.ResponseInformation), properties.responseInformation);
  }
  if (properties.reason !== undefined) writeText(out.u8(Property.ReasonString), properties.reason);
  const { authenticationMethod, authenticationData } = properties;
  if (authenticationMethod !== undefined) writeAuthentication(out, authenticationMethod, authenticationData);
  return out.finish();
}

function writeAuthentication(out: ByteWriter, method: string, data: Uint8Array | undefined): void {
  writeText(out.u8(Property.AuthenticationMethod), method);
  if (data !== undefined) out.u8(Property.AuthenticationData).u16(data.length).raw(data);
}

/** AUTH of the server. */
export function authFrame(reasonCode: number, method: string, data: Uint8Array | undefined): Frame {
  const properties = new ByteWriter(64);
  writeAuthentication(properties, method, data);
  const body = new ByteWriter(64).u8(reasonCode).bytes(properties.finish());
  return packet(PacketType.Auth << 4, body.finish());
}

function reasonProperties(reason: string | undefined): Uint8Array {
  const out = new ByteWriter(64);
  if (reason !== undefined) writeText(out.u8(Property.ReasonString), reason);
  return out.finish();
}

/** SUBACK with one code per filter, in the order of the SUBSCRIBE. For 3.x every failure is 0x80. */
export function subackFrame(
  version: ProtocolVersion,
  packetId: number,
  codes: readonly number[],
  reason?: string,
): Frame {
  const body = new ByteWriter(codes.length + 3);
  body.u16(packetId);
  if (version === 5) body.bytes(reasonProperties(reason));
  for (const code of codes) body.u8(version !== 5 && isFailure(code) ? 0x80 : code);
  return packet(PacketType.Suback << 4, body.finish());
}

/** UNSUBACK; 3.x has no codes in it. */
export function unsubackFrame(version: ProtocolVersion, packetId: number, codes: readonly number[]): Frame {
  const body = new ByteWriter(codes.length + 3);
  body.u16(packetId);
  if (version === 5) {
    body.u8(0);
    for (const code of codes) body.u8(code);
  }
  return packet(PacketType.Unsuback << 4, body.finish());
}

/** DISCONNECT of the server; exists in 5.0 only. `serverReference` belongs to Use another server (0x9C). */
export function disconnectFrame(reasonCode: number, reason?: string, serverReference?: string): Frame {
  const properties = new ByteWriter(64);
  if (reason !== undefined) writeText(properties.u8(Property.ReasonString), reason);
  if (serverReference !== undefined) writeText(properties.u8(Property.ServerReference), serverReference);
  const body = new ByteWriter(64).u8(reasonCode).bytes(properties.finish());
  return packet(PacketType.Disconnect << 4, body.finish());
}

/** UTF-8 Encoded String: two bytes of length, then the text. */
export function writeText(out: ByteWriter, text: string): void {
  const bytes = new Uint8Array(utf8Length(text));
  encodeUtf8Into(text, bytes, 0);
  out.u16(bytes.length).raw(bytes);
}

function packet(header: number, body: Uint8Array): Frame {
  const out = new ByteWriter(body.length + 5);
  // LEB128 of the kernel is the Variable Byte Integer of MQTT (section 1.5.5) for all lengths that occur here.
  out.u8(header).varint(body.length).raw(body);
  return ownFrame(out.finish(), -1);
}
