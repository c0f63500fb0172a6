/** Flow control, snapshots, the disk, limits, and nonsense from peers. Thesis 10.2.1, paper sections 5.3 and 7. */

import { expect, test } from "vitest";
import type { RaftMessage, ServerId } from "../src/index.ts";
import { Writes } from "../src/writes.ts";
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

const REPLY = { kind: "appendEntriesReply", term: 1, hintIndex: 0, hintTerm: 0 } as const;

/** `a` leads three voters; `b` and `c` have its no-op and replicate. */
function leader(): OneServer {
  const a = new OneServer().lead("b");
  a.acknowledge("b");
  a.acknowledge("c");
  a.takeSent();
  a.takeEffects("send");
  return a;
}

test("a follower whose log is not known yet gets one message at a time", () => {
  const a = new OneServer().lead("b");
  expect(a.take("appendEntries", "b")).toHaveLength(1);
  a.propose(1);
  a.propose(2);
  expect(a.take("appendEntries", "b")).toEqual([]);
  a.acknowledge("b", 1);
  expect(a.take("appendEntries", "b")[0]?.entries).toHaveLength(2);
});

test("thesis 10.2.1: entries are pipelined, at most inflightMax messages unanswered", () => {
  const a = leader();
  for (let i = 0; i < 10; i++) a.propose(i);
  const sent = a.take("appendEntries", "b");
  expect(sent.map((message) => message.prevLogIndex)).toEqual([1, 2, 3, 4]);
  a.acknowledge("b", 3);
  expect(a.take("appendEntries", "b"), "the window opens; the rest goes as a batch").toMatchObject([
    { prevLogIndex: 5, entries: { length: 6 } },
  ]);
});

test("one AppendEntries holds at most appendBytesMax, and always at least one entry", () => {
  const a = leader();
  a.step({
    kind: "propose",
    commands: [new Uint8Array(5000), new Uint8Array(400), new Uint8Array(400), new Uint8Array(400)],
  });
  expect(a.take("appendEntries", "b").map((message) => message.entries.length)).toEqual([1, 2, 1]);
});

test("a lost AppendEntries is noticed by the next one, and by a heartbeat's answer if there is none", () => {
  const a = leader();
  a.propose(1);
  a.takeSent();
  a.receive("b", heartbeatReply({ term: 1, sentAt: a.now, round: 0 }));
  expect(a.take("appendEntries", "b"), "an empty one at the end of what was sent").toMatchObject([
    { prevLogIndex: 2, entries: [] },
  ]);
  a.receive("b", { ...REPLY, success: false, matchIndex: 2, hintIndex: 1, hintTerm: 1 });
  expect(a.take("appendEntries", "b")).toMatchObject([{ prevLogIndex: 1, entries: [{ index: 2 }] }]);
});

test("a lost probe is repeated when the follower answers a heartbeat", () => {
  const a = new OneServer().lead("b");
  a.takeSent();
  a.receive("b", heartbeatReply({ term: 1, sentAt: a.now, round: 0 }));
  expect(a.take("appendEntries", "b")).toMatchObject([{ prevLogIndex: 0, entries: [{ index: 1 }] }]);
});

test("a late refusal of something long acknowledged is ignored", () => {
  const a = leader();
  a.propose(1);
  a.acknowledge("b", 2);
  a.takeSent();
  a.receive("b", { ...REPLY, success: false, matchIndex: 1, hintIndex: 2, hintTerm: 1 });
  expect(a.takeSent()).toEqual([]);
  expect(a.status.followers.get("b")?.matchIndex).toBe(2);
});

test("a follower that lost acknowledged entries says so on the next heartbeat and gets them again", () => {
  const a = leader();
  a.propose(1);
  a.completeWrites();
  a.acknowledge("b", 2);
  a.sleepUntil(a.now + 100);
  const beat = a.takeSent().find(({ to, message }) => to === "b" && message.kind === "heartbeat")!.message;
  expect(beat).toMatchObject({ commit: 2 });
  const b = new OneServer({ id: "b", entries: logOf([1]), isSuspect: true });
  b.receive("a", beat);
  expect(b.status.commitIndex, "it cannot commit what it lacks").toBe(0);
  const [refusal] = b.take("appendEntriesReply");
  expect(refusal).toMatchObject({ success: false, hintIndex: 1, hintTerm: 1 });
  a.receive("b", refusal!);
  expect(a.status.followers.get("b")?.matchIndex).toBe(1);
  b.receive("a", a.take("appendEntries", "b")[0]!);
  expect(b.completeWrites().status.lastIndex).toBe(2);
});

