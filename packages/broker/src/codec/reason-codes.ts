/** Reason Codes of MQTT 5 (section 2.4) and CONNACK return codes of MQTT 3.1.1 (section 3.2.2.3) that this broker sends or tells apart. */

export const ReasonCode = {
  Success: 0x00,
  DisconnectWithWill: 0x04,
  NoSubscriptionExisted: 0x11,
  ContinueAuthentication: 0x18,
  ReAuthenticate: 0x19,
  UnspecifiedError: 0x80,
  MalformedPacket: 0x81,
  ProtocolError: 0x82,
  UnsupportedProtocolVersion: 0x84,
  ClientIdentifierNotValid: 0x85,
  BadUserNameOrPassword: 0x86,
  NotAuthorized: 0x87,
  ServerShuttingDown: 0x8b,
  BadAuthenticationMethod: 0x8c,
  KeepAliveTimeout: 0x8d,
  SessionTakenOver: 0x8e,
  TopicFilterInvalid: 0x8f,
  TopicNameInvalid: 0x90,
  PacketIdentifierNotFound: 0x92,
  ReceiveMaximumExceeded: 0x93,
  TopicAliasInvalid: 0x94,
  PacketTooLarge: 0x95,
  QuotaExceeded: 0x97,
  PayloadFormatInvalid: 0x99,
  UseAnotherServer: 0x9c,
  ServerMoved: 0x9d,
} as const;

/** CONNACK return codes of MQTT 3.1 and 3.1.1. */
export const ConnectReturnCode = {
  UnacceptableProtocolVersion: 1,
  IdentifierRejected: 2,
  NotAuthorized: 5,
} as const;

/** What a client may say with PUBACK and PUBREC beside 0x00 (tables 3-4 and 3-5). */
export const ANSWERS_TO_PUBLISH: ReadonlySet<number> = new Set([
  0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99,
]);

/** What it may say with PUBREL and PUBCOMP beside 0x00 (tables 3-6 and 3-7). */
export const ANSWERS_TO_RELEASE: ReadonlySet<number> = new Set([0x92]);

/** What it may say with DISCONNECT beside 0x00 (table 3-10, "Sent by"). */
export const GOODBYES_OF_CLIENTS: ReadonlySet<number> = new Set([
  0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
]);

/** Whether a PUBACK, PUBREC or Completion says that the message was refused. */
export function isFailure(reasonCode: number): boolean {
  return reasonCode >= 0x80;
}
