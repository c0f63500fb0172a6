/** Sections 5.1 to 5.4 of the paper, sentence by sentence, on one server. After etcd-io/raft `raft_paper_test.go`. */

import { expect, test } from "vitest";
import {
  appendEntries,
  heartbeat,
  logOf,
  OneServer,
  preVote,
  requestVote,
  voters,
} from "./support/one-server.ts";

test.each(["follower", "preCandidate", "candidate", "leader"] as const)(
  "Raft §5.1: a %s that sees a higher term of a leader becomes its follower",
  (role) => {
    const a = new OneServer({ term: 3 });
    if (role === "preCandidate") a.sleepUntil(a.node.wakeAt);
    if (role === "candidate") a.campaign("b");
    if (role === "leader") a.lead("b");
    expect(a.status.role).toBe(role);
    const { lastIndex } = a.status;
    a.receive("c", appendEntries(9, lastIndex, lastIndex === 0 ? 0 : a.status.term));
    expect(a.status).toMatchObject({ role: "follower", term: 9, leader: "c" });
  },
);

test("Raft §5.1: a message of a lower term changes nothing and is answered with the present term", () => {
  const a = new OneServer({ term: 5, entries: logOf([5]) });
  a.receive("b", appendEntries(4, 1, 4, logOf([4], 2)));
  expect(a.status).toMatchObject({ term: 5, lastIndex: 1, leader: undefined });
  expect(a.takeSent()).toEqual([
    {
      kind: "send",
      to: "b",
      message: { kind: "heartbeatReply", term: 5, sentAt: 0, round: 0, nonce: 0, stateHash: undefined },
    },
  ]);
});

test("Raft §5.1: the leader of an earlier term steps down when a follower answers with a higher one", () => {
  const a = new OneServer().lead("b");
  a.receive("b", { kind: "heartbeatReply", term: 7, sentAt: 0, round: 0, nonce: 0, stateHash: undefined });
  expect(a.status).toMatchObject({ role: "follower", term: 7, leader: undefined });
});

test("Raft §5.2: a server starts as follower and stays one as long as it hears a leader", () => {
  const a = new OneServer({ term: 1 });
  for (let now = 0; now < 10_000; now += 900) {
    a.sleepUntil(now);
    a.receive("b", heartbeat(1));
    expect(a.status.role).toBe("follower");
  }
});

test("Raft §5.2: a leader sends every follower a heartbeat every heartbeatMs", () => {
  const a = new OneServer().lead("b");
  a.takeSent();
  const { now } = a;
  a.sleepUntil(now + 99);
  expect(a.take("heartbeat")).toEqual([]);
  for (const at of [now + 100, now + 200]) {
    a.sleepUntil(at);
    const beats = a
      .takeSent()
      .map(({ to, message }) => [to, message.kind, message.kind === "heartbeat" && message.sentAt]);
    expect(beats).toEqual([
      ["b", "heartbeat", at],
      ["c", "heartbeat", at],
    ]);
  }
});

test("Raft §5.2: a candidate that neither wins nor loses starts a new election in a new term", () => {
  const a = new OneServer({ term: 1 }).campaign("b");
  expect(a.status).toMatchObject({ role: "candidate", term: 2 });
  a.sleepUntil(a.now + 2000);
  expect(a.status, "it asks first, whether one could win").toMatchObject({ role: "preCandidate", term: 2 });
  a.takeSent();
  a.receive("b", { kind: "preVoteReply", term: 3, granted: true, isSuspect: false });
  a.completeWrites();
  expect(a.take("requestVote")).toEqual([requestVote(3), requestVote(3)]);
});

test("Raft §5.2: without a leader it raises its term, votes for itself and asks the others, once that is safe", () => {
  const a = new OneServer({ term: 1, entries: logOf([1, 1]) });
  a.sleepUntil(a.node.wakeAt);
  expect(a.status).toMatchObject({ role: "preCandidate", term: 1 });
  a.takeSent();
  a.receive("b", { kind: "preVoteReply", term: 2, granted: true, isSuspect: false });
  expect(a.status).toMatchObject({ role: "candidate", term: 2 });
  expect(a.takeSent(), "nothing before the vote is safe").toEqual([]);
  expect(a.writes[0]).toMatchObject({ hardState: { term: 2, votedFor: "a" }, entries: [] });
  a.completeWrites();
  const message = requestVote(2, 2, 1);
  expect(a.takeSent()).toEqual([
    { to: "b", message },
    { to: "c", message },
  ]);
});

test.each([
  [1, [], true],
  [3, ["b"], true],
  [3, [], false],
  [5, ["b", "c"], true],
  [5, ["b"], false],
] as const)("Raft §5.2: of %i voters, own vote and those of %j win: %s", (count, friends, wins) => {
  const a = new OneServer({ term: 1, configuration: voters(..."abcde".slice(0, count)) });
  a.campaign(..."bcde".slice(0, count - 1));
  for (const friend of friends)
    a.receive(friend, { kind: "requestVoteReply", term: 2, granted: true, isSuspect: false });
  expect(a.status.role).toBe(wins ? "leader" : "candidate");
});

