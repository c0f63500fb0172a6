/**
 * Reads the packets that a broker sends, as one closed union.
 *
 * Framing and fields are the broker's own codec. A packet that a client cannot read is a bug of the broker under test,
 * so it throws and ends the simulation.
 *
 * Source: MQTT 5 and MQTT 3.1.1, sections 3.2, 3.3 to 3.7, 3.9, 3.11, 3.13, 3.14.
 */

import {
  FieldReader,
  type PacketHandler,
  PacketReader,
  PacketType,
  Property,
  type ProtocolVersion,
  PublishPacket,
  TopicNames,
} from "@skein/broker/codec";
import { assert, type QoS } from "@skein/kernel";

export type ServerPacket =
  | {
      readonly kind: "connack";
      readonly isSessionPresent: boolean;
      readonly code: number;
      /** Server Keep Alive, if the broker sets one (5.0). */
      readonly keepAliveSeconds: number | undefined;
    }
  | {
      readonly kind: "publish";
      readonly topic: string;
      readonly payload: Uint8Array;
      readonly qos: QoS;
      readonly dup: boolean;
      readonly retain: boolean;
      /** 0 with QoS 0. */
      readonly packetId: number;
    }
  | Acknowledgement
  | { readonly kind: "suback"; readonly packetId: number; readonly codes: readonly number[] }
  | { readonly kind: "unsuback"; readonly packetId: number }
  | { readonly kind: "pingresp" }
  | { readonly kind: "disconnect"; readonly reasonCode: number };

export interface Acknowledgement {
  readonly kind: "puback" | "pubrec" | "pubrel" | "pubcomp";
  readonly packetId: number;
  readonly reasonCode: number;
  /** Reason String, if there is one (5.0). */
  readonly reason: string | undefined;
}

const TEXT = -1;
const CONNACK_VALUE_BYTES = new Map<number, number>([
  [Property.SessionExpiryInterval, 4],
  [Property.ReceiveMaximum, 2],
  [Property.MaximumPacketSize, 4],
  [Property.AssignedClientIdentifier, TEXT],
  [Property.TopicAliasMaximum, 2],
]);

const PACKET_BYTES_MAX = 16 * 1024 * 1024;

const ACKNOWLEDGEMENTS = new Map<number, Acknowledgement["kind"]>([
  [PacketType.Puback, "puback"],
  [PacketType.Pubrec, "pubrec"],
  [PacketType.Pubrel, "pubrel"],
  [PacketType.Pubcomp, "pubcomp"],
]);

/** Shared by all connections: clients come and go by the hundred, and the topics are the same. */
const topics = new TopicNames();

/** Cuts what the broker sends into packets. */
export class ServerPacketReader implements PacketHandler {
  readonly #version: ProtocolVersion;
  readonly #handle: (packet: ServerPacket) => void;
  readonly #reader: PacketReader;
  readonly #fields = new FieldReader();
  readonly #publish = new PublishPacket();

  constructor(version: ProtocolVersion, handle: (packet: ServerPacket) => void) {
    this.#version = version;
    this.#handle = handle;
    this.#reader = new PacketReader(this, PACKET_BYTES_MAX);
  }

  feed(bytes: Uint8Array): void {
    this.#reader.feed(bytes);
  }

  /** Reports nothing any more. */
  stop(): void {
    this.#reader.stop();
  }

  packet(header: number, bytes: Uint8Array, at: number, end: number): void {
    this.#fields.reset(bytes, at, end);
    this.#handle(this.#read(header));
  }

  unreadable(reasonCode: number): void {
    assert(false, `the broker sent what cannot be read (reason ${reasonCode})`);
  }

  #read(header: number): ServerPacket {
    const fields = this.#fields;
    const type = header >> 4;
    const acknowledgement = ACKNOWLEDGEMENTS.get(type);
    if (acknowledgement !== undefined) return this.#acknowledgement(acknowledgement);
    switch (type) {
      case PacketType.Connack:
        return this.#connack();
      case PacketType.Publish: {
        this.#publish.read(header, fields, this.#version, topics);
        const { topic, qos, retain, packetId } = this.#publish;
        const payload = fields.rest();
        return { kind: "publish", topic, payload, qos, retain, packetId, dup: (header & 8) !== 0 };
      }
      case PacketType.Suback: {
        const packetId = fields.u16();
        this.#skipProperties();
        return { kind: "suback", packetId, codes: [...fields.rest()] };
      }
      case PacketType.Unsuback:
        return { kind: "unsuback", packetId: fields.u16() };
      case PacketType.Pingresp:
        return { kind: "pingresp" };
      case PacketType.Disconnect:
        return { kind: "disconnect", reasonCode: fields.remaining > 0 ? fields.u8() : 0 };
      default:
        assert(false, `the broker sent a packet of type ${type}`);
    }
  }

  /** MQTT 5 sections 3.4 to 3.7: Reason Code and properties may be left out. */
  #acknowledgement(kind: Acknowledgement["kind"]): ServerPacket {
    const fields = this.#fields;
    const packetId = fields.u16();
    assert(this.#version === 5 || fields.remaining === 0, "an acknowledgement of 3.x has nothing but its id");
    const reasonCode = fields.remaining > 0 ? fields.u8() : 0;
    let reason: string | undefined;
    if (fields.remaining > 0) {
      const length = fields.varint();
      assert(length === fields.remaining, "the properties are the rest of an acknowledgement");
      while (fields.remaining > 0) {
        const id = fields.u8();
        assert(id === Property.ReasonString, `the broker sent property ${id} in an acknowledgement`);
        reason = fields.text();
      }
    }
    return { kind, packetId, reasonCode, reason };
  }

  #connack(): ServerPacket {
    const fields = this.#fields;
    const isSessionPresent = fields.u8() === 1;
    const code = fields.u8();
    let keepAliveSeconds: number | undefined;
    if (this.#version === 5) {
      const length = fields.varint();
      assert(length === fields.remaining, "the properties are the rest of a CONNACK");
      while (fields.remaining > 0) {
        const id = fields.u8();
        if (id === Property.ServerKeepAlive) keepAliveSeconds = fields.u16();
        else this.#skipValue(id);
      }
    }
    return { kind: "connack", isSessionPresent, code, keepAliveSeconds };
  }

  /** Steps over the value of a CONNACK property, MQTT 5 section 3.2.2.3. */
  #skipValue(id: number): void {
    const bytes = CONNACK_VALUE_BYTES.get(id);
    assert(bytes !== undefined, `the broker sent CONNACK property ${id}`);
    this.#fields.skip(bytes === TEXT ? this.#fields.u16() : bytes);
  }

  #skipProperties(): void {
    if (this.#version === 5) this.#fields.skip(this.#fields.varint());
  }
}
