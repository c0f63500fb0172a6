/**
 * Decides on a well-formed CONNECT: who may come in, under which Client Identifier, and what CONNACK tells.
 *
 * A refusal is only ever for what the client did wrong (P11). Source: MQTT 5 section 3.1.4, 3.2.2; MQTT 3.1.1 section 3.1.3.1.
 */

import type { Prng } from "@skein/kernel";
import type { Channel } from "./channel.ts";
import type { ConnectPacket } from "./codec/connect-packet.ts";
import type { ConnackProperties } from "./codec/packet-writer.ts";
import { ConnectReturnCode, ReasonCode } from "./codec/reason-codes.ts";
import type { BrokerOptions } from "./options.ts";
import type { Sessions } from "./sessions.ts";

/** Answers CONNECT. Returns whether the client is connected now. */
export function admit(
  channel: Channel,
  packet: ConnectPacket,
  options: BrokerOptions,
  sessions: Sessions,
  prng: Prng,
): boolean {
  if (isRejected(channel, packet)) return false;
  const { cleanStart, will } = packet;
  const clientId = packet.clientId === "" ? assignClientId(sessions, prng) : packet.clientId;
  const { session, isPresent } = sessions.open(clientId, cleanStart, channel.stream.remoteAddress);
  session.expirySeconds = expiryOf(packet, options.sessionExpiryMaxSeconds);
  session.will = will;
  const keepAliveSeconds = keepAliveOf(channel, packet, options);
  const properties = connackProperties(packet, options, clientId, session.expirySeconds, keepAliveSeconds);
  channel.connected(session, packet, isPresent, keepAliveSeconds, properties);
  return true;
}

function isRejected(channel: Channel, packet: ConnectPacket): boolean {
  if (packet.properties.authenticationMethod !== undefined) {
    // [MQTT-4.12.0-1]; only 5.0 has the property.
    channel.rejectConnect(ReasonCode.BadAuthenticationMethod, 0, "extended authentication is not supported");
    return true;
  }
  if (!channel.listener.allowAnonymous && channel.stream.identity === undefined) {
    channel.rejectConnect(ReasonCode.NotAuthorized, ConnectReturnCode.NotAuthorized, "anonymous client");
    return true;
  }
  // 3.1.1 [MQTT-3.1.3-8]: no identifier only with a clean session; 3.1 has no such thing at all.
  const mayBeEmpty = packet.protocolVersion === 5 || (packet.protocolVersion === 4 && packet.cleanStart);
  if (packet.clientId === "" && !mayBeEmpty) {
    const { ClientIdentifierNotValid } = ReasonCode;
    channel.rejectConnect(
      ClientIdentifierNotValid,
      ConnectReturnCode.IdentifierRejected,
      "no client identifier",
    );
    return true;
  }
  return false;
}

/** A Client Identifier that no session has [MQTT-3.2.2-16]: 128 random bits, so that no other node makes it either. */
function assignClientId(sessions: Sessions, prng: Prng): string {
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
  if (packet.protocolVersion !== 5) return {};
  return {
    ...(options.receiveMaximum < 0xffff && { receiveMaximum: options.receiveMaximum }),
    maximumPacketSize: options.packetBytesMax,
    topicAliasMaximum: options.topicAliasMaximum,
    ...(packet.clientId === "" && { assignedClientIdentifier: clientId }),
    ...(expirySeconds !== (packet.properties.sessionExpirySeconds ?? 0) && {
      sessionExpirySeconds: expirySeconds,
    }),
    ...(keepAliveSeconds !== packet.keepAliveSeconds && { serverKeepAliveSeconds: keepAliveSeconds }),
  };
}