test("a follower whose disk came back with entries that had been overwritten commits none of them", () => {
  // b had acknowledged entries 2 and 3 of term 2; a power cut took them, and the older ones are back.
  const a = new OneServer({ entries: logOf([1]), term: 1 }).lead("b");
  a.propose(7);
  a.completeWrites();
  a.acknowledge("b", 3);
  a.sleepUntil(a.now + 100);
  const beat = a.takeSent().findLast(({ to, message }) => to === "b" && message.kind === "heartbeat")!;
  const b = new OneServer({ id: "b", term: 2, entries: logOf([1, 1, 1]), isSuspect: true });
  b.receive("a", beat.message);
  expect(b.status.commitIndex, "its entries 2 and 3 are not the leader's").toBe(0);
  a.receive("b", b.take("appendEntriesReply")[0]!);
  expect(a.status.followers.get("b")?.matchIndex, "the leader no longer counts on it").toBe(1);
  b.receive("a", a.take("appendEntries", "b").at(-1)!);
  b.completeWrites();
  expect(b.status).toMatchObject({ lastIndex: 3, commitIndex: 3 });
  expect(b.takeEffects("apply").flatMap(({ entries }) => entries.map(({ term }) => term))).toEqual([1, 2, 2]);
});

test("an acknowledgement beyond the leader's log and answers of strangers change nothing", () => {
  const a = leader();
  const before = a.status;
  a.receive("b", { ...REPLY, success: true, matchIndex: 99 });
  a.receive("z", { ...REPLY, success: true, matchIndex: 1 });
  expect(a.status).toMatchObject({ commitIndex: before.commitIndex, lastIndex: before.lastIndex });
  expect([...a.status.followers.keys()]).toEqual(["b", "c"]);
});

test("followers learn a commit at once, not with the next heartbeat", () => {
  const a = leader();
  a.propose(1);
  a.completeWrites();
  a.takeSent();
  a.acknowledge("b", 2);
  expect(
    a.takeSent().map(({ to, message }) => [to, message.kind === "appendEntries" && message.leaderCommit]),
  ).toEqual([
    ["b", 2],
    ["c", 2],
  ]);
});

test("a heartbeat never names a commit index beyond what the follower has acknowledged", () => {
  const a = leader();
  a.propose(1);
  a.completeWrites();
  a.acknowledge("b", 2);
  a.takeSent();
  a.sleepUntil(a.now + 100);
  const beats = a.takeSent().map(({ to, message }) => [to, message.kind === "heartbeat" && message.commit]);
  expect(beats).toEqual([
    ["b", 2],
    ["c", 1],
  ]);
});

test("commands are refused while too many bytes wait, a single large batch excepted", () => {
  const a = leader();
  a.step({ kind: "propose", commands: [new Uint8Array(50_000)] });
  expect(a.status.lastIndex).toBe(2);
  a.propose(1);
  expect(a.takeEffects("refused")).toEqual([
    { kind: "refused", what: "commands", reason: "tooMuchUncommitted" },
  ]);
  a.acknowledge("b", 2);
  a.acknowledge("c", 2);
  a.propose(1);
  expect(a.takeEffects("refused")).toEqual([]);
});

test("etcd async_storage_writes_append_aba_race: a write does not vouch for what was overwritten while it ran", () => {
  const a = new OneServer({ term: 1, configuration: voters("a", "b") });
  a.receive("b", appendEntries(1, 0, 0, logOf([1, 1, 1, 1])));
  a.receive("b", appendEntries(2, 0, 0, logOf([2])));
  a.completeWrites();
  a.lead("b");
  expect(a.status).toMatchObject({ role: "leader", term: 3, lastIndex: 2 });
  a.acknowledge("b", 2);
  a.propose(3, 4);
  a.acknowledge("b", 4);
  expect(a.status.commitIndex, "its own disk once held other entries 3 and 4").toBe(2);
  a.completeWrites();
  expect(a.status.commitIndex).toBe(4);
});

