/**
 * Reads the properties of MQTT 5 packets that clients send.
 *
 * Each packet type names the properties it allows; any other one makes the packet malformed, and one that comes twice
 * is a Protocol Error (User Property aside, whose order is kept). Source: MQTT 5 section 2.2.2.
 */

import type { MessageProperties } from "@skein/kernel";
import { copyOf, type FieldReader } from "./field-reader.ts";
import { malformed, PacketError, protocolError } from "./packet-error.ts";
import { ReasonCode } from "./reason-codes.ts";

/** Property identifiers, MQTT 5 table 2-4. */
export const Property = {
  PayloadFormatIndicator: 0x01,
  MessageExpiryInterval: 0x02,
  ContentType: 0x03,
  ResponseTopic: 0x08,
  CorrelationData: 0x09,
  SubscriptionIdentifier: 0x0b,
  SessionExpiryInterval: 0x11,
  AssignedClientIdentifier: 0x12,
  ServerKeepAlive: 0x13,
  AuthenticationMethod: 0x15,
  AuthenticationData: 0x16,
  RequestProblemInformation: 0x17,
  WillDelayInterval: 0x18,
  RequestResponseInformation: 0x19,
  ResponseInformation: 0x1a,
  ServerReference: 0x1c,
  ReasonString: 0x1f,
  ReceiveMaximum: 0x21,
  TopicAliasMaximum: 0x22,
  TopicAlias: 0x23,
  UserProperty: 0x26,
  MaximumPacketSize: 0x27,
} as const;

/** Properties that were present, under the names of the specification; units are seconds and bytes. */
export interface Properties {
  payloadIsUtf8?: boolean;
  messageExpirySeconds?: number;
  contentType?: string;
  responseTopic?: string;
  correlationData?: Uint8Array;
  subscriptionIdentifier?: number;
  sessionExpirySeconds?: number;
  authenticationMethod?: string;
  authenticationData?: Uint8Array;
  /** Request Problem Information: reason strings are welcome. */
  wantsReasons?: boolean;
  wantsResponseInformation?: boolean;
  willDelaySeconds?: number;
  receiveMaximum?: number;
  topicAlias?: number;
  topicAliasMaximum?: number;
  userProperties?: (readonly [name: string, value: string])[];
  maximumPacketSize?: number;
}

export const CONNECT_PROPERTIES: ReadonlySet<number> = new Set([
  Property.SessionExpiryInterval,
  Property.AuthenticationMethod,
  Property.AuthenticationData,
  Property.RequestProblemInformation,
  Property.RequestResponseInformation,
  Property.ReceiveMaximum,
  Property.TopicAliasMaximum,
  Property.UserProperty,
  Property.MaximumPacketSize,
]);
export const WILL_PROPERTIES: ReadonlySet<number> = new Set([
  Property.WillDelayInterval,
  Property.PayloadFormatIndicator,
  Property.MessageExpiryInterval,
  Property.ContentType,
  Property.ResponseTopic,
  Property.CorrelationData,
  Property.UserProperty,
]);
export const PUBLISH_PROPERTIES: ReadonlySet<number> = new Set([
  Property.PayloadFormatIndicator,
  Property.MessageExpiryInterval,
  Property.ContentType,
  Property.ResponseTopic,
  Property.CorrelationData,
  Property.SubscriptionIdentifier,
  Property.TopicAlias,
  Property.UserProperty,
]);
export const ACKNOWLEDGEMENT_PROPERTIES: ReadonlySet<number> = new Set([
  Property.ReasonString,
  Property.UserProperty,
]);
export const SUBSCRIBE_PROPERTIES: ReadonlySet<number> = new Set([
  Property.SubscriptionIdentifier,
  Property.UserProperty,
]);
export const UNSUBSCRIBE_PROPERTIES: ReadonlySet<number> = new Set([Property.UserProperty]);
export const DISCONNECT_PROPERTIES: ReadonlySet<number> = new Set([
  Property.SessionExpiryInterval,
  Property.ReasonString,
  Property.UserProperty,
]);

export const AUTH_PROPERTIES: ReadonlySet<number> = new Set([
  Property.AuthenticationMethod,
  Property.AuthenticationData,
  Property.ReasonString,
  Property.UserProperty,
]);

const NONE: Readonly<Properties> = {};

