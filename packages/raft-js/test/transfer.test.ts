/** Leadership transfer: thesis 3.10, and what it must not do to a lease (6.4.1). */

import { expect, test } from "vitest";
import { heartbeat, logOf, OneServer, preVote, requestVote, voters } from "./support/one-server.ts";

const ids = ["a", "b", "c"];

/** `a` leads; `b` and `c` were heard and have its no-op; `a` has a lease. */
function leader(): OneServer {
  const a = new OneServer().lead("b");
  for (const id of ["b", "c"]) {
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
  a.takeSent();
  a.takeEffects("send");
  return a;
}

test("thesis 3.10: the lease goes first, then what it protected, then TimeoutNow goes out", () => {
  const a = leader();
  expect(a.status.leaseUntil).toBe(a.now + 990 - 50);
  a.step({ kind: "transferLeadership", to: "c" });
  expect(a.takeEffects("leaseGivenUp")).toHaveLength(1);
  expect(a.status).toMatchObject({ leaseUntil: undefined, quorumContactAt: undefined, transferringTo: "c" });
  expect(a.take("timeoutNow"), "the driver has not released anything yet").toEqual([]);
  a.step({ kind: "leaseReleased" });
  expect(a.takeSent()).toEqual([{ kind: "send", to: "c", message: { kind: "timeoutNow", term: 1 } }]);
});

test("thesis 3.10: the target gets the whole log first, and proposals and changes are refused meanwhile", () => {
  const a = leader();
  a.propose(1);
  a.completeWrites();
  a.step({ kind: "transferLeadership", to: "c" });
  a.step({ kind: "leaseReleased" });
  a.propose(2);
  a.step({ kind: "changeConfiguration", voters: ids, learners: ["d"] });
  expect(a.takeEffects("refused")).toMatchObject([
    { what: "commands", reason: "transferring" },
    { what: "configuration", reason: "transferring" },
  ]);
  a.acknowledge("b", 2);
  expect(a.take("timeoutNow")).toEqual([]);
  a.acknowledge("c", 2);
  expect(a.take("timeoutNow", "c")).toHaveLength(1);
});

test("thesis 3.10: without a wish the voter with most of the log is chosen; learners and silent voters are not", () => {
  const configuration = { voters: ["a", "b", "c", "d"], votersOutgoing: [], learners: ["l"] };
  const a = new OneServer({ configuration }).lead("b", "c");
  a.propose(1);
  for (const [id, matchIndex] of [
    ["b", 1],
    ["c", 2],
    ["l", 2],
  ] as const)
    a.acknowledge(id, matchIndex);
  a.step({ kind: "transferLeadership" });
  expect(a.status.transferringTo).toBe("c");
});

test("thesis 3.10: a transfer takes no write of the old leader, and what its own disk never confirmed it does not count", () => {
  const a = leader();
  a.propose(1);
  // From here on the disk of `a` answers nothing any more.
  a.step({ kind: "transferLeadership", to: "c" });
  a.step({ kind: "leaseReleased" });
  a.acknowledge("c", 2);
  expect(a.take("timeoutNow", "c")).toHaveLength(1);
  expect(a.status, "one of three has entry 2 on its disk").toMatchObject({ commitIndex: 1, lastIndex: 2 });
  a.acknowledge("b", 2);
  expect(a.status.commitIndex, "two of three, without `a`").toBe(2);
  // The vote for its successor would have to be written.
  a.receive("c", { ...requestVote(2, 2, 1), isTransfer: true });
  expect(a.status).toMatchObject({ role: "follower", term: 2 });
  expect(a.take("requestVoteReply")).toEqual([]);
});

test("a transfer is refused by who does not lead, twice at a time, and without a voter that was heard", () => {
  const reasons = (server: OneServer) => server.takeEffects("refused").map(({ reason }) => reason);
  const follower = new OneServer();
  follower.step({ kind: "transferLeadership" });
  expect(reasons(follower)).toEqual(["notLeader"]);
  const a = leader();
  a.step({ kind: "transferLeadership", to: "z" });
  a.step({ kind: "transferLeadership", to: "a" });
  a.step({ kind: "transferLeadership", to: "b" });
  a.step({ kind: "transferLeadership", to: "b" });
  expect(reasons(a)).toEqual(["noTarget", "noTarget", "transferring"]);
  const alone = new OneServer({ configuration: voters("a") }).sleepUntil(0).completeWrites();
  alone.step({ kind: "transferLeadership" });
  expect(reasons(alone)).toEqual(["noTarget"]);
});

test("neither a learner nor who votes only before a change can be a target, however well it is heard", () => {
  const joint = { voters: ["a", "b"], votersOutgoing: ["a", "b", "c"], learners: ["c", "l"] };
  const a = new OneServer({ configuration: joint }).lead("b", "c");
  for (const id of ["b", "c", "l"]) a.acknowledge(id);
  for (const to of ["c", "l"]) a.step({ kind: "transferLeadership", to });
  expect(a.takeEffects("refused").map(({ reason }) => reason)).toEqual(["noTarget", "noTarget"]);
  a.step({ kind: "transferLeadership" });
  expect(a.status.transferringTo).toBe("b");
});

test("who lost power is no target until it has caught up: it would not campaign", () => {
  const a = leader();
  const beat = { kind: "heartbeatReply", term: 1, sentAt: a.now, round: 1, stateHash: undefined } as const;
  for (const id of ["b", "c"]) a.receive(id, { ...beat, nonce: 7 });
  a.step({ kind: "transferLeadership", to: "b" });
  a.step({ kind: "transferLeadership" });
  expect(a.takeEffects("refused").map(({ reason }) => reason)).toEqual(["noTarget", "noTarget"]);
  expect(a.status.leaseUntil, "so the leader keeps what it has").toBeDefined();
  a.receive("c", { ...beat, nonce: 0 });
  a.step({ kind: "transferLeadership" });
  expect(a.status.transferringTo).toBe("c");
});

test("a TimeoutNow that comes after the next leader was elected deposes nobody (raft-rs #234)", () => {
  const start = { term: 1, entries: logOf([1]), configuration: voters("a", "b", "c", "d", "e") };
  const c = new OneServer({ ...start, id: "c" });
  c.receive("b", heartbeat(2));
  c.receive("a", { kind: "timeoutNow", term: 1 });
  expect(c.status).toMatchObject({ role: "follower", leader: "b", term: 2 });
  // One that is still in term 1 campaigns in the term that is taken: no majority is left for it there.
  const late = new OneServer({ ...start, id: "d" });
  late.receive("a", { kind: "timeoutNow", term: 1 });
  const request = late.completeWrites().take("requestVote")[0]!;
  expect(request).toMatchObject({ term: 2, isTransfer: true });
  c.takeSent();
  c.receive("d", request);
  expect(c.take("requestVoteReply")).toMatchObject([{ granted: false }]);
  expect(c.status).toMatchObject({ leader: "b", term: 2 });
});

test("a transfer that was not sent within an election timeout is as if it had not been", () => {
  const a = leader();
  a.step({ kind: "transferLeadership", to: "c" });
  const { now } = a;
  for (let at = now + 100; at <= now + 1000; at += 100) {
    a.sleepUntil(at);
    const round = a.take("heartbeat").at(-1)!.round;
    a.receive("b", { kind: "heartbeatReply", term: 1, sentAt: at, round, nonce: 0, stateHash: undefined });
  }
  expect(a.status).toMatchObject({ role: "leader", transferringTo: undefined });
  expect(a.status.leaseUntil).toBeGreaterThan(a.now);
  a.step({ kind: "leaseReleased" });
  expect(a.take("timeoutNow"), "too late").toEqual([]);
});

test("a release that belongs to a transfer given up long ago does not start the next one", () => {
  const a = leader();
  a.step({ kind: "transferLeadership", to: "c" });
  const [first] = a.takeEffects("leaseGivenUp");
  const { now } = a;
  for (let at = now + 100; at <= now + 1000; at += 100) {
    a.sleepUntil(at);
    for (const id of ["b", "c"]) {
      const round = a.take("heartbeat").at(-1)?.round ?? 1;
      a.receive(id, { kind: "heartbeatReply", term: 1, sentAt: at, round, nonce: 0, stateHash: undefined });
    }
  }
  a.step({ kind: "transferLeadership", to: "c" });
  const [second] = a.takeEffects("leaseGivenUp");
  expect(second?.transfer).not.toBe(first?.transfer);
  a.step({ kind: "leaseReleased", transfer: first!.transfer });
  expect(a.take("timeoutNow"), "its driver holds the address again").toEqual([]);
  a.step({ kind: "leaseReleased", transfer: second!.transfer });
  expect(a.take("timeoutNow")).toHaveLength(1);
});

test("a leader whose TimeoutNow came to nothing steps down: its lease cannot come back in this term", () => {
  const a = leader();
  a.step({ kind: "transferLeadership", to: "c" });
  a.step({ kind: "leaseReleased" });
  const { now } = a;
  a.sleepUntil(now + 999);
  expect(a.status).toMatchObject({ role: "leader", leaseUntil: undefined });
  a.sleepUntil(now + 1000);
  expect(a.status).toMatchObject({ role: "follower", term: 1 });
});

test("thesis 3.10: TimeoutNow makes a voter campaign at once, without pre-vote", () => {
  const c = new OneServer({ id: "c", term: 1, entries: logOf([1]) });
  c.receive("a", heartbeat(1));
  c.takeSent();
  c.receive("a", { kind: "timeoutNow", term: 1 });
  expect(c.completeWrites().take("requestVote")).toEqual([
    { ...requestVote(2, 1, 1), isTransfer: true },
    { ...requestVote(2, 1, 1), isTransfer: true },
  ]);
  expect(c.status).toMatchObject({ role: "candidate", term: 2 });
});

test("TimeoutNow of an earlier term, of another than the leader, or to a learner or suspect does nothing", () => {
  const configuration = { voters: ["a", "b"], votersOutgoing: [], learners: ["c"] };
  for (const start of [{ configuration }, { isSuspect: true }]) {
    const c = new OneServer({ id: "c", term: 2, ...start });
    c.receive("a", heartbeat(2));
    c.receive("a", { kind: "timeoutNow", term: 2 });
    expect(c.status).toMatchObject({ role: "follower", term: 2 });
  }
  const b = new OneServer({ id: "b", term: 2 });
  b.receive("a", heartbeat(2));
  b.receive("a", { kind: "timeoutNow", term: 1 });
  b.receive("c", { kind: "timeoutNow", term: 2 });
  expect(b.status).toMatchObject({ role: "follower", leader: "a", term: 2 });
});

test("thesis 3.10: who heard the leader a moment ago votes for its chosen one, but still only for a log as good", () => {
  for (const [index, granted] of [
    [1, true],
    [0, false],
  ] as const) {
    const b = new OneServer({ id: "b", term: 1, entries: logOf([1]) });
    b.sleepUntil(1000);
    b.receive("a", heartbeat(1));
    b.takeSent();
    b.receive("c", { ...requestVote(2, index, index), isTransfer: true });
    expect(b.completeWrites().take("requestVoteReply")).toMatchObject([{ granted }]);
  }
});

test("a leader votes for the candidate of its own transfer only once it has sent TimeoutNow", () => {
  const a = leader();
  const request = { ...requestVote(2, 1, 1), isTransfer: true };
  a.receive("c", request);
  a.step({ kind: "transferLeadership", to: "c" });
  a.receive("c", request);
  expect(a.status).toMatchObject({ role: "leader", term: 1 });
  a.step({ kind: "leaseReleased" });
  a.receive("c", request);
  expect(a.completeWrites().take("requestVoteReply")).toMatchObject([{ granted: true }]);
  expect(a.status).toMatchObject({ role: "follower", term: 2 });
});

test("a voter that has just restarted votes for whom a leader hands over to, and for nobody else", () => {
  const votes = (isTransfer: boolean): unknown[] => {
    const b = new OneServer({ id: "b", term: 1, entries: logOf([1]) });
    b.now = 999;
    b.receive("c", { ...requestVote(2, 1, 1), isTransfer });
    return b.completeWrites().take("requestVoteReply");
  };
  expect(votes(true)).toMatchObject([{ granted: true }]);
  expect(votes(false)).toEqual([]);
});

test("a voter that heard a later leader before it restarted does not vote for whom an earlier one hands over to", () => {
  const b = new OneServer({ id: "b", term: 1, entries: logOf([1]) });
  b.receive("d", heartbeat(3));
  b.completeWrites();
  const restarted = new OneServer({ id: "b", term: b.status.term, entries: logOf([1]) });
  restarted.receive("c", { ...requestVote(2, 1, 1), isTransfer: true });
  expect(restarted.completeWrites().take("requestVoteReply")).not.toMatchObject([{ granted: true }]);
});

test("a candidate of a transfer that fails goes back to asking first", () => {
  const c = new OneServer({ id: "c", term: 1 });
  c.receive("a", heartbeat(1));
  c.receive("a", { kind: "timeoutNow", term: 1 });
  c.completeWrites().takeSent();
  c.sleepUntil(c.node.wakeAt + 3000);
  const asked = c.takeSent().filter(({ message }) => message.kind === "preVote");
  expect(asked[0]?.message).toEqual(preVote(3));
});
