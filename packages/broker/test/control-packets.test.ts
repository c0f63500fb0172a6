/** The control packet decoders against mqtt-packet's writer, and the writers against its parser. */

import fc from "fast-check";
import { generate, type Packet, parser } from "mqtt-packet";
import { expect, test } from "vitest";
import { readConnect, readProtocolVersion } from "../src/codec/connect-packet.ts";
import {
  readAnswer,
  readDisconnect,
  readRelease,
  readSubscribe,
  readUnsubscribe,
} from "../src/codec/control-packets.ts";
import { FieldReader } from "../src/codec/field-reader.ts";
import { PacketError } from "../src/codec/packet-error.ts";
import { PacketReader } from "../src/codec/packet-reader.ts";
import {
  acknowledgementFrame,
  connackFrame,
  disconnectFrame,
  type Frame,
  subackFrame,
  unsubackFrame,
} from "../src/codec/packet-writer.ts";

const version = fc.constantFrom(4 as const, 5 as const);
const text = fc.string({ unit: "grapheme", maxLength: 20 }).filter((value) => !value.includes("\u0000"));
const packetId = fc.integer({ min: 1, max: 0xffff });

/** A reader of the body of `packet` as mqtt-packet writes it. */
function body(packet: object, protocolVersion: number): FieldReader {
  const fields = new FieldReader();
  const reader = new PacketReader(
    {
      packet: (_header, bytes, at, end) => fields.reset(bytes.slice(), at, end),
      unreadable: () => expect.unreachable(),
    },
    100_000,
  );
  reader.feed(generate(packet as Packet, { protocolVersion }));
  return fields;
}

function parse(frame: Frame, protocolVersion: number): object {
  const packets: Packet[] = [];
  const reader = parser({ protocolVersion });
  reader.on("packet", (packet) => packets.push(packet));
  reader.on("error", (error) => {
    throw error;
  });
  reader.parse(Buffer.from(frame.bytes));
  expect(packets).toHaveLength(1);
  return packets[0] as object;
}

test("CONNECT: every field comes through", () => {
  const will = fc.record({
    topic: text.filter((value) => value !== "" && !/[+#]/.test(value)),
    payload: fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)),
    qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
    retain: fc.boolean(),
  });
  const connect = fc.record({
    clientId: text.filter((value) => value !== ""),
    clean: fc.boolean(),
    keepalive: fc.integer({ min: 0, max: 0xffff }),
    will: fc.option(will, { nil: undefined }),
    username: fc.option(text, { nil: undefined }),
  });
  const property = fc.property(version, connect, (protocolVersion, fields) => {
    const properties = { sessionExpiryInterval: 5, receiveMaximum: 9, maximumPacketSize: 100_000 };
    const packet = {
      cmd: "connect",
      protocolId: "MQTT",
      protocolVersion,
      ...fields,
      ...(fields.username !== undefined && { password: Buffer.from("secret") }),
      ...(protocolVersion === 5 && { properties }),
    };
    const reader = body(packet, protocolVersion);
    expect(readProtocolVersion(reader)).toBe(protocolVersion);
    const came = readConnect(reader, protocolVersion);
    expect(came).toMatchObject({
      clientId: fields.clientId,
      cleanStart: fields.clean,
      keepAliveSeconds: fields.keepalive,
      username: fields.username,
    });
    expect(came.password && Buffer.from(came.password).toString()).toBe(
      fields.username === undefined ? undefined : "secret",
    );
    if (fields.will === undefined) expect(came.will).toBeUndefined();
    else {
      const { topic, qos, retain, payload } = fields.will;
      expect(came.will?.message).toMatchObject({ topic, qos, retain });
      expect(Buffer.from(came.will?.message.payload ?? []).equals(payload)).toBe(true);
    }
    if (protocolVersion === 5) {
      expect(came.properties).toEqual({
        sessionExpirySeconds: 5,
        receiveMaximum: 9,
        maximumPacketSize: 100_000,
      });
    }
  });
  fc.assert(property);
});

test("SUBSCRIBE and UNSUBSCRIBE: filters and options come through in order", () => {
  const subscription = fc.record({
    topic: text,
    qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
    nl: fc.boolean(),
    rap: fc.boolean(),
    rh: fc.constantFrom(0, 1, 2),
  });
  const property = fc.property(
    version,
    packetId,
    fc.array(subscription, { minLength: 1, maxLength: 5 }),
    (protocolVersion, messageId, subscriptions) => {
      const properties = protocolVersion === 5 ? { properties: { subscriptionIdentifier: 77 } } : {};
      const packet = { cmd: "subscribe", messageId, subscriptions, ...properties };
      const came = readSubscribe(body(packet, protocolVersion), protocolVersion);
      expect(came.packetId).toBe(messageId);
      expect(came.subscriptionIdentifier).toBe(protocolVersion === 5 ? 77 : undefined);
      const isFive = protocolVersion === 5;
      expect(came.requests).toEqual(
        subscriptions.map(({ topic, qos, nl, rap, rh }) => ({
          filter: topic,
          qos,
          noLocal: isFive && nl,
          retainAsPublished: isFive && rap,
          retainHandling: isFive ? rh : 0,
        })),
      );
      const unsubscriptions = subscriptions.map(({ topic }) => topic);
      const unsubscribe = { cmd: "unsubscribe", messageId, unsubscriptions };
      const ended = readUnsubscribe(body(unsubscribe, protocolVersion), protocolVersion);
      expect(ended).toEqual({ packetId: messageId, filters: unsubscriptions });
    },
  );
  fc.assert(property);
});

