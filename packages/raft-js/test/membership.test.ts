/** Configuration changes: paper section 6, thesis chapter 4. */

import { expect, test } from "vitest";
import { decodeConfiguration, encodeConfiguration, foundingState, RaftAssertionError } from "../src/index.ts";
import {
  appendEntries,
  change,
  heartbeat,
  logOf,
  OneServer,
  requestVote,
  voters,
} from "./support/one-server.ts";

/** `c` says that it has nothing. */
const LOST_ALL = {
  kind: "appendEntriesReply",
  term: 1,
  success: false,
  matchIndex: 9,
  hintIndex: 0,
  hintTerm: 0,
} as const;
const ABC = { voters: ["a", "b", "c"], votersOutgoing: [], learners: [] };

/** `a` leads three voters and has committed its no-op. */
function leaderOfThree(): OneServer {
  const a = new OneServer().lead("b");
  a.acknowledge("b");
  a.acknowledge("c");
  a.takeSent();
  a.takeEffects("refused");
  return a;
}

/** `a` leads alone, as a founder. */
function founder(): OneServer {
  const { entries } = foundingState("a");
  const a = new OneServer({ term: 1, votedFor: "a", configuration: voters(), entries });
  return a.sleepUntil(0).completeWrites();
}

test("Raft §6: new voters enter through a joint configuration and leave it by themselves", () => {
  const a = leaderOfThree();
  a.step({ kind: "changeConfiguration", voters: ["a", "d", "e"], learners: [] });
  const joint = { voters: ["a", "d", "e"], votersOutgoing: ["a", "b", "c"], learners: [] };
  expect(a.status.configuration, "in force when appended").toEqual(joint);
  a.completeWrites();
  a.acknowledge("b");
  a.acknowledge("c");
  expect(a.status.commitIndex, "the old majority alone does not commit").toBe(1);
  a.acknowledge("d");
  expect(a.status.commitIndex).toBe(2);
  expect(a.status.configuration, "left at once").toEqual({
    voters: ["a", "d", "e"],
    votersOutgoing: [],
    learners: [],
  });
  a.completeWrites();
  a.acknowledge("d");
  expect(a.status.commitIndex, "the new majority alone commits").toBe(3);
  expect([...a.status.followers.keys()].sort()).toEqual(["d", "e"]);
});

test("Raft §6: the new majority alone does not commit in a joint configuration either", () => {
  const a = leaderOfThree();
  a.step({ kind: "changeConfiguration", voters: ["a", "d", "e"], learners: [] });
  a.completeWrites();
  a.acknowledge("d");
  a.acknowledge("e");
  expect(a.status.commitIndex).toBe(1);
});

test("Raft §6: a candidate in a joint configuration needs both majorities", () => {
  const joint = { voters: ["a", "d", "e"], votersOutgoing: ["a", "b", "c"], learners: [] };
  const a = new OneServer({ configuration: joint }).campaign("b", "d");
  a.receive("b", { kind: "requestVoteReply", term: 1, granted: true, isSuspect: false });
  a.receive("c", { kind: "requestVoteReply", term: 1, granted: true, isSuspect: false });
  expect(a.status.role).toBe("candidate");
  a.receive("e", { kind: "requestVoteReply", term: 1, granted: true, isSuspect: false });
  expect(a.status.role).toBe("leader");
});

test("Raft §6: a candidate that votes only before the change needs both majorities, and is none of the second", () => {
  const joint = { voters: ["b", "c", "d"], votersOutgoing: ["a", "b", "c"], learners: [] };
  const a = new OneServer({ configuration: joint }).campaign("b", "d");
  a.receive("b", { kind: "requestVoteReply", term: 1, granted: true, isSuspect: false });
  expect(a.status.role, "a and b of the old, but b alone of the new").toBe("candidate");
  a.receive("d", { kind: "requestVoteReply", term: 1, granted: true, isSuspect: false });
  expect(a.status.role).toBe("leader");
});

