/** The hand-written PUBLISH codec against mqtt-packet, which is the oracle. */

import type { ApplicationMessage, MessageProperties, QoS } from "@skein/kernel";
import fc from "fast-check";
import { generate, type IPublishPacket } from "mqtt-packet";
import { expect, test } from "vitest";
import { copyOf, FieldReader } from "../../src/codec/field-reader.ts";
import { PacketReader } from "../../src/codec/packet-reader.ts";
import type { Frame } from "../../src/codec/packet-writer.ts";
import { encodePublish, PublishFrames } from "../../src/codec/publish-encoder.ts";
import { PublishPacket } from "../../src/codec/publish-packet.ts";
import { ReceivedPublish, recordOf } from "../../src/codec/received-publish.ts";
import { TopicNames } from "../../src/codec/topic-names.ts";
import { parse as parseFrame, text } from "./oracle.ts";

const topic = text.filter((value) => value !== "" && !/[+#]/.test(value) && value.split("/").length < 100);
const properties: fc.Arbitrary<MessageProperties | undefined> = fc.option(
  fc.record(
    {
      payloadIsUtf8: fc.boolean(),
      messageExpirySeconds: fc.integer({ min: 1, max: 0xffff_ffff }),
      contentType: text,
      responseTopic: topic,
      correlationData: fc.uint8Array({ maxLength: 20 }),
      userProperties: fc.uniqueArray(fc.tuple(text, text), {
        minLength: 1,
        maxLength: 4,
        selector: ([name]) => name,
      }),
    },
    { requiredKeys: [] },
  ),
  { nil: undefined },
) as fc.Arbitrary<MessageProperties | undefined>;
const message: fc.Arbitrary<ApplicationMessage> = fc.record({
  topic,
  payload: fc.uint8Array({ maxLength: 300 }),
  qos: fc.constantFrom<QoS>(0, 1, 2),
  retain: fc.boolean(),
  properties,
});

function parse(bytes: Uint8Array, version: number): IPublishPacket {
  return parseFrame({ bytes }, version) as IPublishPacket;
}

/** Properties as mqtt-packet names them. */
function theirs(own: MessageProperties): NonNullable<IPublishPacket["properties"]> {
  const { payloadIsUtf8, messageExpirySeconds, contentType, responseTopic, correlationData, userProperties } =
    own;
  const named = {
    payloadFormatIndicator: payloadIsUtf8,
    messageExpiryInterval: messageExpirySeconds,
    contentType,
    responseTopic,
    correlationData: correlationData && Buffer.from(correlationData),
    userProperties: userProperties && Object.assign(Object.create(null), Object.fromEntries(userProperties)),
  };
  return Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined));
}

function decode(bytes: Uint8Array, version: 4 | 5): PublishPacket & { readonly payload: Uint8Array } {
  const fields = new FieldReader();
  const packet = new PublishPacket();
  let count = 0;
  const reader = new PacketReader(
    {
      packet: (header, chunk, at, end) => {
        fields.reset(chunk, at, end);
        packet.read(header, fields, version, new TopicNames());
        count++;
      },
      unreadable: () => expect.unreachable(),
    },
    10_000,
  );
  reader.feed(bytes);
  expect(count).toBe(1);
  expect([packet.at, packet.end]).toEqual([0, bytes.length]);
  return Object.assign(packet, { payload: bytes.subarray(packet.payloadAt, packet.end) });
}

