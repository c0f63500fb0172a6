/**
 * A message as it came: what its PUBLISH says, and the bytes that stand for it.
 *
 * It is its own frame: who gets it in the form it came in gets those bytes as they stand, and nobody needs the payload apart from
 * the rest. So it is cut out only for who asks for it, because a view costs more than all the rest of a message.
 *
 * Source: MQTT 5 section 3.3; hot path rules in docs/architecture.md.
 */

import type { ApplicationMessage, MessageProperties, PublishBytes, QoS } from "@skein/kernel";
import type { ProtocolVersion } from "./connect-packet.ts";
import type { PublishFrame } from "./packet-writer.ts";
import type { PublishPacket } from "./publish-packet.ts";

export class ReceivedPublish implements ApplicationMessage, PublishFrame {
  readonly topic: string;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly properties: MessageProperties | undefined;
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly end: number;
  readonly packetIdAt: number;
  readonly version: ProtocolVersion;
  readonly #payloadAt: number;
  readonly #isPlain: boolean;
  #payload: Uint8Array | undefined;

  /** `topic`: that of `packet`, or the one its Topic Alias stands for. `bytes`: what it was read from; nobody changes them any more. */
  constructor(packet: PublishPacket, topic: string, bytes: Uint8Array, version: ProtocolVersion) {
    this.topic = topic;
    this.qos = packet.qos;
    this.retain = packet.retain;
    this.properties = packet.properties;
    this.bytes = bytes;
    this.at = packet.at;
    this.end = packet.end;
    this.packetIdAt = packet.packetIdAt;
    this.version = version;
    this.#payloadAt = packet.payloadAt;
    this.#isPlain = packet.isPlain;
  }

  get payload(): Uint8Array {
    this.#payload ??= this.bytes.subarray(this.#payloadAt, this.end);
    return this.#payload;
  }

  get payloadBytes(): number {
    return this.end - this.#payloadAt;
  }

  get packet(): PublishBytes | undefined {
    return this.qos === 0 && this.#isPlain ? this : undefined;
  }

  /** Whether a receiver of this protocol version, QoS and RETAIN gets the bytes as they stand, but for the packet identifier. */
  isFormOf(version: ProtocolVersion, qos: QoS, retain: boolean): boolean {
    return this.#isPlain && !retain && qos === this.qos && (version === 5) === (this.version === 5);
  }
}

/** `message` as a record, for who keeps it or copies it field by field. */
export function recordOf(message: ApplicationMessage): ApplicationMessage {
  if (!(message instanceof ReceivedPublish)) return message;
  const { topic, payload, qos, retain, properties } = message;
  return { topic, payload, qos, retain, properties };
}
