/**
 * Decides on a well-formed CONNECT: who may come in, under which Client Identifier, and what CONNACK tells.
 *
 * A refusal is only ever for what the client did wrong (P11). Source: MQTT 5 section 3.1.4, 3.2.2; MQTT 3.1.1 section 3.1.3.1.
 */

import { isUtf8, isValidTopicName, type Prng, type SessionWill } from "@skein/kernel";
import type { ConnectPacket } from "../codec/connect-packet.ts";
import { PacketError } from "../codec/packet-error.ts";
import { type ConnackProperties, connackFrame } from "../codec/packet-writer.ts";
import { ConnectReturnCode, ReasonCode } from "../codec/reason-codes.ts";
import type { BrokerOptions } from "../options.ts";
import type { SessionKeeper } from "../sessions/session-keeper.ts";
import { isSystemTopic } from "../system/system-topics.ts";
import { TopicLimits } from "../topic-limits.ts";
import type { Proof } from "./authentication.ts";
import type { Channel } from "./channel.ts";

/** Above it nobody looks: a CONNACK is as long as the texts in it, which came in the CONNECT or are short. */
const CONNACK_BYTES_USUAL_MAX = 100_000;
/** CONNACK of 3.x has none. */
const NO_PROPERTIES: ConnackProperties = {};

/** A client that may come in, and what it has agreed on. */
export interface Admission {
  readonly clientId: string;
  readonly cleanStart: boolean;
  readonly expirySeconds: number;
  readonly keepAliveSeconds: number;
  readonly will: SessionWill | undefined;
  /** For CONNACK. */
  readonly properties: ConnackProperties;
  /** What it has proved or, failing that, says it is. */
  readonly userName: string | undefined;
}

/**
 * Whether a client may come in; `proof` is of the enhanced authentication that it has passed. Undefined: no, which it has been told.
 * @throws {PacketError}
 */
export function admit(
  channel: Channel,
  packet: ConnectPacket,
  options: BrokerOptions,
  sessions: Pick<SessionKeeper, "has">,
  prng: Prng,
  proof: Proof | undefined,
): Admission | undefined {
  if (isRejected(channel, packet, proof !== undefined)) return undefined;
  const { cleanStart } = packet;
  if (packet.will !== undefined) checkWill(packet.will, options);
  // Section 4.7.2: what the node tells of itself is for nobody else to say.
  const will = isSystemTopic(packet.will?.message.topic ?? "") ? undefined : packet.will;
  const clientId = packet.clientId === "" ? assignClientId(sessions, prng) : packet.clientId;
  const expirySeconds = expiryOf(packet, options.sessionExpiryMaxSeconds);
  const keepAliveSeconds = keepAliveOf(channel, packet, options);
  const agreed = connackProperties(packet, options, clientId, expirySeconds, keepAliveSeconds);
  const properties = proof === undefined ? agreed : { ...agreed, ...authenticationProperties(proof) };
  checkRoom(channel, properties);
  // What it has proved comes before what it says, which nobody has checked yet.
  const userName = proof?.identity ?? channel.stream.identity ?? packet.username;
  return { clientId, cleanStart, expirySeconds, keepAliveSeconds, will, properties, userName };
}

function isRejected(channel: Channel, packet: ConnectPacket, isAuthenticated: boolean): boolean {
  const { listener, stream } = channel;
  if (!listener.allowAnonymous && !isAuthenticated && stream.identity === undefined) {
    channel.rejectConnect(ReasonCode.NotAuthorized, ConnectReturnCode.NotAuthorized, "anonymous client");
    return true;
  }
  if (isClientIdValid(packet)) return false;
  const { ClientIdentifierNotValid } = ReasonCode;
  const { IdentifierRejected } = ConnectReturnCode;
  channel.rejectConnect(ClientIdentifierNotValid, IdentifierRejected, "no client identifier");
  return true;
}

/**
 * 3.1.1 [MQTT-3.1.3-8]: none only with a clean session. MQTT 3.1 section 3.1 wants 1 to 23 characters; more are let in, as its
 * successors demand and brokers do, because devices would be turned away that work elsewhere.
 */
function isClientIdValid({ protocolVersion, clientId, cleanStart }: ConnectPacket): boolean {
  return clientId !== "" || protocolVersion === 5 || (protocolVersion === 4 && cleanStart);
}

