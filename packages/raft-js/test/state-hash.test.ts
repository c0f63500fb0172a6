/** Replicas that no longer hold the same state: found, named, and kept from voting and leading. */

import { expect, test } from "vitest";
import {
  appendEntries,
  change,
  heartbeat,
  logOf,
  OneServer,
  preVote,
  voters,
  whole,
} from "./support/one-server.ts";

function report(a: OneServer, from: string, index: number, hash: string) {
  const sentAt = a.now;
  return a.receive(from, {
    kind: "heartbeatReply",
    term: 1,
    sentAt,
    round: 1,
    nonce: 0,
    stateHash: { index, hash },
  });
}

function leader(): OneServer {
  const a = new OneServer().lead("b");
  a.acknowledge("b");
  a.acknowledge("c");
  a.step({ kind: "stateHash", stateHash: { index: 100, hash: "good" } });
  a.takeSent();
  return a;
}

test("followers report their newest state hash with the answer to every heartbeat", () => {
  const b = new OneServer({ id: "b", term: 1 });
  b.step({ kind: "stateHash", stateHash: { index: 100, hash: "x" } });
  b.step({ kind: "stateHash", stateHash: { index: 200, hash: "y" } });
  b.receive("a", heartbeat(1));
  expect(b.take("heartbeatReply")).toMatchObject([{ stateHash: { index: 200, hash: "y" } }]);
});

test("where a quorum agrees with the leader, whoever differs is told, and named once", () => {
  const a = leader();
  report(a, "c", 100, "bad");
  expect(a.takeEffects("diverged"), "one against one").toEqual([]);
  report(a, "b", 100, "good");
  report(a, "c", 100, "bad");
  report(a, "c", 100, "bad");
  expect(a.takeEffects("diverged")).toEqual([{ kind: "diverged", server: "c", index: 100 }]);
  expect(a.take("stateDiverged", "c")[0]).toEqual({
    kind: "stateDiverged",
    term: 1,
    stateHash: { index: 100, hash: "good" },
  });
  expect(a.status).toMatchObject({ role: "leader", isDiverged: false });
});

test("where a quorum has another hash than the leader, the leader steps down and never leads again", () => {
  const a = leader();
  report(a, "b", 100, "other");
  report(a, "c", 100, "third");
  expect(a.status.role, "they do not agree with each other").toBe("leader");
  report(a, "c", 100, "other");
  expect(a.takeEffects("diverged")).toEqual([{ kind: "diverged", server: "a", index: 100 }]);
  expect(a.status).toMatchObject({ role: "follower", isDiverged: true });
  a.sleepUntil(a.now + 60_000);
  expect(a.status).toMatchObject({ role: "follower", term: 1 });
});

test("a leader that goes wrong makes nobody isolate himself by what he agreed to before", () => {
  const a = leader();
  report(a, "b", 100, "good");
  report(a, "c", 100, "good");
  a.step({ kind: "stateHash", stateHash: { index: 200, hash: "wrong" } });
  report(a, "c", 200, "right");
  expect(a.takeEffects("diverged"), "one against one: b has not said anything about 200").toEqual([]);
  expect(a.take("stateDiverged")).toEqual([]);
  report(a, "b", 200, "right");
  expect(a.takeEffects("diverged")).toEqual([{ kind: "diverged", server: "a", index: 200 }]);
});

test("who differs is named also if it reported first, and again if it goes wrong again", () => {
  const a = leader();
  report(a, "c", 100, "bad");
  report(a, "b", 100, "good");
  expect(a.takeEffects("diverged")).toMatchObject([{ server: "c", index: 100 }]);
  for (const index of [200, 300]) a.step({ kind: "stateHash", stateHash: { index, hash: "good" } });
  for (const id of ["b", "c"]) report(a, id, 200, "good");
  report(a, "b", 300, "good");
  report(a, "c", 300, "bad");
  expect(a.takeEffects("diverged")).toMatchObject([{ server: "c", index: 300 }]);
});

test("in a joint configuration both majorities must have the same state", () => {
  const joint = { voters: ["a", "b", "c"], votersOutgoing: ["a", "d", "e"], learners: [] };
  const a = new OneServer({ configuration: joint }).lead("b", "d");
  a.step({ kind: "stateHash", stateHash: { index: 100, hash: "good" } });
  report(a, "b", 100, "good");
  report(a, "c", 100, "bad");
  expect(a.takeEffects("diverged"), "of the outgoing voters only the leader has said anything").toEqual([]);
  report(a, "e", 100, "good");
  expect(a.takeEffects("diverged")).toMatchObject([{ server: "c" }]);
});

