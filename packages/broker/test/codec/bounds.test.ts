/** No decoder reads anything beside its packet: what it makes of the packet does not depend on the bytes around it. */

import fc from "fast-check";
import { generate, type Packet } from "mqtt-packet";
import { expect, test } from "vitest";
import { type ProtocolVersion, readConnect, readProtocolVersion } from "../../src/codec/connect-packet.ts";
import {
  readAnswer,
  readAuth,
  readDisconnect,
  readRelease,
  readSubscribe,
  readUnsubscribe,
} from "../../src/codec/control-packets.ts";
import { FieldReader } from "../../src/codec/field-reader.ts";
import { PacketError } from "../../src/codec/packet-error.ts";
import { PublishPacket } from "../../src/codec/publish-packet.ts";
import { TopicNames } from "../../src/codec/topic-names.ts";

type Decoder = (fields: FieldReader, version: ProtocolVersion, header: number) => unknown;

const DECODERS: Record<string, Decoder> = {
  connect: (fields, version) => [readProtocolVersion(fields), readConnect(fields, version)],
  publish(fields, version, header) {
    const packet = new PublishPacket();
    const at = fields.at;
    packet.read(header, fields, version, new TopicNames());
    const { topic, qos, retain, packetId, packetIdAt, payloadAt, end, isPlain, properties, topicAlias } =
      packet;
    const placeOfId = packetIdAt === -1 ? -1 : packetIdAt - at;
    return [
      topic,
      qos,
      retain,
      packetId,
      placeOfId,
      payloadAt - at,
      end - at,
      isPlain,
      properties,
      topicAlias,
    ];
  },
  answer: readAnswer,
  release: readRelease,
  subscribe: readSubscribe,
  unsubscribe: readUnsubscribe,
  disconnect: readDisconnect,
  auth: readAuth,
};

/** What `read` makes of `packet`, which lies at `at` in `bytes`: its result, or the error. */
function outcome(
  read: Decoder,
  how: [ProtocolVersion, number],
  bytes: Uint8Array,
  at: number,
  length: number,
): unknown {
  const fields = new FieldReader();
  fields.reset(bytes, at, at + length);
  try {
    return { result: read(fields, ...how), left: fields.remaining };
  } catch (error) {
    if (!(error instanceof PacketError)) throw error;
    return { reasonCode: error.reasonCode, message: error.message };
  }
}

/** Bodies that are nearly right get farther than noise. */
const valid: readonly Uint8Array[] = [
  {
    cmd: "connect",
    protocolId: "MQTT",
    protocolVersion: 5,
    clean: true,
    clientId: "abc",
    username: "u",
    password: "p",
  },
  { cmd: "publish", topic: "a/b", payload: "xyz", qos: 1, messageId: 7, retain: false, dup: false },
  {
    cmd: "subscribe",
    messageId: 3,
    subscriptions: [
      { topic: "a/+", qos: 1 },
      { topic: "b", qos: 0 },
    ],
  },
  { cmd: "unsubscribe", messageId: 3, unsubscriptions: ["a/+", "b"] },
  { cmd: "puback", messageId: 9, reasonCode: 0x97, properties: { reasonString: "full" } },
  { cmd: "disconnect", reasonCode: 4, properties: { sessionExpiryInterval: 9, reasonString: "bye" } },
  {
    cmd: "auth",
    reasonCode: 0x18,
    properties: { authenticationMethod: "SCRAM", authenticationData: Buffer.of(1, 2) },
  },
].flatMap((packet) => generate(packet as Packet, { protocolVersion: 5 }).subarray(2));

test("what a decoder makes of a packet does not depend on the bytes around it, and it throws nothing but PacketError", () => {
  const noise = fc.uint8Array({ maxLength: 60 });
  const near = fc
    .tuple(fc.constantFrom(...valid), fc.nat(), fc.nat({ max: 255 }), fc.nat())
    .map(([body, where, value, cut]) => {
      const bytes = new Uint8Array(body);
      bytes[where % bytes.length] = value;
      return bytes.subarray(0, cut % 3 === 0 ? cut % bytes.length : bytes.length);
    });
  const property = fc.property(
    fc.oneof(noise, near),
    fc.constantFrom(...Object.values(DECODERS)),
    fc.tuple(fc.constantFrom<ProtocolVersion>(3, 4, 5), fc.constantFrom(0x30, 0x31, 0x32, 0x34, 0x3d)),
    fc.uint8Array({ maxLength: 20 }),
    fc.uint8Array({ minLength: 1, maxLength: 80 }),
    (packet, read, how, before, after) => {
      const inside = Uint8Array.from([...before, ...packet, ...after]);
      const came = outcome(read, how, inside, before.length, packet.length);
      expect(came).toEqual(outcome(read, how, packet.slice(), 0, packet.length));
      if ("left" in (came as object))
        expect(came).toMatchObject({ left: expect.toSatisfy((left) => left >= 0) });
    },
  );
  fc.assert(property, { numRuns: 5_000 });
});