test("Raft §6: a leader whose removal is committed while a snapshot goes to a follower lets that be", () => {
  const snapshot = { index: 9, term: 1, configuration: ABC };
  const a = new OneServer({ snapshot, term: 1 }).lead("b");
  a.acknowledge("b");
  a.receive("c", { ...LOST_ALL, term: 2 });
  expect(a.takeEffects("sendSnapshot")).toHaveLength(1);
  a.step({ kind: "changeConfiguration", voters: ["b"], learners: ["c"] });
  for (let i = 0; i < 2; i++) {
    a.completeWrites();
    a.acknowledge("b");
  }
  expect(a.status).toMatchObject({ role: "follower", configuration: { voters: ["b"], learners: ["c"] } });
  a.step({ kind: "snapshotSent", to: "c", ok: true });
  a.receive("c", { kind: "snapshotChunkReply", term: 2, index: 9, offset: 4 });
  expect(a.takeEffects("sendSnapshot")).toEqual([]);
});

test("thesis 4.2.1: learners get the log, count for nothing, and need no joint configuration", () => {
  const a = leaderOfThree();
  a.step({ kind: "changeConfiguration", voters: ["a", "b", "c"], learners: ["d"] });
  expect(a.status.configuration).toEqual({ ...ABC, learners: ["d"] });
  expect(a.take("appendEntries", "d")).toHaveLength(1);
  a.completeWrites();
  a.acknowledge("d");
  expect(a.status.commitIndex).toBe(1);
  a.acknowledge("c");
  expect(a.status.commitIndex).toBe(2);
});

test("thesis 4.2.1: a learner never campaigns", () => {
  const d = new OneServer({ id: "d", term: 1, configuration: { ...ABC, learners: ["d"] } });
  d.receive("a", heartbeat(1));
  d.sleepUntil(60_000);
  expect(d.status).toMatchObject({ role: "follower", leader: undefined, term: 1 });
});

test("thesis 4.2.1: a promoted learner that has not seen its promotion votes: the asker's configuration counts", () => {
  const d = new OneServer({ id: "d", term: 1, configuration: { ...ABC, learners: ["d"] } });
  d.now = 1000;
  d.receive("b", requestVote(2));
  expect(d.completeWrites().take("requestVoteReply")).toMatchObject([{ granted: true }]);
});

test("raft-dev 2015: no change before an entry of the own term is committed", () => {
  const a = new OneServer().lead("b");
  a.step({ kind: "changeConfiguration", voters: ["a"], learners: [] });
  expect(a.takeEffects("refused")).toEqual([
    { kind: "refused", what: "configuration", reason: "changePending" },
  ]);
  a.acknowledge("b");
  a.step({ kind: "changeConfiguration", voters: ["a", "b", "d"], learners: [] });
  expect(a.takeEffects("refused")).toEqual([]);
});

test("Raft §6: one change at a time, until the joint configuration is left for good", () => {
  const a = leaderOfThree();
  const next = { kind: "changeConfiguration", voters: ["a", "b", "c"], learners: ["d"] } as const;
  a.step({ kind: "changeConfiguration", voters: ["a", "b", "d"], learners: [] });
  a.step(next);
  a.completeWrites();
  a.acknowledge("b");
  expect(a.status).toMatchObject({ commitIndex: 2, configuration: { votersOutgoing: [] } });
  a.step(next);
  expect(a.takeEffects("refused").map(({ reason }) => reason)).toEqual(["changePending", "changePending"]);
  a.completeWrites();
  a.acknowledge("b");
  a.step(next);
  expect(a.takeEffects("refused")).toEqual([]);
});

test("a follower refuses changes and commands, and a change to what is already there does nothing", () => {
  const follower = new OneServer();
  follower.step({ kind: "changeConfiguration", voters: ["a"], learners: [] });
  follower.propose(1);
  expect(follower.takeEffects("refused")).toEqual([
    { kind: "refused", what: "configuration", reason: "notLeader" },
    { kind: "refused", what: "commands", reason: "notLeader" },
  ]);
  const a = leaderOfThree();
  expect(a.step({ kind: "changeConfiguration", voters: ["c", "b", "a"], learners: [] })).toEqual([]);
});

test.each([
  [[], []],
  [["a", "a"], []],
  [["a"], ["a"]],
  [[""], []],
  [["\ud800"], []],
])("a target with voters %j and learners %j is a bug of the caller", (voters, learners) => {
  const a = leaderOfThree();
  expect(() => a.step({ kind: "changeConfiguration", voters, learners })).toThrow(RaftAssertionError);
});