test("etcd async_storage_writes_append_aba_race: an entry that comes back is safe with its own write only", () => {
  const writes = new Writes(0);
  const write = { hardState: undefined, isRestore: false };
  writes.started({ ...write, index: 2, term: 1 });
  writes.overwritten(1);
  writes.started({ ...write, index: 1, term: 2 });
  writes.overwritten(1);
  writes.started({ ...write, index: 2, term: 1 });
  writes.completed(2, 1);
  expect(writes.persistedIndex, "the disk will hold another entry 1 before it holds this one again").toBe(0);
  writes.completed(1, 2);
  expect(writes.persistedIndex).toBe(0);
  writes.completed(2, 1);
  expect(writes).toMatchObject({ persistedIndex: 2, isIdle: true });
});

test("a persisted event that names another term or an unknown index vouches for nothing", () => {
  const a = new OneServer({ configuration: voters("a") }).sleepUntil(0);
  a.completeWrite();
  expect(a.status).toMatchObject({ role: "leader", commitIndex: 0 });
  a.step({ kind: "persisted", index: 1, term: 9 });
  a.step({ kind: "persisted", index: 7, term: 1 });
  expect(a.status.commitIndex).toBe(0);
  a.step({ kind: "persisted", index: 1, term: 1 });
  expect(a.status.commitIndex).toBe(1);
});

test("writes complete in order: a later one's completion vouches for those before it", () => {
  const a = new OneServer({ configuration: voters("a") }).sleepUntil(0).completeWrites();
  a.propose(1);
  a.propose(2);
  a.step({ kind: "persisted", index: 3, term: 1 });
  expect(a.status.commitIndex).toBe(3);
});

const POINT = { index: 9, term: 1, configuration: voters("a", "b", "c") };

/** `a` leads; its log starts behind a snapshot at 9; `b` has answered that it has nothing. */
function leaderWithSnapshot(): OneServer {
  const a = new OneServer({ snapshot: POINT, entries: logOf([1], 10) }).lead("b");
  a.takeSent();
  a.receive("b", {
    kind: "appendEntriesReply",
    term: 2,
    success: false,
    matchIndex: 10,
    hintIndex: 0,
    hintTerm: 0,
  });
  return a;
}

test("Raft §7: a follower whose next entry is compacted gets a snapshot, and nothing else until then", () => {
  const a = leaderWithSnapshot();
  expect(a.takeEffects("sendSnapshot")).toEqual([
    { kind: "sendSnapshot", to: "b", term: 2, index: undefined, offset: 0, bytesMax: 262_144, minIndex: 0 },
  ]);
  a.takeSent();
  a.step({ kind: "snapshotSent", to: "b", ok: true });
  a.propose(1);
  a.receive("b", heartbeatReply({ term: 2, sentAt: a.now, round: 0 }));
  expect(a.take("appendEntries", "b")).toEqual([]);
  expect(a.takeEffects("sendSnapshot")).toEqual([]);
  a.receive("b", { kind: "installSnapshotReply", term: 2, matchIndex: 9 });
  expect(a.take("appendEntries", "b")).toMatchObject([
    { prevLogIndex: 9, prevLogTerm: 1, entries: { length: 3 } },
  ]);
});

test("Raft §7: a snapshot that could not be sent is asked for again when the follower answers a heartbeat", () => {
  const a = leaderWithSnapshot();
  a.takeEffects("sendSnapshot");
  a.step({ kind: "snapshotSent", to: "b", ok: false });
  expect(a.takeEffects("sendSnapshot")).toEqual([]);
  a.receive("b", heartbeatReply({ term: 2, sentAt: a.now, round: 0 }));
  expect(a.takeEffects("sendSnapshot")).toHaveLength(1);
});