test("what encodePublish writes mqtt-packet reads", () => {
  const form = fc.record({
    qos: fc.constantFrom<QoS>(0, 1, 2),
    retain: fc.boolean(),
    dup: fc.boolean(),
    identifiers: fc.option(
      fc.uniqueArray(fc.integer({ min: 1, max: 268_435_455 }), { minLength: 1, maxLength: 3 }),
      {
        nil: undefined,
      },
    ),
    expirySeconds: fc.constant(undefined),
  });
  const property = fc.property(
    message,
    form,
    fc.constantFrom(4 as const, 5 as const),
    (sent, how, version) => {
      const { bytes, packetIdAt } = encodePublish(sent, version, how);
      if (packetIdAt !== -1) bytes.set([0x12, 0x34], packetIdAt);
      expect(packetIdAt === -1).toBe(how.qos === 0);
      const came = parse(bytes, version);
      expect(came.topic).toBe(sent.topic);
      expect(Buffer.from(came.payload).equals(sent.payload)).toBe(true);
      expect([came.qos, came.retain, came.dup]).toEqual([how.qos, how.retain, how.dup]);
      if (how.qos > 0) expect(came.messageId).toBe(0x1234);
      if (version === 5) {
        const { subscriptionIdentifier, ...others } = came.properties ?? {};
        expect(others).toEqual(theirs(sent.properties ?? {}));
        expect([subscriptionIdentifier ?? []].flat()).toEqual(how.identifiers ?? []);
      }
    },
  );
  fc.assert(property);
});

test("what mqtt-packet writes PublishPacket reads", () => {
  const property = fc.property(message, fc.constantFrom(4 as const, 5 as const), (sent, version) => {
    const { topic: name, payload, qos, retain, properties: own } = sent;
    const packet = {
      cmd: "publish" as const,
      topic: name,
      payload: Buffer.from(payload),
      qos,
      retain,
      dup: false,
      ...(qos > 0 && { messageId: 4242 }),
      ...(own !== undefined && version === 5 && { properties: theirs(own) }),
    };
    const came = decode(generate(packet, { protocolVersion: version }), version);
    expect(came.topic).toBe(name);
    expect(Buffer.from(came.payload).equals(payload)).toBe(true);
    expect([came.qos, came.retain, came.packetId]).toEqual([qos, retain, qos > 0 ? 4242 : 0]);
    expect(came.isPlain).toBe(!retain);
    if (version === 5) expect(came.properties ?? {}).toEqual(own ?? {});
  });
  fc.assert(property);
});

test("own codec: decode of encode is the message, user properties in order with repeated names", () => {
  const repeated = fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 5 });
  const property = fc.property(message, repeated, (sent, userProperties) => {
    const full = { ...sent, properties: { ...sent.properties, userProperties } };
    const form = {
      qos: 0 as const,
      retain: sent.retain,
      dup: false,
      identifiers: undefined,
      expirySeconds: 77,
    };
    const { topic: name, payload, retain, properties: came } = decode(encodePublish(full, 5, form).bytes, 5);
    const expected = { ...full.properties };
    if (expected.messageExpirySeconds !== undefined) expected.messageExpirySeconds = 77;
    expect({ name, payload: copyOf(payload), retain, came }).toEqual({
      name: sent.topic,
      payload: sent.payload,
      retain: sent.retain,
      came: expected,
    });
  });
  fc.assert(property);
});

/** Its bytes, which lie between those of others. */
function own({ bytes, at, end }: Frame): Uint8Array {
  return bytes.slice(at, end);
}

test("frames are shared per form and forgotten with the next message", () => {
  const frames = new PublishFrames();
  const first: ApplicationMessage = {
    topic: "t",
    payload: Uint8Array.of(1),
    qos: 2,
    retain: true,
    properties: undefined,
  };
  const forms = new Set<unknown>();
  for (const qos of [0, 1, 2] as const) {
    for (const retain of [false, true]) {
      for (const version of [4, 5] as const) {
        const frame = frames.shared(first, version, qos, retain);
        expect(frames.shared(first, version, qos, retain)).toBe(frame);
        expect(parse(own(frame), version)).toMatchObject({ qos, retain, dup: false });
        forms.add(frame);
      }
    }
  }
  expect(forms.size).toBe(12);
  expect(frames.shared(first, 3, 0, false)).toBe(frames.shared(first, 4, 0, false));
  const second = { ...first, payload: Uint8Array.of(2) };
  expect(parse(own(frames.shared(second, 4, 0, false)), 4).payload).toEqual(Buffer.of(2));
  expect(parse(own(frames.shared(first, 4, 0, false)), 4).payload).toEqual(Buffer.of(1));
});

