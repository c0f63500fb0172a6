import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type Configuration,
  decodeConfiguration,
  decodeEntry,
  decodeRaftMessage,
  type Entry,
  encodeConfiguration,
  encodeEntry,
  encodeRaftMessage,
  RaftFormatError,
  type RaftMessage,
} from "../src/index.ts";

const count = fc.maxSafeNat();
const data = fc.uint8Array({ maxLength: 40 });
const servers = fc
  .uniqueArray(fc.string({ minLength: 1, unit: "grapheme" }), { maxLength: 5 })
  .map((ids) => ids.toSorted());
const configuration: fc.Arbitrary<Configuration> = fc.record({
  voters: servers,
  votersOutgoing: servers,
  learners: servers,
});
const entry: fc.Arbitrary<Entry> = fc.record({
  index: count,
  term: count,
  kind: fc.constantFrom("command", "configuration", "empty"),
  data,
});
const sentAt = fc.double({ noNaN: true });
const point = fc.record({ index: count, term: count, configuration });
const text = fc.string({ minLength: 1, maxLength: 64, unit: "grapheme" });
const stateHash = fc.record({ index: count, hash: text });
const message: fc.Arbitrary<RaftMessage> = fc.oneof(
  fc.record({
    kind: fc.constantFrom("preVote", "requestVote"),
    term: count,
    lastLogIndex: count,
    lastLogTerm: count,
    isTransfer: fc.boolean(),
  }),
  fc.record({
    kind: fc.constantFrom("preVoteReply", "requestVoteReply"),
    term: count,
    granted: fc.boolean(),
    isSuspect: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant("appendEntries"),
    term: count,
    prevLogIndex: count,
    prevLogTerm: count,
    entries: fc.array(entry, { maxLength: 5 }),
    leaderCommit: count,
  }),
  fc.record({
    kind: fc.constant("appendEntriesReply"),
    term: count,
    success: fc.boolean(),
    matchIndex: count,
    hintIndex: count,
    hintTerm: count,
  }),
  fc.record({
    kind: fc.constant("heartbeat"),
    term: count,
    commit: count,
    matchIndex: count,
    matchTerm: count,
    lastIndex: count,
    nonce: count,
    sentAt,
    round: count,
  }),
  fc.record({
    kind: fc.constant("heartbeatReply"),
    term: count,
    sentAt,
    round: count,
    nonce: count,
    stateHash: fc.option(stateHash, { nil: undefined }),
  }),
  fc.record({
    kind: fc.constant("installSnapshot"),
    term: count,
    point,
    totalBytes: count,
    offset: count,
    data,
  }),
  fc.record({ kind: fc.constant("snapshotChunkReply"), term: count, index: count, offset: count }),
  fc.record({ kind: fc.constant("installSnapshotReply"), term: count, matchIndex: count }),
  fc.record({ kind: fc.constant("snapshotRequest"), term: count, minIndex: count }),
  fc.record({ kind: fc.constant("timeoutNow"), term: count }),
  fc.record({ kind: fc.constant("readIndex"), term: count, request: count, nonce: count }),
  fc.record({
    kind: fc.constant("readIndexReply"),
    term: count,
    request: count,
    nonce: count,
    index: count,
  }),
  fc.record({ kind: fc.constant("stateDiverged"), term: count, stateHash }),
) as fc.Arbitrary<RaftMessage>;

/** Fast-check makes objects without a prototype; the decoder does not. */
function plain<T>(value: T): T {
  return structuredClone(value);
}

test("decodeRaftMessage(encodeRaftMessage(m)) is m", () => {
  fc.assert(
    fc.property(message, (original) => {
      expect(decodeRaftMessage(encodeRaftMessage(original))).toEqual(plain(original));
    }),
  );
});

test("decodeEntry(encodeEntry(e)) is e, and so for configurations", () => {
  fc.assert(
    fc.property(entry, configuration, (original, servers) => {
      expect(decodeEntry(encodeEntry(original))).toEqual(plain(original));
      expect(decodeConfiguration(encodeConfiguration(servers))).toEqual(plain(servers));
    }),
  );
});

/** What comes back when `bytes` are decoded and encoded again; undefined if they are refused as they should be. */
const roundTrips: readonly ((bytes: Uint8Array) => Uint8Array | undefined)[] = [
  (bytes) => accepted(() => encodeRaftMessage(decodeRaftMessage(bytes))),
  (bytes) => accepted(() => encodeEntry(decodeEntry(bytes))),
  (bytes) => accepted(() => encodeConfiguration(decodeConfiguration(bytes))),
];

