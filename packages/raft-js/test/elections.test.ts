/** PreVote, stickiness, CheckQuorum, timeouts, restarts and leases: thesis 4.2.3, 6.2, 6.4.1, 9.6. */

import { expect, test } from "vitest";
import { EMPTY_STATE, foundingState, RaftNode } from "../src/index.ts";
import {
  appendEntries,
  heartbeat,
  logOf,
  OneServer,
  OPTIONS,
  preVote,
  requestVote,
  voters,
} from "./support/one-server.ts";

test("thesis 9.6: a pre-vote changes neither term nor vote of anyone", () => {
  const a = new OneServer({ term: 1 });
  a.sleepUntil(a.node.wakeAt);
  expect(a.status).toMatchObject({ role: "preCandidate", term: 1 });
  a.receive("b", preVote(9));
  expect(a.take("preVoteReply")).toEqual([
    { kind: "preVoteReply", term: 9, granted: true, isSuspect: false },
  ]);
  expect(a.status.term).toBe(1);
  expect(a.writes).toEqual([]);
});

test("thesis 9.6: without a majority of pre-votes the term never rises, however long it lasts", () => {
  const a = new OneServer({ term: 1 }).sleepUntil(60_000);
  expect(a.status).toMatchObject({ role: "preCandidate", term: 1 });
});

test("a pre-candidate asks those who did not grant again, with growing pauses", () => {
  const a = new OneServer({ term: 1, configuration: voters("a", "b", "c", "d", "e") });
  a.sleepUntil(a.node.wakeAt);
  const { now } = a;
  a.receive("b", { kind: "preVoteReply", term: 2, granted: true, isSuspect: false });
  a.receive("c", { kind: "preVoteReply", term: 1, granted: false, isSuspect: false });
  a.takeSent();
  a.sleepUntil(now + 99);
  expect(a.takeSent()).toEqual([]);
  a.sleepUntil(now + 100);
  expect(a.takeSent().map(({ to }) => to)).toEqual(["c", "d", "e"]);
  a.sleepUntil(now + 299);
  expect(a.takeSent()).toEqual([]);
  a.sleepUntil(now + 300);
  expect(a.takeSent()).toHaveLength(3);
  a.receive("c", { kind: "preVoteReply", term: 2, granted: true, isSuspect: false });
  expect(a.status.role).toBe("candidate");
});

test("thesis 4.2.3: who heard a leader grants neither vote nor pre-vote for one minimum election timeout", () => {
  const a = new OneServer({ term: 1 });
  a.sleepUntil(900);
  a.receive("b", heartbeat(1));
  a.takeSent();
  a.sleepUntil(1899);
  a.receive("c", preVote(2));
  a.receive("c", requestVote(2));
  expect(a.takeSent().map(({ message }) => message)).toEqual([
    { kind: "preVoteReply", term: 1, granted: false, isSuspect: false },
  ]);
  expect(a.status).toMatchObject({ term: 1, leader: "b" });
  a.now = 1900;
  a.receive("c", preVote(2));
  expect(a.take("preVoteReply")).toMatchObject([{ granted: true }]);
});

test("thesis 4.2.3: a removed server with any term does not depose a leader", () => {
  const a = new OneServer({ term: 1 }).lead("b");
  a.takeSent();
  a.receive("z", preVote(99, 99, 98));
  a.receive("z", requestVote(99, 99, 98));
  a.receive("z", { kind: "requestVoteReply", term: 99, granted: false, isSuspect: false });
  expect(a.status).toMatchObject({ role: "leader", term: 2 });
  expect(a.take("preVoteReply")).toMatchObject([{ granted: false, term: 2 }]);
});

test("thesis 6.2: a leader that no quorum answers for the longest election timeout steps down", () => {
  const a = new OneServer({ configuration: voters("a", "b", "c", "d", "e") }).lead("b", "c");
  const elected = a.now;
  a.sleepUntil(elected + 1500);
  a.receive("b", {
    kind: "heartbeatReply",
    term: 1,
    sentAt: elected,
    round: 0,
    nonce: 0,
    stateHash: undefined,
  });
  a.sleepUntil(elected + 1999);
  expect(a.status.role, "b was heard, c since the election counts").toBe("leader");
  a.sleepUntil(elected + 2000);
  expect(a.status).toMatchObject({ role: "follower", term: 1, leader: undefined });
});