test("Raft §5.2: the same voter counts once, strangers and refusals not at all", () => {
  const a = new OneServer({ configuration: voters("a", "b", "c", "d", "e") }).campaign("b", "c");
  const { term } = a.status;
  for (const from of ["b", "b", "x", "y"])
    a.receive(from, { kind: "requestVoteReply", term, granted: true, isSuspect: false });
  a.receive("c", { kind: "requestVoteReply", term, granted: false, isSuspect: false });
  expect(a.status.role).toBe("candidate");
});

test("Raft §5.2: a candidate refused by a majority goes back to following in its term", () => {
  const a = new OneServer({ term: 1 }).campaign("b");
  for (const from of ["b", "c"])
    a.receive(from, { kind: "requestVoteReply", term: 2, granted: false, isSuspect: false });
  expect(a.status).toMatchObject({ role: "follower", term: 2 });
});

test("Raft §5.2: a candidate that hears a leader of its own term follows it", () => {
  const a = new OneServer({ term: 1 }).campaign("b");
  a.receive("c", heartbeat(2));
  expect(a.status).toMatchObject({ role: "follower", term: 2, leader: "c" });
});

test("Raft §5.2: first come, first served: one vote per term, repeated for the same candidate", () => {
  const a = new OneServer({ term: 1 }).sleepUntil(999);
  a.now = 1000;
  a.receive("b", requestVote(2));
  a.completeWrites();
  a.receive("c", requestVote(2));
  a.receive("b", requestVote(2));
  a.completeWrites();
  const grants = a
    .takeSent()
    .map(({ to, message }) => [to, message.kind === "requestVoteReply" && message.granted]);
  expect(grants).toEqual([
    ["b", true],
    ["c", false],
    ["b", true],
  ]);
});

test("Raft §5.2: a vote is answered only once it is on disk, and is remembered after a restart", () => {
  const a = new OneServer({ term: 1 });
  a.now = 1000;
  a.receive("b", requestVote(2));
  expect(a.takeSent()).toEqual([]);
  expect(a.writes).toMatchObject([{ kind: "persist", hardState: { term: 2, votedFor: "b" } }]);
  a.completeWrites();
  expect(a.takeSent()).toEqual([
    { to: "b", message: { kind: "requestVoteReply", term: 2, granted: true, isSuspect: false } },
  ]);

  const restarted = new OneServer({ term: 2, votedFor: "b" });
  restarted.now = 1000;
  restarted.receive("c", requestVote(2));
  expect(restarted.take("requestVoteReply")).toMatchObject([{ granted: false }]);
});

test("Raft §5.2: a vote that a higher term makes obsolete before it is safe does not elect", () => {
  const a = new OneServer({ term: 1, configuration: voters("a", "b") });
  a.sleepUntil(a.node.wakeAt);
  a.receive("b", { kind: "preVoteReply", term: 2, granted: true, isSuspect: false });
  a.receive("b", heartbeat(3));
  a.completeWrites();
  expect(a.status).toMatchObject({ role: "follower", term: 3, leader: "b" });
});

test("Raft §5.2: two leaders of one term cannot be: the second one's messages are ignored", () => {
  const a = new OneServer({ term: 1 });
  a.receive("b", appendEntries(1, 0, 0, logOf([1])));
  a.receive("c", appendEntries(1, 0, 0, logOf([1, 1])));
  expect(a.status).toMatchObject({ leader: "b", lastIndex: 1 });
});

test("Raft §5.3: the leader appends, sends to all, and commits once a majority has it, itself by its own disk", () => {
  const a = new OneServer().lead("b");
  a.acknowledge("b");
  a.acknowledge("c");
  a.takeSent();
  a.propose(7);
  const sent = a.take("appendEntries");
  expect(sent).toHaveLength(2);
  expect(sent[0]).toMatchObject({ prevLogIndex: 1, entries: [{ index: 2, data: Uint8Array.of(7) }] });
  a.acknowledge("b");
  expect(a.status.commitIndex, "b alone").toBe(1);
  a.completeWrites();
  expect(a.status.commitIndex, "b and the leader").toBe(2);
  expect(a.takeEffects("apply").at(-1)?.entries).toMatchObject([{ index: 2 }]);
});

