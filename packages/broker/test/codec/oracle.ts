/** mqtt-packet as the oracle of the hand-written codec: its writer for what clients send, its parser for what the broker sends. */

import fc from "fast-check";
import { generate, type Packet, parser } from "mqtt-packet";
import { expect } from "vitest";
import { FieldReader } from "../../src/codec/field-reader.ts";
import { PacketReader } from "../../src/codec/packet-reader.ts";
import type { Frame } from "../../src/codec/packet-writer.ts";

export const version = fc.constantFrom(3 as const, 4 as const, 5 as const);
export const packetId = fc.integer({ min: 1, max: 0xffff });
export const seconds = fc.integer({ min: 0, max: 0xffff_ffff });
export const text = fc
  .string({ unit: "grapheme", maxLength: 20 })
  .filter((value) => !value.includes("\u0000"));
export const topicName = text.filter((value) => value !== "" && !/[+#]/.test(value));
export const bytes = fc.uint8Array({ maxLength: 30 }).map((value) => Buffer.from(value));
/** In order. mqtt-packet keeps them in an object, so no name may come twice or look like an index (decision 0005). */
export const userProperties = fc.uniqueArray(fc.tuple(text, text), {
  minLength: 1,
  maxLength: 4,
  selector: ([name]) => name,
});

/** User Properties as mqtt-packet takes and gives them. */
export function theirs(pairs: readonly (readonly [string, string])[]): Record<string, string> {
  return Object.assign(
    Object.create(null),
    Object.fromEntries(pairs.map(([name, value]) => [`n${name}`, value])),
  );
}

/** The same as the broker has them. */
export function ours(pairs: readonly (readonly [string, string])[]): [string, string][] {
  return pairs.map(([name, value]) => [`n${name}`, value]);
}

/** Without what is undefined. */
export function present<T extends object>(values: T): Partial<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>;
}

/** A reader of the body of `packet` as mqtt-packet writes it. */
export function body(packet: object, protocolVersion: number): FieldReader {
  const fields = new FieldReader();
  const reader = new PacketReader(
    {
      packet: (_header, chunk, at, end) => fields.reset(chunk.slice(), at, end),
      unreadable: () => expect.unreachable(),
    },
    100_000,
  );
  reader.feed(generate(packet as Packet, { protocolVersion }));
  return fields;
}

/** What mqtt-packet reads of a frame that is alone in its bytes. */
export function parse(frame: Pick<Frame, "bytes">, protocolVersion: number): Packet {
  const packets: Packet[] = [];
  const reader = parser({ protocolVersion });
  reader.on("packet", (packet) => packets.push(packet));
  reader.on("error", (error) => {
    throw error;
  });
  reader.parse(Buffer.from(frame.bytes));
  expect(packets).toHaveLength(1);
  return packets[0] as Packet;
}