test("thesis 6.2: newcomers' silence counts from when they are followed, and then both majorities must answer", () => {
  const a = new OneServer().lead("b");
  for (const id of ["b", "c"]) a.acknowledge(id);
  const hear = (...ids: readonly string[]) => {
    for (const id of ids)
      a.receive(id, {
        kind: "heartbeatReply",
        term: 1,
        sentAt: a.now,
        round: 1,
        nonce: 0,
        stateHash: undefined,
      });
  };
  a.sleepUntil(a.now + 1900);
  hear("b", "c");
  a.step({ kind: "changeConfiguration", voters: ["a", "d", "e"], learners: [] });
  const { now } = a;
  a.sleepUntil(now + 1900);
  hear("b", "c");
  expect(a.status.role).toBe("leader");
  a.sleepUntil(now + 1999);
  expect(a.status.role, "d and e have never answered").toBe("leader");
  a.sleepUntil(now + 2000);
  expect(a.status.role).toBe("follower");
});

test("thesis 6.2: a leader that a quorum answers stays", () => {
  const a = new OneServer().lead("b");
  for (let i = 0; i < 50; i++) {
    a.sleepUntil(a.now + 500);
    a.receive("c", {
      kind: "heartbeatReply",
      term: 1,
      sentAt: a.now,
      round: 0,
      nonce: 0,
      stateHash: undefined,
    });
  }
  expect(a.status.role).toBe("leader");
});

test("thesis 6.4.1: quorum contact is the send time of the newest heartbeat that a quorum answered", () => {
  const a = new OneServer({ configuration: voters("a", "b", "c", "d", "e") }).lead("b", "c");
  expect(a.status.quorumContactAt).toBeUndefined();
  const t0 = a.now;
  a.sleepUntil(t0 + 450);
  const answer = (from: string, sentAt: number) =>
    a.receive(from, { kind: "heartbeatReply", term: 1, sentAt, round: 0, nonce: 0, stateHash: undefined });
  answer("b", t0 + 300);
  expect(a.status.quorumContactAt, "two of five").toBeUndefined();
  answer("c", t0 + 100);
  expect(a.status.quorumContactAt, "never the time of receipt").toBe(t0 + 100);
  answer("d", t0 + 200);
  expect(a.status.quorumContactAt).toBe(t0 + 200);
  answer("d", t0 + 100);
  expect(a.status.quorumContactAt, "late answers do not lower it").toBe(t0 + 200);
  answer("c", t0 + 10_000);
  answer("e", t0 - 1);
  expect(a.status.quorumContactAt, "answers to what was never sent do not count").toBe(t0 + 200);
});

test("thesis 6.4.1: in a joint configuration both majorities must have answered", () => {
  const joint = { voters: ["a", "b", "c"], votersOutgoing: ["a", "d", "e"], learners: [] };
  const a = new OneServer({ configuration: joint }).lead("b", "d");
  const sentAt = a.now;
  a.receive("b", { kind: "heartbeatReply", term: 1, sentAt, round: 0, nonce: 0, stateHash: undefined });
  expect(a.status.quorumContactAt).toBeUndefined();
  a.receive("e", { kind: "heartbeatReply", term: 1, sentAt, round: 0, nonce: 0, stateHash: undefined });
  expect(a.status.quorumContactAt).toBe(sentAt);
});

/** `a` leads `voters` and has a lease until `now` + 940. */
function leaderWithLease(...ids: readonly string[]): OneServer {
  const a = new OneServer({ configuration: voters("a", ...ids) }).lead(...ids);
  for (const id of ids) {
    a.acknowledge(id);
    a.receive(id, {
      kind: "heartbeatReply",
      term: 1,
      sentAt: a.now,
      round: 1,
      nonce: 0,
      stateHash: undefined,
    });
  }
  expect(a.status.leaseUntil).toBe(a.now + 940);
  return a;
}