test("topic names are decoded right whatever was decoded before", () => {
  const names = new TopicNames();
  const property = fc.property(fc.array(topic, { minLength: 1, maxLength: 50 }), (topics) => {
    for (const name of [...topics, ...topics]) {
      const bytes = Buffer.from(`xx${name}yy`);
      expect(names.read(bytes, 2, bytes.length - 2)).toBe(name);
    }
  });
  fc.assert(property);
});

test("a message that came is, in whatever form it goes out, what one is that was made here", () => {
  const ways = fc.record({
    version: fc.constantFrom<4 | 5>(4, 5),
    isAgain: fc.boolean(),
    before: fc.nat({ max: 9 }),
  });
  const property = fc.property(message, ways, (any, { version, isAgain, before }) => {
    const sent = version === 5 ? any : { ...any, properties: undefined };
    const { qos, retain } = sent;
    const form = { retain, identifiers: undefined, expirySeconds: undefined };
    const encoded = encodePublish(sent, version, { ...form, qos, dup: isAgain && qos > 0 });
    const bytes = new Uint8Array(before + encoded.end + 5);
    bytes.set(encoded.bytes, before);
    if (qos > 0) bytes[before + encoded.packetIdAt + 1] = 9;
    const packet = new PublishPacket();
    const fields = new FieldReader();
    const headerBytes = encoded.end > 2 + 0x7f ? 3 : 2;
    fields.reset(bytes, before + headerBytes, before + encoded.end);
    packet.read(bytes[before] as number, fields, version, new TopicNames());
    const came = new ReceivedPublish(packet, packet.topic, bytes, version);
    const record = recordOf(came);
    expect(Object.keys(record)).toEqual(Object.keys(sent));
    expect({ ...record, payload: [...record.payload] }).toEqual({ ...sent, payload: [...sent.payload] });
    const frames = new PublishFrames();
    for (const to of [3, 4, 5] as const)
      for (const granted of [0, 1, 2] as const)
        for (const isRetained of [false, true]) {
          const frame = frames.shared(came, to, granted, isRetained);
          const shown = own(frame);
          if (granted > 0) shown[frame.packetIdAt - frame.at + 1] = 0;
          const other = encodePublish(sent, to, { ...form, qos: granted, retain: isRetained, dup: false });
          expect(shown).toEqual(own(other));
          if (granted > 0) expect(frame.packetIdAt - frame.at).toBe(other.packetIdAt);
          expect(frame.payloadBytes).toBe(sent.payload.length);
          const isAsItCame = (to === 5) === (version === 5) && granted === qos && !isRetained;
          expect(frame === came).toBe(isAsItCame && !retain && !(isAgain && qos > 0));
        }
  });
  fc.assert(property);
});

test("what is kept for long holds no larger buffer alive, and is copied once for all", () => {
  const frames = new PublishFrames();
  const buffer = new Uint8Array(1000);
  const sent = {
    topic: "a",
    payload: buffer.subarray(10, 20),
    qos: 1 as const,
    retain: false,
    properties: undefined,
  };
  const owned = frames.owned(sent);
  expect(owned.payload.buffer.byteLength).toBe(10);
  expect(frames.owned(sent)).toBe(owned);
  expect(frames.owned({ ...sent, payload: buffer }).payload).toBe(buffer);
});

test("frames for one receiver lie side by side, and those that were handed out are not written to again", () => {
  const property = fc.property(fc.array(message, { minLength: 1, maxLength: 60 }), (messages) => {
    const frames = new PublishFrames();
    const made = messages.map((sent) => {
      const frame = frames.shared(sent, 5, sent.qos, sent.retain);
      return { frame, copy: own(frame) };
    });
    for (const { frame, copy } of made) expect(own(frame)).toEqual(copy);
    for (const [i, { frame }] of made.entries()) {
      const before = made[i - 1]?.frame;
      if (before !== undefined && before.bytes === frame.bytes) expect(frame.at).toBe(before.end);
    }
  });
  fc.assert(property);
});