test("Raft §7: a snapshot that is not acknowledged within an election timeout is asked for again", () => {
  const a = leaderWithSnapshot();
  a.step({ kind: "snapshotSent", to: "b", ok: true });
  a.takeEffects("sendSnapshot");
  for (let i = 0; i < 19; i++) {
    a.sleepUntil(a.now + 100);
    a.receive("b", heartbeatReply({ term: 2, sentAt: a.now, round: 0 }));
  }
  expect(a.takeEffects("sendSnapshot")).toEqual([]);
  a.sleepUntil(a.now + 200);
  a.receive("b", heartbeatReply({ term: 2, sentAt: a.now, round: 0 }));
  expect(a.takeEffects("sendSnapshot")).toHaveLength(1);
});

test("Raft §7: no snapshot is made for a follower that does not answer", () => {
  const a = new OneServer({ snapshot: POINT, entries: logOf([1], 10) }).lead("b");
  a.sleepUntil(a.now + 500);
  expect(a.takeEffects("sendSnapshot")).toEqual([]);
});

test("Raft §7: a follower replaces its state by the snapshot, answers once it is safe, and applies what follows then", () => {
  const b = new OneServer({ id: "b", term: 1, entries: logOf([1, 1]) });
  const snapshot = { ...POINT, configuration: voters("a", "b"), data: Uint8Array.of(1, 2, 3) };
  b.receive("a", heartbeat(2));
  b.completeWrites().takeSent();
  const effects = b.receive("a", whole(2, snapshot));
  expect(effects.find(({ kind }) => kind === "restore")).toMatchObject({
    snapshot,
    hardState: { term: 2, votedFor: undefined },
  });
  expect(b.status).toMatchObject({ commitIndex: 9, lastIndex: 9, configuration: voters("a", "b") });
  b.receive("a", appendEntries(2, 9, 1, logOf([2], 10), 10));
  expect(b.takeSent()).toEqual([]);
  expect(b.takeEffects("apply"), "the state machine is not there yet").toEqual([]);
  b.completeWrite();
  expect(b.takeSent()).toMatchObject([{ message: { kind: "installSnapshotReply", matchIndex: 9 } }]);
  expect(b.takeEffects("apply")).toMatchObject([{ entries: [{ index: 10 }] }]);
  b.completeWrites();
  expect(b.take("appendEntriesReply")).toMatchObject([{ success: true, matchIndex: 10 }]);
});

test.each([
  ["committed entries", { entries: logOf([1, 1, 1]), commit: 3 }, 2, 3],
  ["an entry of its log", { entries: logOf([1, 1, 1, 1]), commit: 0 }, 3, 3],
])(
  "Raft §7: a snapshot covered by %s is acknowledged without restoring, and the log is kept",
  (_, own, index, matchIndex) => {
    const b = new OneServer({ id: "b", entries: own.entries });
    b.receive("a", heartbeat(1, own.commit));
    const snapshot = { index, term: 1, configuration: voters("a", "b", "c"), data: new Uint8Array(0) };
    b.takeSent();
    b.receive("a", whole(1, snapshot));
    expect(b.takeEffects("restore")).toEqual([]);
    expect(b.completeWrites().take("installSnapshotReply")).toMatchObject([{ matchIndex }]);
    expect(b.status).toMatchObject({ lastIndex: own.entries.length, commitIndex: matchIndex });
  },
);

test("compaction keeps entriesKept entries for followers that lag a little", () => {
  const a = new OneServer({ configuration: voters("a") }).sleepUntil(0).completeWrites();
  a.propose(1, 2, 3, 4, 5, 6, 7);
  a.completeWrites();
  const point = a.node.snapshotPoint(8);
  expect(point).toEqual({ index: 8, term: 1, configuration: voters("a") });
  expect(a.node.snapshotPoint(9)).toBeUndefined();
  a.step({ kind: "compacted", point: point! });
  a.step({ kind: "changeConfiguration", voters: ["a"], learners: ["b"] });
  a.takeSent();
  const refuse = (refused: number, hintIndex: number) =>
    a.receive("b", { ...REPLY, success: false, matchIndex: refused, hintIndex, hintTerm: 1 });
  refuse(8, 6);
  expect(a.take("appendEntries", "b"), "7 and 8 were kept").toMatchObject([
    { prevLogIndex: 6, entries: { length: 3 } },
  ]);
  refuse(6, 5);
  expect(a.takeEffects("sendSnapshot")).toHaveLength(1);
});

