/**
 * Writes PUBLISH, and shares what it wrote among all receivers of a message.
 *
 * A frame depends on the message, the protocol family, QoS and RETAIN: at most twelve forms. Each is encoded once and
 * then belongs to everyone; the packet identifier of QoS 1 and 2 is patched while the outbound queue copies the frame. The form
 * that a message came in is not encoded at all: it goes out byte for byte.
 * What only one receiver has (Subscription Identifiers, DUP, a shortened expiry) is encoded for it alone.
 *
 * Source: MQTT 5 section 3.3; hot path rules in docs/architecture.md.
 */

import {
  type ApplicationMessage,
  assert,
  ByteWriter,
  encodeUtf8Into,
  type MessageProperties,
  type QoS,
  utf8Length,
} from "@skein/kernel";
import type { OutboundAlias } from "../outbound/outbound-aliases.ts";
import type { ProtocolVersion } from "./connect-packet.ts";
import { PacketType } from "./control-packets.ts";
import { copyOf } from "./field-reader.ts";
import { type PublishFrame, writeText } from "./packet-writer.ts";
import { Property } from "./properties.ts";
import { ReceivedPublish, recordOf } from "./received-publish.ts";

/** How one receiver gets a message. */
export interface PublishForm {
  readonly qos: QoS;
  readonly retain: boolean;
  readonly dup: boolean;
  /** Subscription Identifiers of the matching subscriptions (5.0). */
  readonly identifiers: readonly number[] | undefined;
  /** Message Expiry Interval to send instead of the message's own (if it has one), in seconds. */
  readonly expirySeconds: number | undefined;
  /** Topic Alias to set (with the topic) or to use (instead of it) on this receiver's connection (5.0). */
  readonly alias?: OutboundAlias | undefined;
}

/** A frame up to this size lies in a buffer with its neighbours: those of one receiver then leave without being put together. */
const SLAB_FRAME_BYTES_MAX = 4096;
const SLAB_BYTES = 16_384;

/** Room for frames, one after the other. What is full is left to those who hold frames in it. */
export class FrameSlab {
  #bytes = new Uint8Array(0);
  #at = 0;

  /** Bytes with room for `size` from `at` on. */
  take(size: number): { readonly bytes: Uint8Array; readonly at: number } {
    if (size > SLAB_FRAME_BYTES_MAX) return { bytes: new Uint8Array(size), at: 0 };
    if (this.#at + size > this.#bytes.length) {
      this.#bytes = new Uint8Array(SLAB_BYTES);
      this.#at = 0;
    }
    const at = this.#at;
    this.#at += size;
    return { bytes: this.#bytes, at };
  }
}

/** Encodes one PUBLISH, in `slab` if there is one. Its packet identifier is 0 until someone patches it. */
export function encodePublish(
  message: ApplicationMessage,
  version: ProtocolVersion,
  form: PublishForm,
  slab?: FrameSlab,
): PublishFrame {
  const { payload } = message;
  const properties = version === 5 ? propertyBytes(message.properties, form) : undefined;
  const topic = form.alias?.isSet === true ? "" : message.topic;
  const topicBytes = utf8Length(topic);
  const idBytes = form.qos === 0 ? 0 : 2;
  const propertyPart = properties === undefined ? 0 : varintBytes(properties.length) + properties.length;
  const remaining = 2 + topicBytes + idBytes + propertyPart + payload.length;
  assert(topicBytes <= 0xffff, "a topic name has at most 65535 bytes");

  const size = 1 + varintBytes(remaining) + remaining;
  const { bytes, at: start } = slab?.take(size) ?? { bytes: new Uint8Array(size), at: 0 };
  bytes[start] = (PacketType.Publish << 4) | (form.dup ? 8 : 0) | (form.qos << 1) | (form.retain ? 1 : 0);
  let at = writeVarint(bytes, start + 1, remaining);
  bytes[at] = topicBytes >> 8;
  bytes[at + 1] = topicBytes & 0xff;
  encodeUtf8Into(topic, bytes, at + 2);
  at += 2 + topicBytes;
  const packetIdAt = form.qos === 0 ? -1 : at;
  at += idBytes;
  if (properties !== undefined) {
    at = writeVarint(bytes, at, properties.length);
    bytes.set(properties, at);
    at += properties.length;
  }
  bytes.set(payload, at);
  return { bytes, at: start, end: start + size, packetIdAt, payloadBytes: payload.length };
}

/** The shared frames of the message that is being delivered. One per broker; starts anew with every other message. */
export class PublishFrames {
  #message: ApplicationMessage | undefined;
  #owned: ApplicationMessage | undefined;
  readonly #slab = new FrameSlab();
  readonly #frames: (PublishFrame | undefined)[] = new Array(12).fill(undefined);
  /** Which of them are of this message, a bit for each: a mask is reset in no time, an array is not. */
  #made = 0;