test("thesis 6.4.1: another server becomes the only voter not before the leader's lease is over", () => {
  const a = leaderWithLease("b");
  const { now } = a;
  a.step({ kind: "changeConfiguration", voters: ["b"], learners: ["a"] });
  expect(a.status.leaseUntil, "no new one, but the old one was promised").toBeUndefined();
  a.completeWrites();
  a.acknowledge("b");
  for (let at = now + 100; at <= now + 900; at += 100) {
    a.sleepUntil(at);
    a.acknowledge("b");
    expect(
      a.status.configuration,
      "b would lead at once if it restarted now, with itself alone in its log",
    ).toEqual({
      voters: ["b"],
      votersOutgoing: ["a", "b"],
      learners: ["a"],
    });
  }
  a.sleepUntil(now + 940);
  expect(a.status.configuration).toEqual({ voters: ["b"], votersOutgoing: [], learners: ["a"] });
  a.acknowledge("b");
  expect(a.status.role).toBe("follower");
});

test("thesis 6.4.1: a leader that several others replace keeps its lease, and leaves the joint configuration at once", () => {
  const a = leaderWithLease("b", "c");
  a.step({ kind: "changeConfiguration", voters: ["b", "c"], learners: [] });
  a.completeWrites();
  a.acknowledge("b");
  a.acknowledge("c");
  expect(a.status.configuration.votersOutgoing).toEqual([]);
  expect(a.status.leaseUntil, "b and c withhold their votes, also over a restart").toBe(a.now + 940);
});

test("thesis 6.4.1: a sole voter is its own quorum, now", () => {
  const a = new OneServer({ configuration: voters("a") }).sleepUntil(0).completeWrites();
  expect(a.node.status(1234).quorumContactAt).toBe(1234);
});

test("a restarted voter grants nothing for one minimum election timeout: it may have just answered a leader", () => {
  const a = new OneServer({ term: 1, entries: logOf([1]) });
  a.now = 999;
  a.receive("b", preVote(2, 1, 1));
  a.receive("b", requestVote(2, 1, 1));
  expect(a.takeSent().map(({ message }) => message)).toEqual([
    { kind: "preVoteReply", term: 1, granted: false, isSuspect: false },
  ]);
  a.now = 1000;
  a.receive("b", requestVote(2, 1, 1));
  expect(a.completeWrites().take("requestVoteReply")).toMatchObject([{ granted: true }]);
});

test("a server without a term withholds its vote too: it may have answered a leader before that reached its disk", () => {
  const before = new OneServer({ term: 0, configuration: EMPTY_STATE.snapshot.configuration });
  before.receive("b", heartbeat(1));
  expect(
    before.take("heartbeatReply"),
    "not waiting for the disk: the leader's lease counts it",
  ).toHaveLength(1);
  const after = new OneServer({ term: 0, configuration: EMPTY_STATE.snapshot.configuration });
  after.now = 999;
  after.receive("c", requestVote(2));
  expect(after.completeWrites().take("requestVoteReply")).toEqual([]);
  after.now = 1000;
  after.receive("c", requestVote(2));
  expect(after.completeWrites().take("requestVoteReply")).toMatchObject([{ granted: true }]);
});

test("a newcomer that knows no term yet refuses a pre-vote, and is not taken for one who talks nonsense", () => {
  const newcomer = new OneServer({ id: "b", term: 0 });
  newcomer.receive("a", preVote(2));
  const [refusal] = newcomer.take("preVoteReply");
  expect(refusal).toMatchObject({ term: 0, granted: false });
  const a = new OneServer({ term: 1 }).sleepUntil(1500);
  expect(a.status.role).toBe("preCandidate");
  a.receive("b", refusal!);
  expect(a.status).toMatchObject({ role: "preCandidate", rejectedMessages: 0 });
});

