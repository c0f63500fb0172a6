/**
 * Reads the control packets of clients other than CONNECT and PUBLISH.
 *
 * Source: MQTT 5 sections 3.4 to 3.15.
 */

import type { QoS } from "@skein/kernel";
import type { ProtocolVersion } from "./connect-packet.ts";
import type { FieldReader } from "./field-reader.ts";
import { malformed, protocolError } from "./packet-error.ts";
import {
  ACKNOWLEDGEMENT_PROPERTIES,
  AUTH_PROPERTIES,
  DISCONNECT_PROPERTIES,
  readProperties,
  SUBSCRIBE_PROPERTIES,
  UNSUBSCRIBE_PROPERTIES,
} from "./properties.ts";
import { ANSWERS_TO_PUBLISH, ANSWERS_TO_RELEASE, GOODBYES_OF_CLIENTS, ReasonCode } from "./reason-codes.ts";

/** Control packet types, the high four bits of the first byte (MQTT 5 table 2-1). */
export const PacketType = {
  Connect: 1,
  Connack: 2,
  Publish: 3,
  Puback: 4,
  Pubrec: 5,
  Pubrel: 6,
  Pubcomp: 7,
  Subscribe: 8,
  Suback: 9,
  Unsubscribe: 10,
  Unsuback: 11,
  Pingreq: 12,
  Pingresp: 13,
  Disconnect: 14,
  Auth: 15,
} as const;

/**
 * Checks the flag bits that the specification fixes for every type but PUBLISH [MQTT-2.1.3-1]. MQTT 3.1 has DUP and QoS 1 where
 * later versions have 2, and leaves the flags of the other types undefined (its section 2.1).
 */
export function checkHeaderFlags(header: number, version: ProtocolVersion): void {
  const type = header >> 4;
  if (type === PacketType.Publish) return;
  const isTwo =
    type === PacketType.Pubrel || type === PacketType.Subscribe || type === PacketType.Unsubscribe;
  const isRight = version === 3 ? !isTwo || (header & 6) === 2 : (header & 0x0f) === (isTwo ? 2 : 0);
  if (!isRight) throw malformed("reserved header flags are wrong");
}

/** PUBACK, PUBREC, PUBREL and PUBCOMP. */
export interface AcknowledgementPacket {
  readonly packetId: number;
  readonly reasonCode: number;
}

/** PUBACK and PUBREC. @throws {PacketError} */
export function readAnswer(fields: FieldReader, version: ProtocolVersion): AcknowledgementPacket {
  return readAcknowledgement(fields, version, ANSWERS_TO_PUBLISH);
}

/** PUBREL and PUBCOMP. @throws {PacketError} */
export function readRelease(fields: FieldReader, version: ProtocolVersion): AcknowledgementPacket {
  return readAcknowledgement(fields, version, ANSWERS_TO_RELEASE);
}

function readAcknowledgement(
  fields: FieldReader,
  version: ProtocolVersion,
  codes: ReadonlySet<number>,
): AcknowledgementPacket {
  const packetId = readPacketId(fields);
  let reasonCode: number = ReasonCode.Success;
  if (version === 5 && fields.remaining > 0) {
    reasonCode = readReasonCode(fields, codes);
    if (fields.remaining > 0) readProperties(fields, ACKNOWLEDGEMENT_PROPERTIES);
  }
  fields.finish();
  return { packetId, reasonCode };
}

/** One Topic Filter of a SUBSCRIBE with its Subscription Options. */
export interface SubscriptionRequest {
  /** As sent: not yet checked, `$share/...` included. */
  readonly filter: string;
  readonly qos: QoS;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly retainHandling: 0 | 1 | 2;
}

export interface SubscribePacket {
  readonly packetId: number;
  readonly subscriptionIdentifier: number | undefined;
  readonly requests: readonly SubscriptionRequest[];
}

