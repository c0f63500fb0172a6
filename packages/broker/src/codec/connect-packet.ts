/**
 * Reads CONNECT of MQTT 3.1, 3.1.1 and 5.0.
 *
 * The protocol version comes first, so that everything wrong after it can be answered in that version.
 * Source: MQTT 5 and MQTT 3.1.1 section 3.1; MQTT 3.1 differs in its protocol name, `MQIsdp`.
 */

import type { ApplicationMessage, QoS, SessionWill } from "@skein/kernel";
import { isValidTopicName } from "@skein/kernel";
import { copyOf, type FieldReader } from "./field-reader.ts";
import { malformed, PacketError, protocolError } from "./packet-error.ts";
import {
  CONNECT_PROPERTIES,
  messageProperties,
  type Properties,
  readProperties,
  WILL_PROPERTIES,
} from "./properties.ts";
import { ReasonCode } from "./reason-codes.ts";

/** 3 is MQTT 3.1, 4 is MQTT 3.1.1, 5 is MQTT 5.0. */
export type ProtocolVersion = 3 | 4 | 5;

export interface ConnectPacket {
  readonly protocolVersion: ProtocolVersion;
  readonly clientId: string;
  /** Clean Start (5.0) or Clean Session (3.x). */
  readonly cleanStart: boolean;
  /** 0: the client has no keep-alive. */
  readonly keepAliveSeconds: number;
  readonly will: SessionWill | undefined;
  readonly username: string | undefined;
  readonly password: Uint8Array | undefined;
  readonly properties: Readonly<Properties>;
}

const NO_PROPERTIES: Readonly<Properties> = {};

/**
 * Reads protocol name and version.
 * @returns the version; or the version byte of a protocol this broker does not speak, as `unsupported`
 * @throws {PacketError} if it is not MQTT at all
 */
export function readProtocolVersion(fields: FieldReader): ProtocolVersion | { readonly unsupported: number } {
  const name = fields.text();
  if (name !== "MQTT" && name !== "MQIsdp") throw malformed("protocol name is not MQTT");
  const version = fields.u8();
  if (name === "MQIsdp") return version === 3 ? 3 : { unsupported: version };
  return version === 4 || version === 5 ? version : { unsupported: version };
}

/** Reads what follows the protocol version. */
export function readConnect(fields: FieldReader, protocolVersion: ProtocolVersion): ConnectPacket {
  const flags = fields.u8();
  checkFlags(flags, protocolVersion);
  const keepAliveSeconds = fields.u16();
  const properties = protocolVersion === 5 ? readProperties(fields, CONNECT_PROPERTIES) : NO_PROPERTIES;
  const clientId = fields.text();
  const will = (flags & 0x04) === 0 ? undefined : readWill(fields, flags, protocolVersion);
  const username = (flags & 0x80) === 0 || isLeftOut(fields, protocolVersion) ? undefined : fields.text();
  const password =
    (flags & 0x40) === 0 || isLeftOut(fields, protocolVersion) ? undefined : copyOf(fields.binary());
  fields.finish();
  if (properties.authenticationData !== undefined && properties.authenticationMethod === undefined) {
    throw protocolError("authentication data without a method"); // section 3.1.2.11.10
  }
  const cleanStart = (flags & 0x02) !== 0;
  return { protocolVersion, clientId, cleanStart, keepAliveSeconds, will, username, password, properties };
}

/** MQTT 3.1 section 3.1: a user name that is flagged may be missing, "the Remaining Length takes precedence". */
function isLeftOut(fields: FieldReader, version: ProtocolVersion): boolean {
  return version === 3 && fields.remaining === 0;
}

function checkFlags(flags: number, version: ProtocolVersion): void {
  // [MQTT-3.1.2-3]; MQTT 3.1 leaves the bit undefined.
  if ((flags & 0x01) !== 0 && version !== 3) throw malformed("reserved connect flag is set");
  const willQos = (flags >> 3) & 3;
  if (willQos === 3) throw malformed("will QoS is 3"); // [MQTT-3.1.2-12]
  const hasWill = (flags & 0x04) !== 0;
  if (!hasWill && (willQos !== 0 || (flags & 0x20) !== 0)) {
    throw malformed("will QoS or will retain without a will"); // [MQTT-3.1.2-11] [MQTT-3.1.2-13]
  }
  // 3.1.1 [MQTT-3.1.2-22]: no password without a user name; so says 3.1, and 5.0 allows it.
  if (version !== 5 && (flags & 0xc0) === 0x40) throw malformed("password without user name");
}

function readWill(fields: FieldReader, flags: number, version: ProtocolVersion): SessionWill {
  const properties = version === 5 ? readProperties(fields, WILL_PROPERTIES) : NO_PROPERTIES;
  const topic = fields.text();
  const payload = copyOf(fields.binary());
  if (!isValidTopicName(topic)) throw new PacketError(ReasonCode.TopicNameInvalid, "will topic is invalid");
  const message: ApplicationMessage = {
    topic,
    payload,
    qos: ((flags >> 3) & 3) as QoS,
    retain: (flags & 0x20) !== 0,
    properties: messageProperties(properties),
  };
  return { message, delaySeconds: properties.willDelaySeconds ?? 0 };
}