test.each([
  // voters, acknowledgements besides the leader's own disk, committed
  [3, 0, false],
  [3, 1, true],
  [3, 2, true],
  [5, 1, false],
  [5, 2, true],
  [5, 4, true],
  [7, 2, false],
  [7, 3, true],
])(
  "Raft §5.3: of %i voters, %i acknowledgements besides the leader's disk commit: %s",
  (count, acks, commits) => {
    const others = [..."bcdefg"].slice(0, count - 1);
    const a = new OneServer({ configuration: voters("a", ...others) }).lead(...others);
    for (const id of others) a.acknowledge(id, 1);
    a.propose(7);
    a.completeWrites();
    for (const id of others.slice(0, acks)) a.acknowledge(id, 2);
    expect(a.status.commitIndex).toBe(commits ? 2 : 1);
  },
);

test("Raft §5.3: with an entry everything before it is committed, also what former leaders left, and applied in order", () => {
  for (const terms of [[], [2], [1, 2], [1]]) {
    const a = new OneServer({ entries: logOf(terms), term: 2 }).lead("b");
    a.propose(9);
    a.completeWrites();
    a.acknowledge("b");
    const applied = a.takeEffects("apply").flatMap(({ entries }) => entries);
    expect(applied.map(({ index }) => index)).toEqual([...terms, 3, 3].map((_, i) => i + 1));
  }
});

test("Raft §5.3: two followers commit while the leader's own disk stalls", () => {
  const a = new OneServer().lead("b");
  a.acknowledge("b");
  a.propose(7);
  a.acknowledge("b");
  expect(a.status.commitIndex).toBe(1);
  a.acknowledge("c");
  expect(a.status.commitIndex).toBe(2);
  expect(a.writes).toHaveLength(1);
});

test("Raft §5.3: followers learn the commit index and apply in order", () => {
  const a = new OneServer({ term: 1 });
  a.receive("b", appendEntries(1, 0, 0, logOf([1, 1, 1]), 2));
  expect(a.status).toMatchObject({ lastIndex: 3, commitIndex: 2, lastApplied: 2 });
  a.completeWrites();
  a.receive("b", heartbeat(1, 3));
  expect(a.takeEffects("apply").flatMap(({ entries }) => entries.map(({ index }) => index))).toEqual([
    1, 2, 3,
  ]);
});

test("Raft §5.3: a follower commits no further than what this message proves to match", () => {
  const a = new OneServer({ entries: logOf([1, 1, 1]), term: 2 });
  a.receive("b", appendEntries(2, 1, 1, [], 3));
  expect(a.status.commitIndex).toBe(1);
});

test("Raft §5.3: an acknowledgement waits for the disk, a heartbeat's answer does not", () => {
  const a = new OneServer({ term: 1 });
  a.receive("b", appendEntries(1, 0, 0, logOf([1])));
  a.receive("b", heartbeat(1, 0, { sentAt: 42 }));
  expect(a.takeSent()).toEqual([
    {
      kind: "send",
      to: "b",
      message: { kind: "heartbeatReply", term: 1, sentAt: 42, round: 0, nonce: 0, stateHash: undefined },
    },
  ]);
  a.completeWrites();
  expect(a.take("appendEntriesReply")).toMatchObject([{ success: true, matchIndex: 1 }]);
});

test("Raft §5.3: a repeated AppendEntries is acknowledged only when the first one's write is safe", () => {
  const a = new OneServer({ term: 1 });
  const message = appendEntries(1, 0, 0, logOf([1]));
  a.receive("b", message);
  a.receive("b", message);
  expect(a.takeSent()).toEqual([]);
  expect(a.writes.map((write) => write.kind === "persist" && write.entries.length)).toEqual([1, 0]);
  a.completeWrites();
  expect(a.take("appendEntriesReply")).toHaveLength(2);
  a.receive("b", message);
  expect(a.take("appendEntriesReply"), "all is safe: at once").toHaveLength(1);
});

test.each([
  // the follower's log, prevLogIndex, prevLogTerm, success, hint index, hint term (etcd: TestFollowerCheckMsgApp)
  [[1, 2], 0, 0, true, 0, 0],
  [[1, 2], 1, 1, true, 0, 0],
  [[1, 2], 2, 2, true, 0, 0],
  [[1, 2], 1, 2, false, 1, 1],
  [[1, 2], 3, 3, false, 2, 2],
  [[1, 1, 3, 3], 4, 2, false, 2, 1],
] as const)(
  "Raft §5.3: log %j, AppendEntries after (%i, %i): success %s",
  (log, index, term, success, hint, hintTerm) => {
    const a = new OneServer({ entries: logOf(log), term: 4 });
    a.receive("b", appendEntries(4, index, term));
    const [reply] = a.completeWrites().take("appendEntriesReply");
    expect(reply).toMatchObject({ success, hintIndex: hint, hintTerm });
  },
);