test("arbitrary bytes are refused with RaftFormatError, or are exactly what the encoder writes", () => {
  // Short inputs of small values: real kinds, short lengths and some long numbers, so that many of them decode.
  const byte = fc.oneof(
    { weight: 4, arbitrary: fc.nat(2) },
    { weight: 3, arbitrary: fc.nat(20) },
    { weight: 1, arbitrary: fc.constantFrom(0x61, 0x7f, 0x80, 0x81, 0xff) },
    { weight: 1, arbitrary: fc.nat(255) },
  );
  let decoded = 0;
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 16, size: "max" }), (values) => {
      const bytes = Uint8Array.from(values);
      for (const roundTrip of roundTrips) {
        const again = roundTrip(bytes);
        if (again === undefined) continue;
        decoded++;
        expect([...again]).toEqual(values);
      }
    }),
    { numRuns: 10_000 },
  );
  expect(decoded, "the property is not empty").toBeGreaterThan(100);
});

test("every proper prefix and every longer input of a message is refused: nothing is read past the end", () => {
  fc.assert(
    fc.property(message, fc.uint8Array({ minLength: 1, maxLength: 3 }), (original, more) => {
      const bytes = encodeRaftMessage(original);
      // A frame of its own inside a larger buffer: what lies behind it must not help.
      const larger = new Uint8Array(bytes.length + 50);
      larger.set(bytes, 7);
      for (let end = 0; end < bytes.length; end++) {
        expect(() => decodeRaftMessage(larger.subarray(7, 7 + end))).toThrow(RaftFormatError);
      }
      expect(() => decodeRaftMessage(Uint8Array.from([...bytes, ...more]))).toThrow(RaftFormatError);
      expect(decodeRaftMessage(larger.subarray(7, 7 + bytes.length))).toEqual(plain(original));
    }),
    { numRuns: 50 },
  );
});

test("flipped, inserted and removed bytes make another message or none, never two that are written alike", () => {
  const edit = fc.record({ at: fc.nat(), remove: fc.nat(2), insert: fc.uint8Array({ maxLength: 2 }) });
  fc.assert(
    fc.property(message, fc.array(edit, { minLength: 1, maxLength: 3 }), (original, edits) => {
      const values = [...encodeRaftMessage(original)];
      for (const { at, remove, insert } of edits) values.splice(at % (values.length + 1), remove, ...insert);
      const again = roundTrips[0]!(Uint8Array.from(values));
      if (again !== undefined) expect([...again]).toEqual(values);
    }),
    { numRuns: 5000 },
  );
});

test("every kind of message is among those that are tried", () => {
  const seen = new Set(fc.sample(message, 1000).map(({ kind }) => kind));
  // Codes are given in order: the one after the last is the first that is not known.
  const codes = Array.from({ length: 255 }, (_, code) => code);
  const known = codes.filter((code) => !refusal(Uint8Array.of(code)).includes("unknown kind"));
  expect(seen.size).toBe(known.length);
});

test("five bytes that claim to be long are refused without anything of that length being made", () => {
  // A list of entries, a piece of data, a configuration and a text that claim 2^31 items each.
  const long = [0xff, 0xff, 0xff, 0xff, 0x07];
  const claims = [[5, 1, 0, 0, 0, ...long], [9, 1, 1, 1, ...long], [16, 1, 1, ...long], long];
  const before = process.memoryUsage();
  for (let i = 0; i < 20; i++) {
    for (const claim of claims) {
      const bytes = Uint8Array.from(claim);
      expect(() => decodeRaftMessage(bytes)).toThrow(RaftFormatError);
      expect(() => decodeEntry(Uint8Array.of(0, 1, 1, ...long))).toThrow(RaftFormatError);
      expect(() => decodeConfiguration(bytes)).toThrow(RaftFormatError);
    }
  }
  const after = process.memoryUsage();
  expect(after.arrayBuffers + after.heapTotal - before.arrayBuffers - before.heapTotal).toBeLessThan(50e6);
});

test.each([
  ["a list that names more servers than allowed", [0xff, 0xff, 0x7f]],
  ["a server named twice", [2, 1, 97, 1, 97, 0, 0]],
  ["an empty server id", [1, 0, 0, 0]],
  ["overlong UTF-8", [1, 2, 0xc0, 0x80, 0, 0]],
  ["a UTF-8 surrogate", [1, 3, 0xed, 0xa0, 0x80, 0, 0]],
  ["a number longer than 53 bits", [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]],
  ["a number written longer than it needs to be", [0x80, 0, 0, 0]],
  ["servers out of order", [2, 1, 98, 1, 97, 0, 0]],
])("a configuration with %s is refused", (_, bytes) => {
  expect(() => decodeConfiguration(Uint8Array.from(bytes))).toThrow(RaftFormatError);
});

/** The result, or undefined where the only error a decoder may throw was thrown. */
function accepted<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    expect(error).toBeInstanceOf(RaftFormatError);
    return undefined;
  }
}

/** Why `bytes` are not a message; "" if they are one. */
function refusal(bytes: Uint8Array): string {
  try {
    decodeRaftMessage(bytes);
    return "";
  } catch (error) {
    return String(error);
  }
}