/** Reads a property length and the properties. Views of the input (`correlationData`) are copied. */
export function readProperties(fields: FieldReader, allowed: ReadonlySet<number>): Readonly<Properties> {
  const length = fields.varint();
  if (length === 0) return NONE;
  if (length > fields.remaining) throw malformed("property length beyond the end of the packet");
  const left = fields.remaining - length;
  const properties: Properties = {};
  const seen = new Set<number>();
  while (fields.remaining > left) {
    const id = fields.varint();
    if (!allowed.has(id)) throw malformed(`property ${id} is not allowed here`);
    if (id !== Property.UserProperty) {
      if (seen.has(id)) throw protocolError(`property ${id} came twice`);
      seen.add(id);
    }
    readProperty(fields, id, properties);
  }
  if (fields.remaining !== left) throw malformed("property runs past the property length");
  return properties;
}

function readProperty(fields: FieldReader, id: number, into: Properties): void {
  switch (id) {
    case Property.PayloadFormatIndicator:
      into.payloadIsUtf8 = flag(fields);
      return;
    case Property.MessageExpiryInterval:
      into.messageExpirySeconds = fields.u32();
      return;
    case Property.ContentType:
      into.contentType = fields.text();
      return;
    case Property.ResponseTopic:
      into.responseTopic = responseTopic(fields);
      return;
    case Property.CorrelationData:
      into.correlationData = copyOf(fields.binary());
      return;
    case Property.SubscriptionIdentifier:
      into.subscriptionIdentifier = notZero(fields.varint(), "subscription identifier");
      return;
    case Property.SessionExpiryInterval:
      into.sessionExpirySeconds = fields.u32();
      return;
    case Property.AuthenticationMethod:
      into.authenticationMethod = fields.text();
      return;
    case Property.AuthenticationData:
      into.authenticationData = copyOf(fields.binary());
      return;
    case Property.RequestProblemInformation:
      into.wantsReasons = flag(fields);
      return;
    case Property.RequestResponseInformation:
      into.wantsResponseInformation = flag(fields);
      return;
    case Property.WillDelayInterval:
      into.willDelaySeconds = fields.u32();
      return;
    case Property.ReceiveMaximum:
      into.receiveMaximum = notZero(fields.u16(), "receive maximum");
      return;
    case Property.TopicAlias:
      into.topicAlias = fields.u16();
      if (into.topicAlias === 0) throw new PacketError(ReasonCode.TopicAliasInvalid, "topic alias is 0");
      return;
    case Property.TopicAliasMaximum:
      into.topicAliasMaximum = fields.u16();
      return;
    case Property.UserProperty:
      into.userProperties ??= [];
      into.userProperties.push([fields.text(), fields.text()]);
      return;
    case Property.MaximumPacketSize:
      into.maximumPacketSize = notZero(fields.u32(), "maximum packet size");
      return;
    case Property.ReasonString:
      // For people who read logs; it changes nothing here.
      fields.text();
      return;
    default:
      throw malformed(`unknown property ${id}`);
  }
}

function flag(fields: FieldReader): boolean {
  const value = fields.u8();
  if (value > 1) throw protocolError("a flag property is neither 0 nor 1");
  return value === 1;
}

function notZero(value: number, what: string): number {
  if (value === 0) throw protocolError(`${what} is 0`);
  return value;
}

/** A Response Topic is a Topic Name: no wildcards [MQTT-3.3.2-14]. */
function responseTopic(fields: FieldReader): string {
  const topic = fields.text();
  if (topic === "" || topic.includes("+") || topic.includes("#")) {
    throw protocolError("response topic is not a topic name");
  }
  return topic;
}

/** The part of `properties` that belongs to the message and travels with it; undefined if there is none. */
export function messageProperties(properties: Readonly<Properties>): MessageProperties | undefined {
  if (properties === NONE) return undefined;
  const { payloadIsUtf8, messageExpirySeconds, contentType, responseTopic, correlationData, userProperties } =
    properties;
  const message: { -readonly [Key in keyof MessageProperties]: MessageProperties[Key] } = {};
  if (payloadIsUtf8 !== undefined) message.payloadIsUtf8 = payloadIsUtf8;
  if (messageExpirySeconds !== undefined) message.messageExpirySeconds = messageExpirySeconds;
  if (contentType !== undefined) message.contentType = contentType;
  if (responseTopic !== undefined) message.responseTopic = responseTopic;
  if (correlationData !== undefined) message.correlationData = correlationData;
  if (userProperties !== undefined) message.userProperties = userProperties;
  return Object.keys(message).length === 0 ? undefined : message;
}