test("a learner of a sole voter that differs is the one that is wrong", () => {
  const configuration = { voters: ["a"], votersOutgoing: [], learners: ["l"] };
  const a = new OneServer({ configuration }).sleepUntil(0).completeWrites();
  a.step({ kind: "stateHash", stateHash: { index: 100, hash: "good" } });
  report(a, "l", 100, "bad");
  expect(a.takeEffects("diverged")).toMatchObject([{ server: "l" }]);
});

test("a diverged server neither votes nor campaigns, but follows and acknowledges: its log is as good as before", () => {
  const c = new OneServer({ id: "c", term: 1 });
  c.step({ kind: "stateHash", stateHash: { index: 100, hash: "bad" } });
  c.receive("a", heartbeat(1));
  c.receive("a", { kind: "stateDiverged", term: 1, stateHash: { index: 100, hash: "bad" } });
  c.receive("a", { kind: "stateDiverged", term: 1, stateHash: { index: 200, hash: "good" } });
  expect(c.status.isDiverged, "what it cannot see for itself it does not believe").toBe(false);
  c.receive("a", { kind: "stateDiverged", term: 1, stateHash: { index: 100, hash: "good" } });
  expect(c.takeEffects("diverged")).toEqual([{ kind: "diverged", server: "c", index: 100 }]);
  c.takeSent();
  c.sleepUntil(60_000);
  c.receive("b", preVote(2, 9, 1));
  expect(c.takeSent().map(({ message }) => message)).toMatchObject([
    { kind: "preVoteReply", granted: false },
  ]);
  c.receive("a", appendEntries(2, 0, 0, logOf([2])));
  expect(c.completeWrites().take("appendEntriesReply")).toMatchObject([{ success: true, matchIndex: 1 }]);
});

test("a snapshot of the leader replaces the state, and the server is whole again", () => {
  const c = new OneServer({ id: "c", term: 1 });
  c.step({ kind: "stateHash", stateHash: { index: 100, hash: "bad" } });
  c.receive("a", { kind: "stateDiverged", term: 1, stateHash: { index: 100, hash: "good" } });
  expect(c.status.isDiverged).toBe(true);
  c.receive(
    "a",
    whole(1, { index: 200, term: 1, configuration: voters("a", "b", "c"), data: new Uint8Array(3) }),
  );
  expect(c.completeWrites().status.isDiverged).toBe(false);
});

const ABC = voters("a", "b", "c");

/** `c` holds six entries, of which five are committed; its state is wrong, and it wants the leader's. */
function wrong(): OneServer {
  const c = new OneServer({ id: "c", term: 1 });
  c.receive("a", appendEntries(1, 0, 0, [...logOf([1, 1, 1]), change(4, 1, ABC), ...logOf([1, 1], 5)], 5));
  c.completeWrites();
  c.step({ kind: "stateHash", stateHash: { index: 5, hash: "bad" } });
  c.receive("a", { kind: "stateDiverged", term: 1, stateHash: { index: 5, hash: "good" } });
  c.receive("a", heartbeat(1, 5));
  expect(c.take("snapshotRequest"), "not before its application wants it").toEqual([]);
  c.step({ kind: "replaceState" });
  c.takeEffects("apply");
  return c;
}

test("a diverged server asks every leader, with every heartbeat, for the state as of what it had committed", () => {
  const c = wrong();
  const request = { kind: "snapshotRequest", term: 1, minIndex: 5 };
  for (let i = 0; i < 2; i++) {
    c.receive("a", heartbeat(1, 5));
    expect(c.take("snapshotRequest", "a")).toEqual([request]);
  }
  c.receive("a", appendEntries(1, 6, 1, logOf([1], 7), 7));
  c.completeWrites().takeSent();
  c.receive("b", heartbeat(2, 7));
  expect(c.take("snapshotRequest", "b"), "what is committed later does not move the mark").toEqual([
    { ...request, term: 2 },
  ]);
});

