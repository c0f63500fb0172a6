import {
  type ApplicationMessage,
  ByteReader,
  ByteWriter,
  decodeMessage,
  encodeMessage,
  SkeinError,
} from "@skein/kernel";
import fc from "fast-check";
import { expect, test } from "vitest";

const properties = fc.record(
  {
    payloadIsUtf8: fc.boolean(),
    messageExpirySeconds: fc.integer({ min: 0, max: 0xffff_ffff }),
    contentType: fc.string(),
    responseTopic: fc.string(),
    correlationData: fc.uint8Array(),
    userProperties: fc.array(fc.tuple(fc.string(), fc.string()), { maxLength: 5 }),
  },
  { requiredKeys: [] },
);

const message: fc.Arbitrary<ApplicationMessage> = fc.record({
  topic: fc.string({ unit: "grapheme", minLength: 1 }),
  payload: fc.uint8Array({ maxLength: 300 }),
  qos: fc.constantFrom(0, 1, 2),
  retain: fc.boolean(),
  properties: fc.option(properties, { nil: undefined }),
});

test("decodeMessage() gives back every field of what encodeMessage() wrote, user properties in order", () => {
  fc.assert(
    fc.property(message, (original) => {
      const out = new ByteWriter();
      encodeMessage(original, out);
      const input = new ByteReader(out.finish());
      expect(decodeMessage(input)).toEqual(original);
      input.end();
    }),
  );
});

test("decodeMessage() throws only ERR_SKEIN_MALFORMED on arbitrary bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      try {
        decodeMessage(new ByteReader(bytes));
      } catch (error) {
        expect(error).toBeInstanceOf(SkeinError);
      }
    }),
    { numRuns: 2000 },
  );
});
