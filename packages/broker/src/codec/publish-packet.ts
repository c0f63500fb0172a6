/**
 * Reads PUBLISH, the hot path: into one reused object, the topic through a table, of the payload only where it lies.
 *
 * Source: MQTT 5 section 3.3.
 */

import type { MessageProperties, QoS } from "@skein/kernel";
import type { ProtocolVersion } from "./connect-packet.ts";
import type { FieldReader } from "./field-reader.ts";
import { malformed, protocolError } from "./packet-error.ts";
import { messageProperties, PUBLISH_PROPERTIES, readProperties } from "./properties.ts";
import { varintBytes } from "./publish-encoder.ts";
import type { TopicNames } from "./topic-names.ts";

/** The PUBLISH read last. Valid until the next `read`. Places are those in the bytes that it was read from. */
export class PublishPacket {
  /** Empty: the Topic Alias says it (5.0 only). */
  topic = "";
  qos: QoS = 0;
  retain = false;
  /** The client has sent it before, or means to. */
  dup = false;
  /** 0 with QoS 0. */
  packetId = 0;
  /** -1 with QoS 0. */
  packetIdAt = -1;
  /** Where the packet begins, its fixed header included. */
  at = 0;
  payloadAt = 0;
  end = 0;
  /** It could go out again byte for byte: no DUP, no RETAIN, no Topic Alias. */
  isPlain = false;
  properties: MessageProperties | undefined = undefined;
  topicAlias: number | undefined = undefined;

  /** @throws {PacketError} */
  read(header: number, fields: FieldReader, version: ProtocolVersion, topics: TopicNames): void {
    const qos = (header >> 1) & 3;
    if (qos === 3) throw malformed("QoS is 3"); // [MQTT-3.3.1-4]
    if (qos === 0 && (header & 0x08) !== 0) throw malformed("DUP is set with QoS 0"); // [MQTT-3.3.1-2]
    this.qos = qos as QoS;
    this.retain = (header & 1) !== 0;
    this.dup = (header & 0x08) !== 0;
    const remaining = fields.remaining;
    this.at = fields.at - varintBytes(remaining) - 1;
    this.end = fields.at + remaining;
    const topicBytes = fields.u16();
    const topicAt = fields.skip(topicBytes);
    this.topic = topicBytes === 0 ? "" : topics.read(fields.bytes, topicAt, topicAt + topicBytes);
    this.packetIdAt = qos === 0 ? -1 : fields.at;
    this.packetId = qos === 0 ? 0 : fields.u16();
    if (qos > 0 && this.packetId === 0) throw protocolError("packet identifier is 0"); // [MQTT-2.2.1-3]
    this.properties = undefined;
    this.topicAlias = undefined;
    if (version === 5) this.#readProperties(fields);
    if (this.topic === "" && this.topicAlias === undefined) throw protocolError("topic name is empty");
    this.payloadAt = fields.at;
    this.isPlain = (header & 0x09) === 0 && this.topicAlias === undefined;
  }

  #readProperties(fields: FieldReader): void {
    const properties = readProperties(fields, PUBLISH_PROPERTIES);
    if (properties.subscriptionIdentifier !== undefined) {
      throw protocolError("PUBLISH of a client has a subscription identifier"); // [MQTT-3.3.4-6]
    }
    this.properties = messageProperties(properties);
    this.topicAlias = properties.topicAlias;
  }
}