test("a sole voter leads at once, when its vote and its no-op are safe", () => {
  const node = new RaftNode({ ...OPTIONS, id: "a" }, foundingState("a"), 50);
  expect(node.wakeAt).toBe(50);
  const [vote] = node.step({ kind: "wake" }, 50);
  expect(vote).toMatchObject({ kind: "persist", hardState: { term: 2, votedFor: "a" }, index: 1, term: 1 });
  expect(node.status().role).toBe("candidate");
  const [noOp] = node.step({ kind: "persisted", index: 1, term: 1 }, 51);
  expect(noOp).toMatchObject({ kind: "persist", entries: [{ index: 2, kind: "empty" }] });
  const effects = node.step({ kind: "persisted", index: 2, term: 2 }, 52);
  expect(effects).toMatchObject([{ kind: "apply", entries: [{ kind: "configuration" }, { kind: "empty" }] }]);
  expect(node.status()).toMatchObject({ role: "leader", commitIndex: 2, quorumContactAt: 52 });
});

test("a server that belongs to nothing waits, without a timer", () => {
  const node = new RaftNode({ ...OPTIONS, id: "a" }, EMPTY_STATE, 0);
  expect(node.wakeAt).toBe(Number.POSITIVE_INFINITY);
  node.step({ kind: "receive", from: "b", message: heartbeat(1) }, 10);
  expect(node.status().leader).toBe("b");
  node.step({ kind: "wake" }, node.wakeAt);
  expect(node.status(), "it gives up the silent leader and does not campaign").toMatchObject({
    role: "follower",
    leader: undefined,
  });
  expect(node.wakeAt).toBe(Number.POSITIVE_INFINITY);
});

/** The timeout of `id` after hearing `leader` in `term`, in ms. */
function timeoutOf(id: string, all: readonly string[], leader: string, term: number, jitter: number): number {
  const server = new OneServer({
    id,
    term,
    configuration: voters(...all),
    options: { randomBelow: (bound) => Math.min(jitter, bound - 1) },
  });
  server.receive(leader, heartbeat(term));
  return server.node.wakeAt;
}

test("followers of one leader draw different slots within [electionMinMs, electionMaxMs), the first at the minimum", () => {
  for (const all of [
    ["a", "b", "c"],
    ["a", "b", "c", "d", "e"],
  ]) {
    for (let term = 1; term <= 6; term++) {
      const followers = all.filter((id) => id !== "b");
      const slowest = followers.map((id) => timeoutOf(id, all, "b", term, 1e9)).sort((x, y) => x - y);
      const fastest = followers.map((id) => timeoutOf(id, all, "b", term, 0)).sort((x, y) => x - y);
      expect(fastest[0]).toBe(1000);
      expect(slowest.at(-1)).toBeLessThan(2000);
      // Even the latest of a slot is well before the earliest of the next one.
      slowest.slice(0, -1).forEach((late, i) => {
        expect(fastest[i + 1]! - late).toBeGreaterThan(500 / followers.length);
      });
    }
  }
});

test("candidates try again after two heartbeat intervals, in slots of their own, then after twice that, at most an election timeout", () => {
  const all = ["a", "b", "c"];
  const waits = all.map((id) => {
    const server = new OneServer({ id, term: 1, configuration: voters(...all) });
    return Array.from({ length: 6 }, () => {
      server.campaign(...all.filter((other) => other !== id));
      const { now } = server;
      expect(server.status.role).toBe("candidate");
      while (server.status.role === "candidate") server.sleepUntil(server.node.wakeAt);
      return server.now - now;
    });
  });
  for (const [at, least] of [200, 400, 800, 1000, 1000, 1000].entries()) {
    const round = waits.map((each) => each[at] ?? 0);
    expect(new Set(round).size, "no two at once").toBe(3);
    expect(Math.min(...round)).toBe(least);
    expect(Math.max(...round)).toBeLessThan(2000);
  }
});

test("a candidate that is refused tries again when it would have otherwise, and with new patience once there was a leader", () => {
  const all = ["a", "b", "c"];
  const server = new OneServer({ term: 1, configuration: voters(...all) });
  const refusedAfter = (): number => {
    server.campaign("b", "c");
    const { now } = server;
    const { term } = server.status;
    server.sleepUntil(now + 50);
    for (const from of ["b", "c"])
      server.receive(from, { kind: "requestVoteReply", term, granted: false, isSuspect: false });
    expect(server.status.role).toBe("follower");
    while (server.status.role === "follower") server.sleepUntil(server.node.wakeAt);
    return server.now - now;
  };
  const [first, second] = [refusedAfter(), refusedAfter()];
  expect([first < 500, second >= 400]).toEqual([true, true]);
  const { term } = server.status;
  server.receive("b", heartbeat(term + 1, 0));
  expect(refusedAfter()).toBeLessThan(500);
});