  /** The frame of `message` without anything particular to one receiver. */
  shared(message: ApplicationMessage, version: ProtocolVersion, qos: QoS, retain: boolean): PublishFrame {
    if (message instanceof ReceivedPublish && message.isFormOf(version, qos, retain)) return message;
    if (message !== this.#message) this.#begin(message);
    const index = indexOf(version, qos, retain);
    if ((this.#made & (1 << index)) === 0) {
      const form = SHARED_FORMS[qos * 2 + (retain ? 1 : 0)] as PublishForm;
      this.#frames[index] = this.encode(message, version, form);
      this.#made |= 1 << index;
    }
    return this.#frames[index] as PublishFrame;
  }

  /** A frame of `message` for one receiver. */
  encode(message: ApplicationMessage, version: ProtocolVersion, form: PublishForm): PublishFrame {
    return encodePublish(message, version, form, this.#slab);
  }

  /** `message` for whoever keeps it for long: its payload holds no larger buffer alive. One copy for all who ask. */
  owned(message: ApplicationMessage): ApplicationMessage {
    if (message !== this.#message) this.#begin(message);
    this.#owned ??= ownedCopy(message);
    return this.#owned;
  }

  /** Lets the last messages go. */
  clear(): void {
    this.#begin(undefined);
    // Not `fill`, which is a call out of compiled code: once a turn, and a lone message has a turn for itself.
    for (let index = 0; index < this.#frames.length; index++) this.#frames[index] = undefined;
  }

  #begin(message: ApplicationMessage | undefined): void {
    this.#message = message;
    this.#owned = undefined;
    this.#made = 0;
  }
}

function indexOf(version: ProtocolVersion, qos: QoS, retain: boolean): number {
  return (version === 5 ? 6 : 0) + qos * 2 + (retain ? 1 : 0);
}

/** `message`, or a copy of it if its payload lies in a buffer with other things. */
export function ownedCopy(message: ApplicationMessage): ApplicationMessage {
  const { payload } = message;
  return payload.length === payload.buffer.byteLength
    ? message
    : { ...recordOf(message), payload: copyOf(payload) };
}

/** Nothing in them is particular to one receiver. By QoS, each without and with RETAIN. */
const SHARED_FORMS: readonly PublishForm[] = ([0, 1, 2] as const).flatMap((qos) =>
  [false, true].map((retain) => {
    return { qos, retain, dup: false, identifiers: undefined, expirySeconds: undefined };
  }),
);
const NO_PROPERTIES = new Uint8Array(0);

function propertyBytes(properties: MessageProperties | undefined, form: PublishForm): Uint8Array {
  const { alias, identifiers } = form;
  if (properties === undefined && identifiers === undefined && alias === undefined) return NO_PROPERTIES;
  const out = new ByteWriter(64);
  if (alias !== undefined) out.u8(Property.TopicAlias).u16(alias.alias);
  if (properties !== undefined) writeMessageProperties(out, properties, form.expirySeconds);
  if (identifiers !== undefined) {
    for (const identifier of identifiers) out.u8(Property.SubscriptionIdentifier).varint(identifier);
  }
  return out.finish();
}

function writeMessageProperties(
  out: ByteWriter,
  properties: MessageProperties,
  expirySeconds: number | undefined,
): void {
  const { payloadIsUtf8, contentType, responseTopic, correlationData, userProperties } = properties;
  const expiry =
    properties.messageExpirySeconds === undefined
      ? undefined
      : (expirySeconds ?? properties.messageExpirySeconds);
  if (payloadIsUtf8 !== undefined) out.u8(Property.PayloadFormatIndicator).u8(payloadIsUtf8 ? 1 : 0);
  if (expiry !== undefined) out.u8(Property.MessageExpiryInterval).u32(expiry);
  if (contentType !== undefined) writeText(out.u8(Property.ContentType), contentType);
  if (responseTopic !== undefined) writeText(out.u8(Property.ResponseTopic), responseTopic);
  if (correlationData !== undefined) {
    out.u8(Property.CorrelationData).u16(correlationData.length).raw(correlationData);
  }
  if (userProperties !== undefined) {
    for (const [name, value] of userProperties) {
      out.u8(Property.UserProperty);
      writeText(out, name);
      writeText(out, value);
    }
  }
}

export function varintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : 4;
}

function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  let to = at;
  let rest = value;
  while (rest >= 0x80) {
    bytes[to++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[to++] = rest;
  return to;
}
