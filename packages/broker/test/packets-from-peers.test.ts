/** What other nodes pass on as their clients have sent it. */

import { type ApplicationMessage, SkeinError } from "@skein/kernel";
import fc from "fast-check";
import { expect, test } from "vitest";
import { encodePublish, PublishFrames } from "../src/codec/publish-encoder.ts";
import { recordOf } from "../src/codec/received-publish.ts";
import { PacketsFromPeers } from "../src/inbound/packets-from-peers.ts";

const FORM = { qos: 0, retain: false, dup: false, identifiers: undefined, expirySeconds: undefined } as const;

function read(bytes: Uint8Array, version: 4 | 5, at = 0): ApplicationMessage[] {
  const got: ApplicationMessage[] = [];
  const count = new PacketsFromPeers((message) => got.push(message)).deliver({
    version,
    bytes,
    at,
    end: bytes.length,
  });
  expect(count).toBe(got.length);
  return got;
}

const message: fc.Arbitrary<ApplicationMessage> = fc.record({
  topic: fc.stringMatching(/^[a-z/]{1,30}$/),
  payload: fc.uint8Array({ maxLength: 300 }),
  qos: fc.constant(0),
  retain: fc.constant(false),
  properties: fc.constantFrom(undefined, { messageExpirySeconds: 5 }),
});

test("each packet is a message, and leaves in one piece with its neighbours", () => {
  const property = fc.property(
    fc.array(message, { minLength: 1, maxLength: 20 }),
    fc.constantFrom<4 | 5>(4, 5),
    (messages, version) => {
      const sent = version === 5 ? messages : messages.map((one) => ({ ...one, properties: undefined }));
      const bytes = Uint8Array.of(7, ...sent.flatMap((one) => [...encodePublish(one, version, FORM).bytes]));
      const got = read(bytes, version, 1);
      const shown = got.map((one) => ({ ...recordOf(one), payload: [...one.payload] }));
      expect(shown).toEqual(sent.map((one) => ({ ...one, payload: [...one.payload] })));
      const frames = new PublishFrames();
      let at = 1;
      for (const one of got) {
        const frame = frames.shared(one, version, 0, false);
        expect([frame.bytes, frame.at]).toEqual([bytes, at]);
        at = frame.end;
      }
      expect(at).toBe(bytes.length);
    },
  );
  fc.assert(property);
});

test.each([
  ["RETAIN", [0x31, 4, 0, 1, 0x74, 1], 4],
  ["DUP", [0x38, 4, 0, 1, 0x74, 1], 4],
  ["QoS 1", [0x32, 6, 0, 1, 0x74, 0, 1, 1], 4],
  ["another packet", [0xc0, 0], 4],
  ["a Topic Alias", [0x30, 8, 0, 1, 0x74, 3, 0x23, 0, 1, 1], 5],
  ["a wildcard", [0x30, 4, 0, 1, 0x23, 1], 4],
  ["no topic", [0x30, 3, 0, 0, 1], 4],
  ["a packet that is cut", [0x30, 4, 0, 1, 0x74], 4],
  ["a length that is cut", [0x30, 0x80], 4],
  [
    "a topic that is longer than its packet, though not than the frame",
    [0x30, 3, 0, 9, 0x74, 0x30, 9, 0, 1, 1, 1, 1, 1],
    4,
  ],
] as const)("%s is malformed, behind packets that are not", (_, packet, version) => {
  const good = version === 5 ? [0x30, 5, 0, 1, 0x74, 0, 9] : [0x30, 4, 0, 1, 0x74, 9];
  expect(read(Uint8Array.of(...good), version)).toHaveLength(1);
  expect(() => read(Uint8Array.of(...good, ...packet), version)).toThrow(
    expect.objectContaining({ code: "ERR_SKEIN_MALFORMED" }),
  );
});

test("bytes that are none throw nothing else", () => {
  const property = fc.property(
    fc.uint8Array({ maxLength: 60 }),
    fc.constantFrom<4 | 5>(4, 5),
    (bytes, version) => {
      for (const begun of [bytes, Uint8Array.of(0x30, ...bytes)]) {
        try {
          read(begun, version);
        } catch (error) {
          expect(error).toBeInstanceOf(SkeinError);
          expect((error as SkeinError).code).toBe("ERR_SKEIN_MALFORMED");
        }
      }
    },
  );
  fc.assert(property);
});