test("the leader's state replaces a wrong one, and the log with all that was acknowledged stays", () => {
  const c = wrong();
  c.receive("a", appendEntries(1, 6, 1, logOf([1, 1], 7), 7));
  c.completeWrites();
  c.takeEffects("apply");
  c.takeSent();
  c.receive("a", whole(1, { index: 4, term: 1, configuration: ABC, data: new Uint8Array(3) }));
  expect(c.takeEffects("restore"), "older than what it had committed").toEqual([]);
  c.receive("a", whole(1, { index: 5, term: 1, configuration: ABC, data: new Uint8Array(3) }));
  expect(c.takeEffects("restore")).toMatchObject([{ keepsLog: true, snapshot: { index: 5 } }]);
  expect(c.status).toMatchObject({ isDiverged: false, lastIndex: 8, commitIndex: 7 });
  c.receive("a", heartbeat(1, 7));
  expect(c.takeEffects("apply"), "not before the state is there").toEqual([]);
  c.completeWrites();
  expect(c.takeEffects("apply")).toMatchObject([{ entries: [{ index: 6 }, { index: 7 }] }]);
  expect(c.take("installSnapshotReply").at(-1)).toMatchObject({ matchIndex: 7 });
  c.receive("a", appendEntries(1, 8, 1, [], 8));
  expect(c.take("appendEntriesReply"), "what it acknowledged it still has").toMatchObject([
    { success: true, matchIndex: 8 },
  ]);
  expect(c.take("snapshotRequest")).toEqual([]);
});

test("a leader's state that is ahead of a wrong server's log replaces both", () => {
  const c = wrong();
  c.receive("a", whole(1, { index: 20, term: 1, configuration: ABC, data: new Uint8Array(3) }));
  expect(c.takeEffects("restore")).toMatchObject([{ keepsLog: false, snapshot: { index: 20 } }]);
  expect(c.completeWrites().status).toMatchObject({ isDiverged: false, lastIndex: 20, lastApplied: 20 });
});

test("a state that comes in pieces is complete although what it covers is committed meanwhile", () => {
  const c = wrong();
  const point = { index: 5, term: 1, configuration: ABC };
  const piece = { kind: "installSnapshot", term: 1, point, totalBytes: 2, data: new Uint8Array(1) } as const;
  c.receive("a", { ...piece, offset: 0 });
  c.receive("a", heartbeat(1, 6));
  c.receive("a", { ...piece, offset: 1 });
  expect(c.takeEffects("restore")).toMatchObject([{ keepsLog: true, snapshot: { index: 5 } }]);
});

test("changes of the configuration behind the state that was taken over stay in force", () => {
  const c = wrong();
  const grown = { ...ABC, learners: ["d"] };
  c.receive("a", appendEntries(1, 6, 1, [change(7, 1, grown)], 7));
  c.completeWrites();
  c.receive("a", whole(1, { index: 5, term: 1, configuration: ABC, data: new Uint8Array(3) }));
  c.completeWrites();
  expect(c.status.configuration).toEqual(grown);
  expect(c.node.snapshotPoint(6)?.configuration).toEqual(ABC);
  expect(c.node.snapshotPoint(7)?.configuration).toEqual(grown);
});

test("the leader serves a wrong follower once it has committed as much, from a snapshot that is new enough, and counts it on", () => {
  const a = leader();
  a.propose(1, 2);
  a.completeWrites();
  a.acknowledge("c", 3);
  a.takeSent();
  a.receive("c", { kind: "snapshotRequest", term: 1, minIndex: 4 });
  expect(a.takeEffects("sendSnapshot"), "not committed here").toEqual([]);
  a.receive("c", { kind: "snapshotRequest", term: 1, minIndex: 3 });
  expect(a.takeEffects("sendSnapshot")).toMatchObject([{ to: "c", index: undefined, minIndex: 3 }]);
  a.step({ kind: "snapshotSent", to: "c", ok: true });
  expect(a.status.followers.get("c")?.matchIndex, "its log is good").toBe(3);
  // An answer that was still under way does not end it.
  a.acknowledge("c", 3);
  a.propose(3);
  a.completeWrites();
  expect(a.take("appendEntries", "c"), "the state first").toEqual([]);
  a.receive("c", { kind: "snapshotChunkReply", term: 1, index: 3, offset: 10 });
  expect(a.takeEffects("sendSnapshot")).toMatchObject([{ index: 3, offset: 10, minIndex: 3 }]);
  a.step({ kind: "snapshotSent", to: "c", ok: false });
  a.receive("c", { kind: "snapshotRequest", term: 1, minIndex: 3 });
  expect(a.takeEffects("sendSnapshot"), "resumed, although its log is as far").toMatchObject([
    { index: 3, offset: 10 },
  ]);
  a.receive("c", { kind: "installSnapshotReply", term: 1, matchIndex: 3 });
  expect(a.take("appendEntries", "c")).toMatchObject([{ prevLogIndex: 3, entries: [{ index: 4 }] }]);
});
