/**
 * Reads the PUBLISH packets that other nodes pass on as their clients have sent them.
 *
 * They are read like those of clients here, and leave as they stand where the receiver speaks the same version: what came in one burst lies
 * side by side and leaves in one piece. The other node has checked them; still nothing but what it may pass on is taken.
 *
 * Source: MQTT 5 section 3.3; hot path rules in docs/architecture.md.
 */

import { type ApplicationMessage, type PublishBytes, SkeinError } from "@skein/kernel";
import { PacketType } from "../codec/control-packets.ts";
import { FieldReader } from "../codec/field-reader.ts";
import { malformed, PacketError } from "../codec/packet-error.ts";
import { PublishPacket } from "../codec/publish-packet.ts";
import { ReceivedPublish } from "../codec/received-publish.ts";
import { TopicNames } from "../codec/topic-names.ts";

/** Fixed header of a PUBLISH without DUP, with QoS 0, without RETAIN. */
const PLAIN_HEADER = PacketType.Publish << 4;

export class PacketsFromPeers {
  readonly #deliver: (message: ApplicationMessage) => void;
  /** Without this node's limits of topics: those of the other node have let them in. */
  readonly #topics = new TopicNames();
  readonly #fields = new FieldReader();
  readonly #packet = new PublishPacket();

  constructor(deliver: (message: ApplicationMessage) => void) {
    this.#deliver = deliver;
  }

  /** Delivers each message. Returns how many they were. @throws {SkeinError} ERR_SKEIN_MALFORMED */
  deliver(packets: PublishBytes): number {
    try {
      let count = 0;
      for (let { at } = packets; at < packets.end; count++) {
        this.#deliver(this.#read(packets, at));
        at = this.#packet.end;
      }
      return count;
    } catch (error) {
      if (!(error instanceof PacketError)) throw error;
      throw new SkeinError("ERR_SKEIN_MALFORMED", `Cannot read a PUBLISH of another node: ${error.message}`);
    }
  }

  /** @throws {PacketError} */
  #read({ version, bytes, end }: PublishBytes, at: number): ReceivedPublish {
    const fields = this.#fields;
    const packet = this.#packet;
    fields.reset(bytes, at, end);
    const header = fields.u8();
    if (header !== PLAIN_HEADER) throw malformed("it is none, or has flags");
    const remaining = fields.varint();
    const bodyAt = fields.skip(remaining);
    fields.reset(bytes, bodyAt, bodyAt + remaining);
    packet.read(header, fields, version, this.#topics);
    if (!packet.isPlain) throw malformed("it has a topic alias");
    return new ReceivedPublish(packet, packet.topic, bytes, version);
  }
}
