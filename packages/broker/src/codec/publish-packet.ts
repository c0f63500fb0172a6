/**
 * Reads PUBLISH, the hot path: into one reused object, the topic through a table, the payload as a view.
 *
 * Source: MQTT 5 section 3.3.
 */

import type { MessageProperties, QoS } from "@skein/kernel";
import type { ProtocolVersion } from "./connect-packet.ts";
import type { FieldReader } from "./field-reader.ts";
import { malformed, protocolError } from "./packet-error.ts";
import { messageProperties, PUBLISH_PROPERTIES, readProperties } from "./properties.ts";
import type { TopicNames } from "./topic-names.ts";

/** The PUBLISH read last. Valid until the next `read`; the payload only while the packet is handled. */
export class PublishPacket {
  /** Empty: the Topic Alias says it (5.0 only). */
  topic = "";
  qos: QoS = 0;
  retain = false;
  /** 0 with QoS 0. */
  packetId = 0;
  payload: Uint8Array = new Uint8Array(0);
  properties: MessageProperties | undefined = undefined;
  topicAlias: number | undefined = undefined;

  /** @throws {PacketError} */
  read(header: number, fields: FieldReader, version: ProtocolVersion, topics: TopicNames): void {
    const qos = (header >> 1) & 3;
    if (qos === 3) throw malformed("QoS is 3"); // [MQTT-3.3.1-4]
    if (qos === 0 && (header & 0x08) !== 0) throw malformed("DUP is set with QoS 0"); // [MQTT-3.3.1-2]
    this.qos = qos as QoS;
    this.retain = (header & 1) !== 0;
    const topicBytes = fields.u16();
    const topicAt = fields.skip(topicBytes);
    this.topic = topicBytes === 0 ? "" : topics.read(fields.bytes, topicAt, topicAt + topicBytes);
    this.packetId = qos === 0 ? 0 : fields.u16();
    if (qos > 0 && this.packetId === 0) throw protocolError("packet identifier is 0"); // [MQTT-2.2.1-3]
    this.properties = undefined;
    this.topicAlias = undefined;
    if (version === 5) this.#readProperties(fields);
    if (this.topic === "" && this.topicAlias === undefined) throw protocolError("topic name is empty");
    this.payload = fields.rest();
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
