/** Replicas that no longer hold the same state: found, named, and kept from voting and leading. */

import { expect, test } from "vitest";
import { appendEntries, heartbeat, logOf, OneServer, preVote, voters, whole } from "./support/one-server.ts";

function report(a: OneServer, from: string, index: number, hash: string) {
  const sentAt = a.now;
  return a.receive(from, { kind: "heartbeatReply", term: 1, sentAt, round: 1, stateHash: { index, hash } });
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

test("who agreed with the leader at an earlier index is no witness: the leader may have gone wrong since", () => {
  const a = leader();
  report(a, "b", 100, "good");
  a.step({ kind: "stateHash", stateHash: { index: 200, hash: "wrong" } });
  report(a, "c", 200, "right");
  expect(a.takeEffects("diverged")).toEqual([]);
  expect(a.take("stateDiverged")).toEqual([]);
  report(a, "b", 200, "right");
  expect(a.takeEffects("diverged")).toEqual([{ kind: "diverged", server: "a", index: 200 }]);
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
