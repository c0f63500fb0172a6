/**
 * The one binary form of an Application Message between nodes and in the log.
 *
 * `flags u8 | topic | payload | properties in the order of the flag bits`. Flags: 0-1 QoS, 2 retain, 3 properties follow.
 * Property bits: 0 payload is UTF-8, 1 expiry, 2 content type, 3 response topic, 4 correlation data, 5 user properties,
 * 6 payload need not be UTF-8 (its publisher has said so, which is not the same as having said nothing).
 */

import type { ByteReader, ByteWriter } from "./bytes.ts";
import { SkeinError } from "./errors.ts";
import type { ApplicationMessage, MessageProperties, QoS } from "./message.ts";

/** Appends `message` to `out`. */
export function encodeMessage(message: ApplicationMessage, out: ByteWriter): void {
  const { properties } = message;
  out.u8(message.qos | (message.retain ? 4 : 0) | (properties === undefined ? 0 : 8));
  out.text(message.topic);
  out.bytes(message.payload);
  if (properties !== undefined) encodeProperties(properties, out);
}

/** Reads one message. Its payload is a view of the reader's buffer. @throws {SkeinError} ERR_SKEIN_MALFORMED */
export function decodeMessage(input: ByteReader): ApplicationMessage {
  const flags = input.u8();
  const qos = flags & 3;
  if (qos === 3 || flags > 15)
    throw new SkeinError("ERR_SKEIN_MALFORMED", `Cannot decode message: flags ${flags}`);
  const topic = input.text();
  const payload = input.bytes();
  const properties = (flags & 8) === 0 ? undefined : decodeProperties(input);
  return { topic, payload, qos: qos as QoS, retain: (flags & 4) !== 0, properties };
}

function encodeProperties(properties: MessageProperties, out: ByteWriter): void {
  const { payloadIsUtf8, messageExpirySeconds, contentType, responseTopic, correlationData, userProperties } =
    properties;
  out.u8(
    (payloadIsUtf8 === true ? 1 : 0) |
      (messageExpirySeconds === undefined ? 0 : 2) |
      (contentType === undefined ? 0 : 4) |
      (responseTopic === undefined ? 0 : 8) |
      (correlationData === undefined ? 0 : 16) |
      (userProperties === undefined ? 0 : 32) |
      (payloadIsUtf8 === false ? 64 : 0),
  );
  if (messageExpirySeconds !== undefined) out.varint(messageExpirySeconds);
  if (contentType !== undefined) out.text(contentType);
  if (responseTopic !== undefined) out.text(responseTopic);
  if (correlationData !== undefined) out.bytes(correlationData);
  if (userProperties !== undefined) {
    out.varint(userProperties.length);
    for (const [name, value] of userProperties) out.text(name).text(value);
  }
}

function decodeProperties(input: ByteReader): MessageProperties {
  const present = input.u8();
  const properties: { -readonly [Key in keyof MessageProperties]: MessageProperties[Key] } = {};
  if (present & 65) properties.payloadIsUtf8 = (present & 1) !== 0;
  if (present & 2) properties.messageExpirySeconds = input.varint();
  if (present & 4) properties.contentType = input.text();
  if (present & 8) properties.responseTopic = input.text();
  if (present & 16) properties.correlationData = input.bytes();
  if (present & 32) {
    const pairs: [string, string][] = [];
    for (let left = input.varint(); left > 0; left--) pairs.push([input.text(), input.text()]);
    properties.userProperties = pairs;
  }
  return properties;
}
