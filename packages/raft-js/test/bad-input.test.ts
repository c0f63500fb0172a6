/** Peers that lie. Whatever they send, a server keeps its own promises and never throws. */

import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type Configuration,
  type Entry,
  encodeConfiguration,
  type RaftEvent,
  type RaftMessage,
} from "../src/index.ts";
import { logOf, OneServer, type Start } from "./support/one-server.ts";

// Small numbers, so that lies are about terms and indexes that exist.
const small = fc.nat(6);
const term = fc.integer({ min: 1, max: 6 });
const server = fc.constantFrom("a", "b", "c", "d");
const configuration: fc.Arbitrary<Configuration> = fc.record({
  voters: fc.uniqueArray(server, { minLength: 1, maxLength: 3 }).map((ids) => ids.toSorted()),
  votersOutgoing: fc.uniqueArray(server, { maxLength: 3 }).map((ids) => ids.toSorted()),
  learners: fc.constant([]),
});
const sentAt = fc.integer({ min: -1, max: 20_000 });
const stateHash = fc.record({ index: small, hash: fc.constantFrom("x", "y") });

/** Entries that fit each other and what is said to be before them, or they would not be looked at. */
const entries = fc
  .record({ prev: small, terms: fc.array(fc.nat(1), { maxLength: 4 }), from: term, configuration })
  .map(({ prev, terms, from, configuration: next }) => {
    let at = from;
    return terms.map((rise, i): Entry => {
      at += rise;
      const entry = logOf([at], prev + 1 + i)[0] as Entry;
      return rise === 0 ? entry : { ...entry, kind: "configuration", data: encodeConfiguration(next) };
    });
  });

const message = fc.oneof(
  fc.record({
    kind: fc.constantFrom("preVote", "requestVote"),
    lastLogIndex: small,
    lastLogTerm: small,
    isTransfer: fc.boolean(),
  }),
  fc.record({
    kind: fc.constantFrom("preVoteReply", "requestVoteReply"),
    granted: fc.boolean(),
    isSuspect: fc.boolean(),
  }),
  fc
    .record({ list: entries, prevLogTerm: small, leaderCommit: small, prev: small })
    .map(({ list, prev, ...rest }) => ({
      kind: "appendEntries" as const,
      entries: list,
      prevLogIndex: (list[0]?.index ?? prev + 1) - 1,
      ...rest,
    })),
  fc.record({
    kind: fc.constant("appendEntriesReply"),
    success: fc.boolean(),
    matchIndex: small,
    hintIndex: small,
    hintTerm: small,
  }),
  fc.record({
    kind: fc.constant("heartbeat"),
    commit: small,
    matchIndex: small,
    matchTerm: small,
    lastIndex: small,
    nonce: fc.nat(1),
    sentAt,
    round: small,
  }),
  fc.record({
    kind: fc.constant("heartbeatReply"),
    sentAt,
    round: small,
    nonce: fc.nat(1),
    stateHash: fc.option(stateHash, { nil: undefined }),
  }),
  fc.record({
    kind: fc.constant("installSnapshot"),
    point: fc.record({ index: small, term: small, configuration }),
    totalBytes: small,
    offset: small,
    data: fc.uint8Array({ maxLength: 3 }),
  }),
  fc.record({ kind: fc.constant("snapshotChunkReply"), index: small, offset: small }),
  fc.record({ kind: fc.constant("installSnapshotReply"), matchIndex: small }),
  fc.record({ kind: fc.constantFrom("snapshotRequest", "timeoutNow") }),
  fc.record({ kind: fc.constant("readIndex"), request: small, nonce: fc.nat(1) }),
  fc.record({ kind: fc.constant("readIndexReply"), request: small, nonce: fc.nat(1), index: small }),
  fc.record({ kind: fc.constant("stateDiverged"), stateHash }),
);

const received = fc.record({ from: server, message, term }).map(
  ({ from, message: body, term: at }): RaftEvent => ({
    kind: "receive",
    from,
    message: { ...structuredClone(body), term: at } as RaftMessage,
  }),
);
/** What its own driver does meanwhile: keeps the rules. */
const own = fc.oneof(
  fc.constant("disk" as const),
  fc.integer({ min: 1, max: 3000 }),
  fc.constantFrom<RaftEvent>(
    { kind: "propose", commands: [Uint8Array.of(1)] },
    { kind: "changeConfiguration", voters: ["a", "b"], learners: ["c"] },
    { kind: "changeConfiguration", voters: ["b", "c"], learners: [] },
    { kind: "transferLeadership" },
    { kind: "leaseReleased" },
    { kind: "readIndex", request: 1 },
    { kind: "stateHash", stateHash: { index: 2, hash: "x" } },
    { kind: "snapshotSent", to: "b", ok: true },
    { kind: "snapshotSent", to: "b", ok: false },
  ),
);
const starts: readonly Start[] = [
  { term: 1 },
  { entries: logOf([1, 1, 2]) },
  { entries: logOf([1, 2]), isSuspect: true },
  {
    entries: logOf([2], 4),
    snapshot: { index: 3, term: 1, configuration: { voters: ["a", "b"], votersOutgoing: [], learners: [] } },
  },
];

test("no sequence of messages, true or false, makes a server throw, vote twice in a term or go back in terms", () => {
  const events = fc.array(fc.oneof({ weight: 3, arbitrary: received }, { weight: 2, arbitrary: own }), {
    maxLength: 60,
    size: "max",
  });
  const roles = new Set<string>();
  fc.assert(
    fc.property(
      fc.constantFrom(...starts),
      fc.constantFrom("follower", "leader"),
      events,
      (start, role, steps) => {
        const a = new OneServer(start);
        if (role === "leader") a.lead("b", "c");
        let { term: before } = a.status;
        const votes = new Map<number, string | undefined>();
        for (const step of steps) {
          roles.add(a.status.role);
          if (step === "disk") {
            if (a.writes.length > 0) a.completeWrite();
          } else if (typeof step === "number") {
            a.sleepUntil(a.now + step);
          } else {
            a.step(step);
          }
          expect(a.status.term).toBeGreaterThanOrEqual(before);
          before = a.status.term;
          for (const { hardState } of a.takeEffects("persist")) {
            if (hardState?.votedFor === undefined) continue;
            expect(votes.get(hardState.term) ?? hardState.votedFor).toBe(hardState.votedFor);
            votes.set(hardState.term, hardState.votedFor);
          }
        }
      },
    ),
    { numRuns: 1000 },
  );
  expect(roles.size, "all roles were there").toBe(4);
});