/** @throws {PacketError} */
function checkWill({ message }: SessionWill, options: BrokerOptions): void {
  const { topic, payload, properties } = message;
  if (!new TopicLimits(options).allow(topic)) {
    throw new PacketError(ReasonCode.TopicNameInvalid, "will topic is too long or has too many levels");
  }
  if (properties?.payloadIsUtf8 === true && !isUtf8(payload)) {
    throw new PacketError(ReasonCode.PayloadFormatInvalid, "will payload is not UTF-8"); // section 3.1.3.2.3
  }
}

/**
 * A client that cannot take the CONNACK [MQTT-3.1.2-24] would wait for it in vain, so it is refused before it has a session.
 * @throws {PacketError}
 */
function checkRoom(channel: Channel, properties: ConnackProperties): void {
  if (channel.clientPacketBytesMax > CONNACK_BYTES_USUAL_MAX) return;
  const { bytes } = connackFrame(channel.version, ReasonCode.Success, false, properties);
  if (bytes.length > channel.clientPacketBytesMax) {
    throw new PacketError(
      ReasonCode.PacketTooLarge,
      "CONNACK is larger than the client's maximum packet size",
    );
  }
}

/** A Client Identifier that no session has [MQTT-3.2.2-16]: 128 random bits, so that no other node makes it either. */
function assignClientId(sessions: Pick<SessionKeeper, "has">, prng: Prng): string {
  for (;;) {
    let clientId = "auto-";
    for (let i = 0; i < 4; i++) clientId += prng.below(0x1_0000_0000).toString(16).padStart(8, "0");
    if (!sessions.has(clientId)) return clientId;
  }
}

/** Session Expiry Interval, cut to the maximum. A 3.x session that is not clean lives as long as any may. */
function expiryOf(packet: ConnectPacket, maxSeconds: number): number {
  if (packet.protocolVersion !== 5) return packet.cleanStart ? 0 : maxSeconds;
  return Math.min(packet.properties.sessionExpirySeconds ?? 0, maxSeconds);
}

function authenticationProperties({ method, data }: Proof): ConnackProperties {
  return { authenticationMethod: method, ...(data !== undefined && { authenticationData: data }) };
}

/** Section 3.1.2.11.6: for who asks. A Client Identifier that cannot be part of a topic gets none. */
function responseInformation(
  { properties }: ConnectPacket,
  { responseTopicPrefix }: BrokerOptions,
  clientId: string,
): ConnackProperties {
  if (properties.wantsResponseInformation !== true || responseTopicPrefix === undefined) return {};
  const topic = `${responseTopicPrefix}/${clientId}`;
  return isValidTopicName(topic) ? { responseInformation: topic } : {};
}

/** Keep Alive in force, in seconds: on the floating address a 5.0 client is told a short one [MQTT-3.2.2-21]. */
function keepAliveOf(channel: Channel, packet: ConnectPacket, options: BrokerOptions): number {
  const wished = packet.keepAliveSeconds;
  const isFloating =
    options.floatingAddress !== undefined && channel.stream.localAddress === options.floatingAddress;
  if (packet.protocolVersion !== 5 || !isFloating) return wished;
  return wished === 0 || wished > options.floatingKeepAliveSeconds
    ? options.floatingKeepAliveSeconds
    : wished;
}

function connackProperties(
  packet: ConnectPacket,
  options: BrokerOptions,
  clientId: string,
  expirySeconds: number,
  keepAliveSeconds: number,
): ConnackProperties {
  if (packet.protocolVersion !== 5) return NO_PROPERTIES;
  return {
    ...(options.receiveMaximum < 0xffff && { receiveMaximum: options.receiveMaximum }),
    maximumPacketSize: options.packetBytesMax,
    topicAliasMaximum: options.topicAliasMaximum,
    ...responseInformation(packet, options, clientId),
    ...(packet.clientId === "" && { assignedClientIdentifier: clientId }),
    ...(expirySeconds !== (packet.properties.sessionExpirySeconds ?? 0) && {
      sessionExpirySeconds: expirySeconds,
    }),
    ...(keepAliveSeconds !== packet.keepAliveSeconds && { serverKeepAliveSeconds: keepAliveSeconds }),
  };
}