test("slots rotate by term: no server is always the last", () => {
  const all = ["a", "b", "c"];
  expect(timeoutOf("a", all, "b", 1, 0)).not.toBe(timeoutOf("a", all, "b", 2, 0));
});

test("a suspect server's grant is marked and makes no quorum", () => {
  const s = new OneServer({ term: 1, entries: logOf([1]), isSuspect: true });
  s.now = 1000;
  s.receive("b", preVote(2, 9, 1));
  s.receive("b", requestVote(2, 9, 1));
  const replies = s.completeWrites().takeSent();
  expect(replies.map(({ message }) => message)).toMatchObject([
    { kind: "preVoteReply", granted: true, isSuspect: true },
    { kind: "requestVoteReply", granted: true, isSuspect: true },
  ]);
  const a = new OneServer();
  a.campaign("b");
  a.receive("c", { kind: "requestVoteReply", term: 1, granted: true, isSuspect: true });
  expect(a.status.role, "its own vote and a suspect's").toBe("candidate");
  a.receive("b", { kind: "requestVoteReply", term: 1, granted: true, isSuspect: false });
  expect(a.status.role).toBe("leader");
});

test("a suspect server leads only if every voter grants, and is trusted once it has committed in its term", () => {
  const start = { term: 1, entries: logOf([1]), isSuspect: true };
  const a = new OneServer(start).sleepUntil(60_000);
  expect(a.status, "alone it asks without end").toMatchObject({ role: "preCandidate", term: 1 });
  const grant = (from: string, kind: "preVoteReply" | "requestVoteReply", isSuspect: boolean) =>
    a.receive(from, { kind, term: 2, granted: true, isSuspect });
  grant("b", "preVoteReply", false);
  expect(a.status.role, "a majority is not all").toBe("preCandidate");
  grant("c", "preVoteReply", true);
  a.completeWrites();
  expect(a.status.role).toBe("candidate");
  grant("b", "requestVoteReply", true);
  expect(a.status.role).toBe("candidate");
  grant("c", "requestVoteReply", true);
  expect(a.completeWrites().status).toMatchObject({ role: "leader", isSuspect: true });
  a.acknowledge("b");
  expect(a.status).toMatchObject({ commitIndex: 2, isSuspect: false });
});

test("where every voter is needed, those that did not grant are named, and nobody once there is a leader", () => {
  /** For three rounds, `b` answers every 100 ms. */
  const threeRounds = (server: OneServer, isSuspect?: boolean): readonly string[] => {
    for (const until = server.now + 6000; server.now < until; server.sleepUntil(server.now + 100))
      if (isSuspect !== undefined)
        server.receive("b", { kind: "preVoteReply", term: 2, granted: true, isSuspect });
    return server.status.awaited;
  };
  const a = new OneServer({ term: 1, entries: logOf([1]), isSuspect: true });
  a.sleepUntil(a.node.wakeAt);
  expect(a.status.awaited, "the first round is not over").toEqual([]);
  expect(threeRounds(a, true)).toEqual(["c"]);
  expect(threeRounds(a)).toEqual(["b", "c"]);
  a.receive("b", heartbeat(2));
  expect(a.status.awaited).toEqual([]);
  // One that is trusted waits for all as soon as a suspect one takes part; before, for a majority, whoever that is.
  const trusted = new OneServer({ term: 1 });
  expect(threeRounds(trusted)).toEqual([]);
  expect(threeRounds(trusted, true)).toEqual(["c"]);
});