test("acknowledgements: written and read alike, with and without a reason code", () => {
  const names = { 4: "puback", 5: "pubrec", 6: "pubrel", 7: "pubcomp" } as const;
  for (const type of [4, 5, 6, 7] as const) {
    for (const reasonCode of type < 6 ? [0, 0x10, 0x87, 0x97] : [0, 0x92]) {
      for (const protocolVersion of [4, 5] as const) {
        const frame = acknowledgementFrame(type, reasonCode, protocolVersion);
        const bytes = frame.bytes.slice();
        bytes.set([0xab, 0xcd], frame.packetIdAt);
        const expected = protocolVersion === 5 ? reasonCode : undefined;
        const came = parse({ ...frame, bytes }, protocolVersion);
        expect(came).toMatchObject({ cmd: names[type], messageId: 0xabcd });
        expect((came as { reasonCode?: number }).reasonCode).toBe(expected);
        const packet = { cmd: names[type], messageId: 7, reasonCode };
        const read = type < 6 ? readAnswer : readRelease;
        expect(read(body(packet, protocolVersion), protocolVersion)).toEqual({
          packetId: 7,
          reasonCode: protocolVersion === 5 ? reasonCode : 0,
        });
      }
    }
  }
});

test("CONNACK, SUBACK, UNSUBACK and DISCONNECT are read by mqtt-packet", () => {
  const properties = {
    sessionExpirySeconds: 5,
    receiveMaximum: 6,
    maximumPacketSize: 7,
    assignedClientIdentifier: "é",
    topicAliasMaximum: 8,
    serverKeepAliveSeconds: 9,
  };
  expect(parse(connackFrame(5, 0, true, properties), 5)).toMatchObject({
    reasonCode: 0,
    sessionPresent: true,
    properties: {
      sessionExpiryInterval: 5,
      receiveMaximum: 6,
      maximumPacketSize: 7,
      assignedClientIdentifier: "é",
      topicAliasMaximum: 8,
      serverKeepAlive: 9,
    },
  });
  expect(parse(connackFrame(4, 5, false, {}), 4)).toMatchObject({ returnCode: 5, sessionPresent: false });
  const codes = Array.from({ length: 200 }, (_, i) => i % 3);
  expect(parse(subackFrame(5, 300, codes), 5)).toMatchObject({ messageId: 300, granted: codes });
  expect(parse(subackFrame(4, 300, [0, 0x97, 2]), 4)).toMatchObject({ granted: [0, 0x80, 2] });
  expect(parse(unsubackFrame(5, 3, [0, 0x11]), 5)).toMatchObject({ messageId: 3, granted: [0, 0x11] });
  expect(parse(unsubackFrame(4, 3, [0, 0x11]), 4)).toMatchObject({ messageId: 3 });
  expect(parse(disconnectFrame(0x8e), 5)).toMatchObject({ cmd: "disconnect", reasonCode: 0x8e });
});

test("DISCONNECT: reason and session expiry come through", () => {
  const packet = { cmd: "disconnect", reasonCode: 4, properties: { sessionExpiryInterval: 12 } };
  expect(readDisconnect(body(packet, 5), 5)).toEqual({ reasonCode: 4, sessionExpirySeconds: 12 });
  const empty = new FieldReader();
  expect(readDisconnect(empty, 5)).toEqual({ reasonCode: 0, sessionExpirySeconds: undefined });
});

test("arbitrary bytes make a decoder throw PacketError or nothing, and never read past their end", () => {
  const decoders = [
    (fields: FieldReader) => readConnect(fields, 5),
    (fields: FieldReader) => readSubscribe(fields, 5),
    (fields: FieldReader) => readUnsubscribe(fields, 4),
    (fields: FieldReader) => readUnsubscribe(fields, 5),
    (fields: FieldReader) => readAnswer(fields, 5),
    (fields: FieldReader) => readRelease(fields, 5),
    (fields: FieldReader) => readDisconnect(fields, 5),
    (fields: FieldReader) => readProtocolVersion(fields),
  ];
  const property = fc.property(
    fc.uint8Array({ maxLength: 60 }),
    fc.constantFrom(...decoders),
    (bytes, read) => {
      const fields = new FieldReader();
      fields.reset(bytes, 0, bytes.length);
      try {
        read(fields);
      } catch (error) {
        expect(error).toBeInstanceOf(PacketError);
      }
      expect(fields.remaining).toBeGreaterThanOrEqual(0);
    },
  );
  fc.assert(property, { numRuns: 2_000 });
});