test.each([
  // own log, prevLogIndex, prevLogTerm, entries' terms, resulting log, written (etcd: TestFollowerAppendEntries)
  [[1, 2], 2, 2, [3], [1, 2, 3], 1],
  [[1, 2], 1, 1, [3, 4], [1, 3, 4], 2],
  [[1, 2], 0, 0, [1], [1, 2], 0],
  [[1, 2], 0, 0, [3], [3], 1],
  [[1, 2, 2], 1, 1, [2], [1, 2, 2], 0],
] as const)(
  "Raft §5.3: log %j, entries after (%i, %i) of terms %j give %j",
  (log, index, term, terms, result, written) => {
    const a = new OneServer({ entries: logOf(log), term: 4 });
    a.receive("b", appendEntries(4, index, term, logOf(terms, index + 1)));
    expect(a.status.lastIndex).toBe(result.length);
    const entries = a.writes.flatMap((write) => (write.kind === "persist" ? write.entries : []));
    expect(entries).toHaveLength(written);
    a.completeWrites().takeSent();
    // What the log holds shows in what it accepts as the entry before.
    result.forEach((expected, i) => {
      a.receive("b", appendEntries(4, i + 1, expected));
      expect(a.take("appendEntriesReply")).toMatchObject([{ success: true }]);
    });
  },
);

test("Raft figure 7: the leader brings every follower's log to its own, whatever it holds", () => {
  const leaderLog = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
  const followers = [
    [1, 1, 1, 4, 4, 5, 5, 6, 6],
    [1, 1, 1, 4],
    [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
    [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
    [1, 1, 1, 4, 4, 4, 4],
    [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
  ];
  for (const log of followers) {
    const a = new OneServer({ entries: logOf(leaderLog), term: 7, options: { appendBytesMax: 1 } }).lead("c");
    const b = new OneServer({ id: "b", entries: logOf(log), term: 8 });
    let rounds = 0;
    for (let sent = a.takeSent(); sent.length > 0 && rounds < 100; rounds++) {
      for (const { to, message } of sent) if (to === "b") b.receive("a", message);
      b.completeWrites();
      for (const { message } of b.takeSent()) a.receive("b", message);
      sent = a.takeSent().filter(({ to }) => to === "b");
    }
    expect(a.status.followers.get("b")?.matchIndex).toBe(11);
    expect(b.status).toMatchObject({ lastIndex: 11 });
    expect(rounds, "hints skip whole terms").toBeLessThan(16);
    // Equal to the end, hence everywhere (log matching).
    b.receive("a", appendEntries(8, 11, 8));
    expect(b.take("appendEntriesReply")).toMatchObject([{ success: true, matchIndex: 11 }]);
  }
});

test.each([
  // voter's log, candidate's last index and term, granted (etcd: TestVoter)
  [[1], 1, 1, true],
  [[1], 2, 1, true],
  [[1, 1], 1, 1, false],
  [[1], 1, 2, true],
  [[1], 2, 2, true],
  [[1, 1], 1, 2, true],
  [[2], 1, 1, false],
  [[2], 2, 1, false],
  [[2, 1].toSorted(), 1, 1, false],
] as const)(
  "Raft §5.4.1: a voter with log %j and a candidate at (%i, %i): %s",
  (log, index, term, granted) => {
    for (const ask of [requestVote, preVote]) {
      const a = new OneServer({ entries: logOf(log), term: 3 });
      a.now = 1000;
      a.receive("b", ask(4, index, term));
      const [reply] = a.completeWrites().takeSent();
      expect(reply?.message).toMatchObject({ granted });
    }
  },
);

test("Raft §5.4.2, figure 8: an entry of an earlier term is not committed by counting, only below one of this term", () => {
  const a = new OneServer({ entries: logOf([1, 2]), term: 3 }).lead("b");
  a.acknowledge("b", 2);
  a.acknowledge("c", 2);
  expect(a.status.commitIndex).toBe(0);
  a.acknowledge("b", 3);
  expect(a.status.commitIndex).toBe(3);
});

test("Raft §5.4.3: what is committed is never overwritten, whatever a message says", () => {
  const a = new OneServer({ term: 1 });
  a.receive("b", appendEntries(1, 0, 0, logOf([1, 1, 1]), 3));
  a.completeWrites().takeSent();
  a.receive("b", appendEntries(1, 1, 1, [], 1));
  expect(a.take("appendEntriesReply"), "what this message proves").toMatchObject([
    { success: true, matchIndex: 1 },
  ]);
  a.receive("c", appendEntries(2, 0, 0, logOf([2, 2, 2, 2])));
  expect(a.status).toMatchObject({ lastIndex: 3, commitIndex: 3 });
});

test("Raft §8: a new leader appends a no-op of its own term", () => {
  const a = new OneServer({ entries: logOf([1]), term: 1 });
  a.lead("b");
  const entries = a.takeEffects("persist").flatMap((write) => write.entries);
  expect(entries).toEqual([{ index: 2, term: 2, kind: "empty", data: new Uint8Array(0) }]);
});
