/**
 * Packets that a connected 5.0 client must not send, each with the Reason Code that the specification wants for it.
 *
 * The same mistakes with other topics, payloads and lengths each time. Source: MQTT 5 sections 1.2, 2.2, 3.3 to 3.15, 4.13.
 */

import type { Draws } from "./draws.ts";
import { joined } from "./mutations.ts";

export interface WrongPacket {
  readonly what: string;
  readonly bytes: Uint8Array;
  readonly reasonCode: number;
}

const MALFORMED = 0x81;
const PROTOCOL_ERROR = 0x82;
const TOPIC_NAME_INVALID = 0x90;
const TOPIC_ALIAS_INVALID = 0x94;
const PACKET_TOO_LARGE = 0x95;

type Draw = (draws: Draws) => Uint8Array | readonly number[];

const WRONG: readonly (readonly [what: string, reasonCode: number, draw: Draw])[] = [
  ["QoS 3", MALFORMED, (draws) => publish(draws, { header: 0x36 })],
  ["DUP with QoS 0", MALFORMED, (draws) => publish(draws, { header: 0x38 })],
  ["packet identifier 0", PROTOCOL_ERROR, (draws) => publish(draws, { header: 0x32, packetId: 0 })],
  ["a topic that is not UTF-8", MALFORMED, (draws) => publish(draws, { topic: [97, 0xc3, 0x28] })],
  ["a topic in more bytes than needed", MALFORMED, (draws) => publish(draws, { topic: [0xc0, 0xaf] })],
  ["a topic with a surrogate", MALFORMED, (draws) => publish(draws, { topic: [0xed, 0xa0, 0x80] })],
  ["a topic with U+0000", MALFORMED, (draws) => publish(draws, { topic: [97, 0, 98] })],
  [
    "a topic with a wildcard",
    TOPIC_NAME_INVALID,
    (draws) => publish(draws, { topic: [97, draws.of([0x23, 0x2b])] }),
  ],
  ["an empty topic without an alias", PROTOCOL_ERROR, (draws) => publish(draws, { topic: [] })],
  ["topic alias 0", TOPIC_ALIAS_INVALID, (draws) => publish(draws, { properties: [0x23, 0, 0] })],
  [
    "a topic alias above the maximum",
    TOPIC_ALIAS_INVALID,
    (draws) => publish(draws, { properties: [0x23, 0xff, 0xff] }),
  ],
  ["a property of another packet", MALFORMED, (draws) => publish(draws, { properties: [0x21, 0, 9] })],
  ["an unknown property", MALFORMED, (draws) => publish(draws, { properties: [0x7e, 0] })],
  ["a property that comes twice", PROTOCOL_ERROR, (draws) => publish(draws, { properties: [1, 0, 1, 0] })],
  ["a flag that is 2", PROTOCOL_ERROR, (draws) => publish(draws, { properties: [1, 2] })],
  ["properties beyond the packet", MALFORMED, () => packet(0x30, [0, 1, 97, 40])],
  [
    "a subscription identifier in PUBLISH",
    PROTOCOL_ERROR,
    (draws) => publish(draws, { properties: [0x0b, 7] }),
  ],
  [
    "a response topic with a wildcard",
    PROTOCOL_ERROR,
    (draws) => publish(draws, { properties: [8, 0, 1, 0x23] }),
  ],
  ["a topic longer than the packet", MALFORMED, () => packet(0x30, [0, 9, 97])],
  ["a length in more bytes than needed", MALFORMED, (draws) => [draws.of([0x30, 0xc0]), 0x80, 0]],
  ["a length in five bytes", MALFORMED, () => [0x30, 0x80, 0x80, 0x80, 0x80, 1]],
  ["the largest length", PACKET_TOO_LARGE, () => [0x30, 0xff, 0xff, 0xff, 0x7f]],
  ["SUBSCRIBE without a filter", PROTOCOL_ERROR, (draws) => packet(0x82, [0, 1 + draws.below(9), 0])],
  ["SUBSCRIBE with identifier 0", PROTOCOL_ERROR, () => packet(0x82, [0, 0, 0, 0, 1, 97, 0])],
  [
    "SUBSCRIBE with wrong flags",
    MALFORMED,
    (draws) => packet(draws.of([0x80, 0x81, 0x83, 0x8a]), [0, 1, 0, 0, 1, 97, 0]),
  ],
  [
    "reserved subscription options",
    MALFORMED,
    (draws) => packet(0x82, [0, 1, 0, 0, 1, 97, draws.of([0x40, 0x80, 3])]),
  ],
  ["retain handling 3", PROTOCOL_ERROR, () => packet(0x82, [0, 1, 0, 0, 1, 97, 0x30])],
  [
    "No Local on a shared subscription",
    PROTOCOL_ERROR,
    () => packet(0x82, [0, 1, 0, 0, 10, ...Buffer.from("$share/g/a"), 4]),
  ],
  ["subscription identifier 0", PROTOCOL_ERROR, () => packet(0x82, [0, 1, 2, 0x0b, 0, 0, 1, 97, 0])],
  ["UNSUBSCRIBE without a filter", PROTOCOL_ERROR, () => packet(0xa2, [0, 1, 0])],
  ["UNSUBSCRIBE with a stray byte", MALFORMED, () => packet(0xa2, [0, 1, 0, 0, 1, 97, 0])],
  ["PUBREL with wrong flags", MALFORMED, () => packet(0x60, [0, 1])],
  [
    "an acknowledgement that is too long",
    MALFORMED,
    (draws) => packet(draws.of([0x40, 0x50, 0x62, 0x70]), [0, 1, 0, 0, 0]),
  ],
  [
    "an acknowledgement that is too short",
    MALFORMED,
    (draws) => packet(draws.of([0x40, 0x50, 0x62, 0x70]), [1]),
  ],
  ["an acknowledgement of 0", PROTOCOL_ERROR, (draws) => packet(draws.of([0x40, 0x50, 0x62, 0x70]), [0, 0])],
  [
    "an acknowledgement with a reason code that no packet has",
    PROTOCOL_ERROR,
    (draws) => packet(draws.of([0x40, 0x50, 0x62, 0x70]), [0, 1, draws.of([1, 0x05, 0x7f, 0xff])]),
  ],
  [
    "DISCONNECT with a reason code of servers",
    PROTOCOL_ERROR,
    (draws) => packet(0xe0, [draws.of([0x87, 0x8b, 0x8e])]),
  ],
  ["PINGREQ with a body", MALFORMED, () => packet(0xc0, [0])],
  ["PINGREQ with flags", MALFORMED, () => packet(0xc4, [])],
  ["DISCONNECT with flags", MALFORMED, () => packet(0xe1, [])],
  ["a packet of type 0", PROTOCOL_ERROR, () => packet(0x00, [])],
  ["a packet only servers send", PROTOCOL_ERROR, (draws) => packet(draws.of([0x20, 0x90, 0xb0, 0xd0]), [])],
  ["AUTH without a method in CONNECT", PROTOCOL_ERROR, () => packet(0xf0, [])],
  [
    "a second CONNECT",
    PROTOCOL_ERROR,
    () => packet(0x10, [0, 4, ...Buffer.from("MQTT"), 5, 2, 0, 0, 0, 0, 1, 97]),
  ],
];

export function wrongPacket(draws: Draws): WrongPacket {
  const [what, reasonCode, draw] = draws.of(WRONG);
  return { what, reasonCode, bytes: Uint8Array.from(draw(draws)) };
}

function publish(
  draws: Draws,
  parts: {
    readonly header?: number;
    readonly topic?: readonly number[];
    readonly packetId?: number;
    readonly properties?: readonly number[];
  },
): Uint8Array {
  const {
    header = draws.of([0x30, 0x31]),
    topic = [...Buffer.from(draws.of(["a", "a/b"]))],
    properties = [],
  } = parts;
  const { packetId = 1 + draws.below(9) } = parts;
  const identifier = (header & 6) === 0 ? [] : [0, packetId];
  const front = [0, topic.length, ...topic, ...identifier, properties.length, ...properties];
  return packet(header, [...front, ...draws.bytes(draws.below(20))]);
}

/** All of them are shorter than 128 bytes. */
function packet(header: number, body: readonly number[]): Uint8Array {
  return joined(Uint8Array.of(header, body.length), Uint8Array.from(body));
}