export function readSubscribe(fields: FieldReader, version: ProtocolVersion): SubscribePacket {
  const packetId = readPacketId(fields);
  const properties = version === 5 ? readProperties(fields, SUBSCRIBE_PROPERTIES) : undefined;
  const requests: SubscriptionRequest[] = [];
  while (fields.remaining > 0) requests.push(readSubscription(fields, version));
  if (requests.length === 0) throw protocolError("SUBSCRIBE without a topic filter"); // [MQTT-3.8.3-2]
  return { packetId, subscriptionIdentifier: properties?.subscriptionIdentifier, requests };
}

function readSubscription(fields: FieldReader, version: ProtocolVersion): SubscriptionRequest {
  const filter = fields.text();
  const options = fields.u8();
  const reserved = version === 5 ? 0xc0 : 0xfc;
  const qos = options & 3;
  const retainHandling = (options >> 4) & 3;
  if ((options & reserved) !== 0 || qos === 3) throw malformed("subscription options are wrong"); // [MQTT-3.8.3-5]
  if (retainHandling === 3) throw protocolError("retain handling is 3");
  return {
    filter,
    qos: qos as QoS,
    noLocal: (options & 4) !== 0,
    retainAsPublished: (options & 8) !== 0,
    retainHandling: retainHandling as 0 | 1 | 2,
  };
}

export interface UnsubscribePacket {
  readonly packetId: number;
  readonly filters: readonly string[];
}

export function readUnsubscribe(fields: FieldReader, version: ProtocolVersion): UnsubscribePacket {
  const packetId = readPacketId(fields);
  if (version === 5) readProperties(fields, UNSUBSCRIBE_PROPERTIES);
  const filters: string[] = [];
  while (fields.remaining > 0) filters.push(fields.text());
  if (filters.length === 0) throw protocolError("UNSUBSCRIBE without a topic filter"); // [MQTT-3.10.3-2]
  return { packetId, filters };
}

export interface DisconnectPacket {
  readonly reasonCode: number;
  readonly sessionExpirySeconds: number | undefined;
}

export function readDisconnect(fields: FieldReader, version: ProtocolVersion): DisconnectPacket {
  let reasonCode: number = ReasonCode.Success;
  let sessionExpirySeconds: number | undefined;
  if (version === 5 && fields.remaining > 0) {
    reasonCode = readReasonCode(fields, GOODBYES_OF_CLIENTS);
    if (fields.remaining > 0) {
      sessionExpirySeconds = readProperties(fields, DISCONNECT_PROPERTIES).sessionExpirySeconds;
    }
  }
  fields.finish();
  return { reasonCode, sessionExpirySeconds };
}

/** AUTH, which exists in 5.0 only. */
export interface AuthPacket {
  readonly reasonCode: number;
  readonly method: string;
  readonly data: Uint8Array | undefined;
}

export function readAuth(fields: FieldReader): AuthPacket {
  const reasonCode = fields.remaining > 0 ? fields.u8() : ReasonCode.Success;
  const properties = fields.remaining > 0 ? readProperties(fields, AUTH_PROPERTIES) : undefined;
  fields.finish();
  const method = properties?.authenticationMethod;
  if (method === undefined) throw protocolError("AUTH without a method"); // section 3.15.2.2.2
  return { reasonCode, method, data: properties?.authenticationData };
}

function readPacketId(fields: FieldReader): number {
  const packetId = fields.u16();
  if (packetId === 0) throw protocolError("packet identifier is 0"); // [MQTT-2.2.1-3]
  return packetId;
}

/** A code that the packet does not have is data which the protocol does not allow (section 1.2, "Protocol Error"). */
function readReasonCode(fields: FieldReader, codes: ReadonlySet<number>): number {
  const code = fields.u8();
  if (code !== ReasonCode.Success && !codes.has(code))
    throw protocolError(`no Reason Code of this packet: ${code}`);
  return code;
}
