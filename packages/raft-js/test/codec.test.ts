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
  fc.record({ kind: fc.constant("heartbeat"), term: count, commit: count, sentAt, round: count }),
  fc.record({
    kind: fc.constant("heartbeatReply"),
    term: count,
    sentAt,
    round: count,
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
  fc.record({ kind: fc.constant("readIndex"), term: count, request: count }),
  fc.record({ kind: fc.constant("readIndexReply"), term: count, request: count, index: count }),
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

const decoders = [decodeRaftMessage, decodeEntry, decodeConfiguration];

test("arbitrary bytes decode or throw RaftFormatError, and never anything else", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      for (const decode of decoders) expectOnlyFormatErrors(() => decode(bytes));
    }),
    { numRuns: 2000 },
  );
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

test("flipped bytes of a message never do more than change it or be refused", () => {
  fc.assert(
    fc.property(message, fc.nat(), fc.integer({ min: 1, max: 255 }), (original, at, flip) => {
      const bytes = encodeRaftMessage(original);
      bytes[at % bytes.length]! ^= flip;
      expectOnlyFormatErrors(() => decodeRaftMessage(bytes));
    }),
  );
});

test.each([
  ["a list that names more servers than allowed", [0xff, 0xff, 0x7f]],
  ["a server named twice", [2, 1, 97, 1, 97, 0, 0]],
  ["an empty server id", [1, 0, 0, 0]],
  ["overlong UTF-8", [1, 2, 0xc0, 0x80, 0, 0]],
  ["a UTF-8 surrogate", [1, 3, 0xed, 0xa0, 0x80, 0, 0]],
  ["a number longer than 53 bits", [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]],
])("a configuration with %s is refused", (_, bytes) => {
  expect(() => decodeConfiguration(Uint8Array.from(bytes))).toThrow(RaftFormatError);
});

function expectOnlyFormatErrors(decode: () => unknown): void {
  try {
    decode();
  } catch (error) {
    expect(error).toBeInstanceOf(RaftFormatError);
  }
}
