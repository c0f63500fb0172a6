/** What a server does while its application finds out whether it can use a leader's snapshot. */

import { expect, test } from "vitest";
import type { RaftMessage, SnapshotPoint } from "../src/index.ts";
import {
  appendEntries,
  heartbeat,
  logOf,
  OneServer,
  requestVote,
  voters,
  whole,
} from "./support/one-server.ts";

const ABC = voters("a", "b", "c");
const POINT: SnapshotPoint = { index: 9, term: 1, configuration: ABC };
const SNAPSHOT = { ...POINT, data: Uint8Array.of(1, 2, 3) };

/** `b` has two entries, and the whole of a snapshot of `a`, the leader of term 2; nothing has been said about it yet. */
function checking(data = SNAPSHOT.data): OneServer {
  const b = new OneServer({ id: "b", term: 2, configuration: ABC, entries: logOf([1, 1]) });
  b.verdict = undefined;
  b.receive("a", whole(2, { ...POINT, data }));
  b.completeWrites().takeSent();
  return b;
}

function checks(b: OneServer): number[] {
  return b.takeEffects("checkSnapshot").map(({ check }) => check);
}

function say(b: OneServer, isUsable: boolean, check = 1): void {
  b.step({ kind: "snapshotChecked", check, isUsable });
}

test("a snapshot is given out to be checked, and until the answer nothing is given up for it or said about it", () => {
  const b = checking();
  expect(b.takeEffects("checkSnapshot")).toEqual([{ kind: "checkSnapshot", check: 1, snapshot: SNAPSHOT }]);
  expect(b.takeEffects("restore")).toEqual([]);
  expect(b.status).toMatchObject({ lastIndex: 2, commitIndex: 0, leader: "a" });
  say(b, true);
  expect(b.takeEffects("restore")).toMatchObject([{ snapshot: SNAPSHOT, keepsLog: false }]);
  expect(b.takeSent(), "it is not safe yet").toEqual([]);
  expect(b.completeWrites().take("installSnapshotReply")).toMatchObject([{ matchIndex: 9 }]);
  expect(b.status).toMatchObject({ lastIndex: 9, commitIndex: 9 });
});

test("meanwhile the server follows, applies and answers votes as before", () => {
  const b = checking();
  b.receive("a", heartbeat(2, 0));
  expect(b.take("heartbeatReply")).toHaveLength(1);
  b.receive("a", appendEntries(2, 2, 1, logOf([1], 3), 3));
  expect(b.completeWrites().take("appendEntriesReply")).toMatchObject([{ success: true, matchIndex: 3 }]);
  expect(b.takeEffects("apply").flatMap(({ entries }) => entries.map(({ index }) => index))).toEqual([
    1, 2, 3,
  ]);
  b.now = 5000;
  b.receive("c", requestVote(3, 20, 2));
  expect(b.completeWrites().take("requestVoteReply")).toMatchObject([{ granted: true }]);
});

test("no other snapshot is taken meanwhile, and none is refused for good", () => {
  const b = checking();
  checks(b);
  for (const index of [9, 12]) b.receive("a", whole(2, { ...SNAPSHOT, index }));
  b.receive("c", whole(3, { ...SNAPSHOT, index: 12 }));
  expect(checks(b)).toEqual([]);
  expect(b.completeWrites().takeSent()).toEqual([]);
  say(b, false);
  expect(b.status).toMatchObject({ rejectedMessages: 1, lastIndex: 2 });
  expect(b.takeSent()).toEqual([]);
  b.receive("c", whole(3, { ...SNAPSHOT, index: 12 }));
  expect(checks(b)).toEqual([2]);
});

test.each([
  ["committed", 9],
  ["there", 2],
])("a log in which the snapshot's entry is %s by then is kept, with what follows", (_, leaderCommit) => {
  const b = checking();
  b.receive("a", appendEntries(2, 2, 1, logOf([1, 1, 1, 1, 1, 1, 1, 2, 2], 3), leaderCommit));
  b.completeWrites().takeSent();
  say(b, true);
  expect(b.takeEffects("restore")).toEqual([]);
  expect(b.status).toMatchObject({ lastIndex: 11, commitIndex: 9 });
});

test("the answer about a snapshot that the log has made needless is not taken for that about the next", () => {
  const b = checking();
  b.receive("a", appendEntries(2, 2, 1, logOf([1, 1, 1, 1, 1, 1, 1], 3), 9));
  b.receive("a", whole(2, { ...SNAPSHOT, index: 20 }));
  expect(checks(b)).toEqual([1, 2]);
  say(b, true, 1);
  expect(b.takeEffects("restore")).toEqual([]);
  say(b, true, 2);
  expect(b.takeEffects("restore")).toMatchObject([{ snapshot: { index: 20 } }]);
});

test("what a leader has sent counts when another leads: it was committed. The new one finds out by itself", () => {
  const b = checking();
  b.receive("c", heartbeat(3));
  say(b, true);
  expect(b.takeEffects("restore")).toMatchObject([{ snapshot: SNAPSHOT, hardState: { term: 3 } }]);
  expect(b.completeWrites().take("installSnapshotReply")).toEqual([]);
  b.receive("c", appendEntries(3, 9, 1, logOf([3], 10), 10));
  expect(b.completeWrites().take("appendEntriesReply")).toMatchObject([{ success: true, matchIndex: 10 }]);
});

test("who campaigns by then follows again: it asks for votes for another log than it has", () => {
  const b = checking();
  b.sleepUntil(b.node.wakeAt);
  expect(b.status.role).toBe("preCandidate");
  say(b, true);
  expect(b.takeEffects("restore")).toHaveLength(1);
  expect(b.status).toMatchObject({ role: "follower", term: 2, lastIndex: 9 });
});

test("who leads by then gives nothing up", () => {
  const b = checking();
  b.lead("c");
  expect(b.status.role).toBe("leader");
  say(b, true);
  expect(b.takeEffects("restore")).toEqual([]);
  expect(b.status).toMatchObject({ role: "leader", lastIndex: 3 });
});

test("only the present leader's snapshot takes back what was committed here", () => {
  const b = checking();
  b.receive("a", appendEntries(2, 2, 1, logOf([1], 3), 3));
  b.receive("c", heartbeat(3));
  b.receive("c", appendEntries(3, 1, 1, logOf([3], 2), 2));
  expect(b.takeEffects("contradicted")).toMatchObject([{ leader: "c", index: 2 }]);
  say(b, true);
  expect(b.takeEffects("restore")).toEqual([]);
  const request: RaftMessage = whole(3, { ...SNAPSHOT, index: 2, term: 3 });
  b.receive("c", request);
  say(b, true, 2);
  expect(b.takeEffects("restore")).toMatchObject([{ snapshot: { index: 2, term: 3 } }]);
});