test("the configuration of a snapshot is the one of its index, not the newest", () => {
  const a = new OneServer({ configuration: voters("a") }).sleepUntil(0).completeWrites();
  a.step({ kind: "changeConfiguration", voters: ["a"], learners: ["b"] });
  expect(a.node.snapshotPoint(1)).toMatchObject({ configuration: voters("a") });
  const wrong = { index: 1, term: 1, configuration: voters("a", "b") };
  expect(() => a.step({ kind: "compacted", point: wrong })).toThrow("another configuration");
});

test("a late compaction of an application that was overtaken by a leader's snapshot does nothing", () => {
  const b = new OneServer({ id: "b", snapshot: POINT });
  const point = { index: 4, term: 1, configuration: voters("a") };
  expect(b.step({ kind: "compacted", point })).toEqual([]);
});

test("a restart with a snapshot and the entries kept before it goes on where it was", () => {
  const a = new OneServer({ snapshot: POINT, entries: logOf([1, 1, 1, 1], 7) });
  expect(a.status).toMatchObject({ commitIndex: 9, lastApplied: 9, lastIndex: 10 });
  const older = new OneServer({ snapshot: POINT, entries: logOf([1, 1], 7) });
  expect(older.status, "entries that end before the snapshot are of no use").toMatchObject({ lastIndex: 9 });
});

test("a restart with a note of what is committed applies that at once, as far as it is there", () => {
  const a = new OneServer({ entries: logOf([1, 1, 1, 1]), commitIndex: 3 });
  const effects = a.step({ kind: "wake" });
  expect(effects.filter(({ kind }) => kind === "apply")).toMatchObject([
    { entries: [{ index: 1 }, { index: 2 }, { index: 3 }] },
  ]);
  expect(a.status).toMatchObject({ commitIndex: 3, lastApplied: 3, role: "follower" });
  const cut = new OneServer({ snapshot: POINT, entries: logOf([1, 1, 1, 1], 7), commitIndex: 40 });
  expect(cut.status, "entries behind the note were lost").toMatchObject({ commitIndex: 10 });
  const old = new OneServer({ snapshot: POINT, entries: logOf([1, 1, 1, 1], 7), commitIndex: 4 });
  expect(old.status, "a snapshot is newer than the note").toMatchObject({ commitIndex: 9 });
});

test("a log with a gap is a bug of the driver", () => {
  expect(() => new OneServer({ entries: [...logOf([1]), ...logOf([1], 3)] })).toThrow("gap");
  expect(() => new OneServer({ snapshot: POINT, entries: logOf([1], 11) })).toThrow("gap");
});

const NONSENSE: readonly RaftMessage[] = [
  preVote(Number.NaN),
  preVote(2 ** 50),
  preVote(2, 1, 2),
  appendEntries(2, 0, 0, logOf([1], 5)),
  appendEntries(2, 0, 0, logOf([2, 1])),
  appendEntries(2, 0, 0, logOf([3])),
  appendEntries(2, 0, 0, logOf([0])),
  appendEntries(2, 1, 9),
  appendEntries(2, -1, 0),
  appendEntries(2, 0.5, 0),
  appendEntries(2, 0, 0, [{ index: 1, term: 2, kind: "configuration", data: Uint8Array.of(9, 9) }]),
  appendEntries(2, 0, 0, [change(1, 2, voters())]),
  heartbeat(2, -1),
  heartbeat(2, 0, { sentAt: Number.NaN }),
  heartbeat(2, 1, { matchTerm: 3 }),
  { ...heartbeat(2, 1), commit: 2 },
  { ...heartbeat(2, 1), lastIndex: 0 },
  heartbeat(0),
  whole(2, { ...POINT, index: 0, data: new Uint8Array(0) }),
  whole(2, { ...POINT, term: 3, data: new Uint8Array(0) }),
  whole(2, { ...POINT, configuration: voters(), data: new Uint8Array(0) }),
  { kind: "installSnapshotReply", term: 2, matchIndex: -1 },
  { kind: "appendEntriesReply", term: 2, success: false, matchIndex: 1, hintIndex: Number.NaN, hintTerm: 0 },
];

test.each(NONSENSE.map((message) => [message]))("a peer's nonsense changes nothing: %j", (message) => {
  const a = new OneServer({ term: 1 });
  const before = a.status;
  expect(a.receive("b", message)).toEqual([]);
  expect(a.status).toEqual({ ...before, rejectedMessages: 1 });
});