test("Raft §6: a leader that is no longer a voter leads until the change is committed, then steps down", () => {
  const a = leaderOfThree();
  a.step({ kind: "changeConfiguration", voters: ["b", "c", "d"], learners: [] });
  a.completeWrites();
  a.acknowledge("b");
  a.acknowledge("c");
  expect(a.status).toMatchObject({
    role: "leader",
    configuration: { voters: ["b", "c", "d"], votersOutgoing: [] },
  });
  a.completeWrites();
  a.acknowledge("b");
  expect(a.status.role, "its own copy does not count").toBe("leader");
  a.takeSent();
  a.acknowledge("c");
  expect(a.status).toMatchObject({ role: "follower", commitIndex: 3 });
  expect(a.take("appendEntries"), "the others learn the commit before it goes").toMatchObject([
    { leaderCommit: 3 },
    { leaderCommit: 3 },
  ]);
  a.sleepUntil(60_000);
  expect(a.status.role, "removed for good").toBe("follower");
});

test("thesis 4.2.2: a server that an uncommitted change removes still campaigns, as it may hold the only copy", () => {
  const entries = [change(1, 1, voters("a")), change(2, 1, { ...voters("b"), votersOutgoing: ["a"] })];
  const a = new OneServer({ configuration: voters(), entries: [...entries, change(3, 1, voters("b"))] });
  a.campaign("b");
  a.receive("b", { kind: "requestVoteReply", term: 2, granted: true, isSuspect: false });
  expect(a.status.role).toBe("leader");
});

test("Raft §6: an overwritten configuration is undone", () => {
  const a = new OneServer({ entries: [...logOf([1]), change(2, 1, voters("a", "x", "y"))] });
  expect(a.status.configuration).toEqual(voters("a", "x", "y"));
  const effects = a.receive("b", appendEntries(2, 1, 1, logOf([2], 2)));
  expect(a.status.configuration).toEqual(voters("a", "b", "c"));
  expect(effects).toContainEqual({ kind: "configurationChanged", configuration: voters("a", "b", "c") });
});

test("Raft §6: a restarted server uses an appended but uncommitted configuration", () => {
  const joint = { voters: ["a", "b", "c"], votersOutgoing: ["a"], learners: [] };
  const a = new OneServer({ configuration: voters("a"), entries: [...logOf([1]), change(2, 1, joint)] });
  a.sleepUntil(0).completeWrites();
  expect(a.status, "a sole voter would lead by now").toMatchObject({
    role: "follower",
    configuration: joint,
  });
});

test("a new leader that finds a joint configuration finishes the change", () => {
  const joint = { voters: ["a", "b"], votersOutgoing: ["a", "b", "c"], learners: [] };
  const a = new OneServer({ entries: [change(1, 1, joint)] }).lead("b");
  expect(a.status.configuration).toEqual(joint);
  a.acknowledge("b");
  expect(a.status.configuration).toEqual(voters("a", "b"));
});

test("a founder grows 1 -> 3: learners first, then one joint change", () => {
  const a = founder();
  expect(a.status).toMatchObject({ role: "leader", configuration: voters("a") });
  a.step({ kind: "changeConfiguration", voters: ["a"], learners: ["b", "c"] });
  a.completeWrites();
  expect(a.status.commitIndex, "a sole voter commits alone").toBe(3);
  a.step({ kind: "changeConfiguration", voters: ["a", "b", "c"], learners: [] });
  a.completeWrites();
  expect(a.status.commitIndex).toBe(3);
  a.acknowledge("b");
  a.completeWrites();
  a.acknowledge("b");
  expect(a.status).toMatchObject({ commitIndex: 5, configuration: voters("a", "b", "c") });
});

test("encodeConfiguration() gives equal bytes for equal configurations and comes back sorted", () => {
  const one = { voters: ["b", "a", "ü"], votersOutgoing: ["z"], learners: ["q", "p"] };
  const other = { voters: ["ü", "a", "b"], votersOutgoing: ["z"], learners: ["p", "q"] };
  expect(encodeConfiguration(one)).toEqual(encodeConfiguration(other));
  expect(decodeConfiguration(encodeConfiguration(one))).toEqual({
    voters: ["a", "b", "ü"],
    votersOutgoing: ["z"],
    learners: ["p", "q"],
  });
});