test("one refusal is enough to stop a suspect candidate", () => {
  const a = new OneServer({ term: 1, entries: logOf([1]), isSuspect: true });
  a.campaign("b", "c");
  a.receive("b", { kind: "requestVoteReply", term: 2, granted: true, isSuspect: true });
  a.receive("c", { kind: "requestVoteReply", term: 2, granted: false, isSuspect: true });
  expect(a.status).toMatchObject({ role: "follower", term: 2 });
});

/** `a`'s heartbeat: its log ends at `lastIndex`, and the receiver's latest answer carried `nonce`. */
function fresh(term: number, lastIndex: number, nonce: number) {
  return { ...heartbeat(term), lastIndex, nonce } as const;
}

test("a suspect server is trusted again when its disk holds all that a leader has, as of after its start", () => {
  const a = new OneServer({ term: 1, entries: logOf([1]), isSuspect: true });
  a.receive("b", heartbeat(2));
  const nonce = a.take("heartbeatReply")[0]?.nonce ?? 0;
  expect(nonce, "drawn at the start").toBeGreaterThan(0);
  a.receive("b", appendEntries(2, 1, 1, logOf([1, 2], 2), 3));
  a.receive("b", fresh(2, 3, nonce));
  expect(a.status.isSuspect, "not safe yet").toBe(true);
  a.completeWrites();
  expect(a.status.isSuspect).toBe(false);
  a.receive("b", heartbeat(2));
  expect(a.take("heartbeatReply").at(-1)?.nonce, "of no use any more").toBe(0);
});

test("what a leader has committed is not enough: it may still count on what this server has lost", () => {
  const a = new OneServer({ term: 2, entries: logOf([1, 2]), isSuspect: true });
  a.receive("b", heartbeat(2));
  const nonce = a.take("heartbeatReply")[0]?.nonce ?? 0;
  // Entry 3 was acknowledged before the crash, and the acknowledgement is still under way.
  a.receive("b", { ...fresh(2, 3, nonce), commit: 2, matchIndex: 2, matchTerm: 2 });
  expect(a.status).toMatchObject({ isSuspect: true, commitIndex: 2 });
  a.receive("b", appendEntries(2, 2, 2, logOf([2], 3), 2));
  a.completeWrites();
  expect(a.status.isSuspect).toBe(false);
});

test("a heartbeat of before its start does not make a suspect server trusted, however late it comes", () => {
  const a = new OneServer({ term: 2, entries: logOf([1, 2]), isSuspect: true });
  for (a.now = 0; a.now < 10_000; a.now += 900) a.receive("b", { ...heartbeat(2, 2), lastIndex: 2 });
  expect(a.status).toMatchObject({ isSuspect: true, commitIndex: 2 });
});

test("an own tail in the leader's place is not what the leader has", () => {
  const a = new OneServer({ term: 3, entries: logOf([1, 2, 2]), isSuspect: true });
  a.receive("b", heartbeat(3));
  const nonce = a.take("heartbeatReply")[0]?.nonce ?? 0;
  a.receive("b", fresh(3, 2, nonce));
  expect(a.status.isSuspect).toBe(true);
  a.receive("b", appendEntries(3, 1, 1, logOf([3], 2)));
  expect(a.completeWrites().status.isSuspect).toBe(false);
});

test("a leader gives back the number that a suspect follower answers with, and says where its log ends", () => {
  const a = new OneServer().lead("b");
  a.acknowledge("b");
  a.propose(1);
  a.receive("b", {
    kind: "heartbeatReply",
    term: 1,
    sentAt: a.now,
    round: 1,
    nonce: 7,
    stateHash: undefined,
  });
  a.takeSent();
  a.sleepUntil(a.now + 100);
  expect(a.takeSent().map(({ message }) => message)).toMatchObject([
    { kind: "heartbeat", lastIndex: 2, nonce: 7 },
    { kind: "heartbeat", lastIndex: 2, nonce: 0 },
  ]);
});

test("a suspect sole voter leads: nobody else can, and what it has is the log", () => {
  const a = new OneServer({ configuration: voters("a"), term: 1, entries: logOf([1]), isSuspect: true });
  a.sleepUntil(0).completeWrites();
  expect(a.status).toMatchObject({ role: "leader", isSuspect: false });
});