test("time that goes back is a bug of the driver", () => {
  const a = new OneServer();
  a.node.step({ kind: "wake" }, 5);
  expect(() => a.node.step({ kind: "wake" }, 4)).toThrow("time went back");
});

test("a learner gets every fourth heartbeat, a voter each", () => {
  const configuration = { voters: ["a", "b", "c"], votersOutgoing: [], learners: ["l"] };
  const a = new OneServer({ configuration }).lead("b");
  a.take("heartbeat");
  const start = a.now;
  for (let at = 0; at < 20; at++) {
    a.sleepUntil(start + (at + 1) * 100);
    a.receive("b", heartbeatReply({ term: 1, sentAt: a.now, round: 0 }));
  }
  const sent = a.take("heartbeat");
  expect(sent.length, "to b, c and l").toBe(45);
  expect(a.status.role).toBe("leader");
});

test("with eight followers and more a round of heartbeats that a quorum has answered is followed after two intervals, another after one", () => {
  const a = leaderOfNine();
  a.acknowledge("b");
  a.takeSent();
  const rounds: number[] = [];
  const answerFrom = (id: ServerId): void => {
    const beat = a.take("heartbeat", id).at(-1);
    if (beat === undefined) return;
    rounds.push(beat.sentAt);
    a.receive(id, heartbeatReply(beat));
  };
  const start = a.now;
  for (let step = 0; step < 20; step++) {
    a.sleepUntil(a.now + 50);
    answerFrom("b");
  }
  expect(rounds.map((at) => at - start)).toEqual([100, 300, 500, 700, 900]);
  const cutAt = a.now;
  a.sleepUntil(cutAt + 500);
  const unanswered = a.take("heartbeat", "c").map(({ sentAt }) => sentAt - cutAt);
  expect(unanswered).toEqual([100, 200, 300, 400, 500]);
});

test("a server to which there is a way again gets a heartbeat at once, if it is a follower and this one leads", () => {
  const a = new OneServer({ configuration: { voters: ["a"], votersOutgoing: [], learners: ["l"] } });
  a.step({ kind: "reachable", server: "l" });
  expect(a.takeSent(), "nobody leads").toEqual([]);
  a.lead();
  a.takeSent();
  a.step({ kind: "reachable", server: "l" });
  const [beat] = a.take("heartbeat", "l");
  expect(beat).toMatchObject({ term: 1, sentAt: a.now });
  a.step({ kind: "reachable", server: "x" });
  expect(a.takeSent()).toEqual([]);
});

test.each([
  { lateMs: 30, rounds: [30, 100, 200, 300] },
  { lateMs: 90, rounds: [90, 140, 200, 300] },
])(
  "rounds of heartbeats begin at whole multiples of the interval, the first of a term apart ($lateMs ms later)",
  ({ lateMs, rounds }) => {
    const a = new OneServer().campaign("b");
    const start = a.now;
    expect(start % 100).toBe(0);
    a.now += lateMs;
    a.receive("b", { kind: "requestVoteReply", term: 1, granted: true, isSuspect: false });
    a.sleepUntil(start + 300);
    expect(a.take("heartbeat", "b").map(({ sentAt }) => sentAt - start)).toEqual(rounds);
  },
);

test("with eight followers and more a learner gets a heartbeat in six intervals", () => {
  const a = leaderOfNine();
  const start = a.now;
  a.sleepUntil(start + 1800);
  expect(a.take("heartbeat", "d").map(({ sentAt }) => sentAt - start)).toEqual([0, 600, 1200, 1800]);
});

function leaderOfNine(): OneServer {
  const ids = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
  const configuration = { voters: ids.slice(0, 3), votersOutgoing: [], learners: ids.slice(3) };
  return new OneServer({ configuration }).lead("b");
}

function heartbeatReply({
  term,
  sentAt,
  round,
}: Pick<Extract<RaftMessage, { kind: "heartbeat" }>, "term" | "sentAt" | "round">) {
  return { kind: "heartbeatReply", term, sentAt, round, nonce: 0, stateHash: undefined } as const;
}
