/** Snapshots in pieces (paper section 7), and servers that must take what they have committed back. */

import { expect, test } from "vitest";
import { onAppendEntries } from "../src/follower.ts";
import { EMPTY_STATE, type RaftMessage, type SnapshotPoint } from "../src/index.ts";
import { Server } from "../src/server.ts";
import { IncomingSnapshot, onInstallSnapshot, onSnapshotChecked } from "../src/snapshot-receiving.ts";
import { appendEntries, heartbeat, logOf, OneServer, OPTIONS, voters } from "./support/one-server.ts";

const POINT: SnapshotPoint = { index: 9, term: 1, configuration: voters("a", "b", "c") };
const DATA = Uint8Array.from({ length: 10 }, (_, i) => i);

function piece(offset: number, length: number, point = POINT, term = 2): RaftMessage {
  const data = DATA.subarray(offset, offset + length);
  return { kind: "installSnapshot", term, point, totalBytes: DATA.length, offset, data };
}

function chunkReply(index: number, offset: number): RaftMessage {
  return { kind: "snapshotChunkReply", term: 2, index, offset };
}

/** `a` leads term 2 with nothing before entry 10, and `b` needs the beginning. */
function leader(entriesKept = 2): OneServer {
  const options = { snapshotChunkBytes: 4, entriesKept };
  const a = new OneServer({ snapshot: POINT, entries: logOf([1], 10), options }).lead("b");
  const refusal = { kind: "appendEntriesReply", term: 2, success: false } as const;
  a.receive("b", { ...refusal, matchIndex: 10, hintIndex: 0, hintTerm: 0 });
  return a;
}

function heartbeatReply(round: number, sentAt: number): RaftMessage {
  return { kind: "heartbeatReply", term: 2, sentAt, round, nonce: 0, stateHash: undefined };
}

function offsets(a: OneServer): readonly (number | undefined)[][] {
  return a.takeEffects("sendSnapshot").map(({ index, offset, bytesMax }) => [index, offset, bytesMax]);
}

test("Raft §7: the next piece goes out when the one before has been answered, and only once", () => {
  const a = leader();
  expect(offsets(a)).toEqual([[undefined, 0, 4]]);
  a.step({ kind: "snapshotSent", to: "b", ok: true });
  a.receive("b", chunkReply(9, 4));
  expect(offsets(a)).toEqual([[9, 4, 4]]);
  a.receive("b", chunkReply(9, 4));
  expect(offsets(a), "a repeated answer").toEqual([]);
  a.receive("b", { kind: "installSnapshotReply", term: 2, matchIndex: 9 });
  expect(a.take("appendEntries", "b").at(-1)).toMatchObject({ prevLogIndex: 9, entries: { length: 2 } });
});

test("a transfer that was interrupted goes on where the follower is", () => {
  const a = leader();
  a.receive("b", chunkReply(9, 8));
  a.step({ kind: "snapshotSent", to: "b", ok: false });
  a.takeEffects("sendSnapshot");
  a.receive("b", {
    kind: "heartbeatReply",
    term: 2,
    sentAt: a.now,
    round: 1,
    nonce: 0,
    stateHash: undefined,
  });
  expect(offsets(a)).toEqual([[9, 8, 4]]);
  a.receive("b", chunkReply(9, 0));
  expect(offsets(a), "it has restarted and lost what it had").toEqual([[9, 0, 4]]);
});

/** Entries 10 and 11 are committed, applied, and in the newest snapshot. */
function moveOn(a: OneServer): void {
  const reply = { kind: "appendEntriesReply", term: 2, success: true, hintIndex: 0, hintTerm: 0 } as const;
  a.receive("c", { ...reply, matchIndex: 11 });
  a.step({ kind: "compacted", point: { ...POINT, index: 11, term: 2 } });
  a.takeEffects("sendSnapshot");
}

test("Raft §7: what follows a snapshot in the log stays until the follower has that snapshot, and then it goes on with it", () => {
  const a = leader(0);
  a.receive("b", chunkReply(9, 8));
  moveOn(a);
  a.receive("b", { kind: "installSnapshotReply", term: 2, matchIndex: 9 });
  expect(offsets(a)).toEqual([]);
  expect(a.take("appendEntries", "b").at(-1)).toMatchObject({ prevLogIndex: 9, entries: { length: 2 } });
});

test("and from the first piece on, which has not been answered yet", () => {
  const a = leader(0);
  moveOn(a);
  a.receive("b", chunkReply(9, 8));
  a.receive("b", { kind: "installSnapshotReply", term: 2, matchIndex: 9 });
  expect(a.take("appendEntries", "b").at(-1)).toMatchObject({ prevLogIndex: 9, entries: { length: 2 } });
});

/** `b` is silent for too long to be waited for, and the log moves on without it. */
function moveOnWithout(a: OneServer): void {
  a.sleepUntil(a.now + OPTIONS.electionMaxMs - 1);
  const [beat] = a.take("heartbeat", "c");
  a.receive("c", heartbeatReply(beat!.round, beat!.sentAt));
  a.sleepUntil(a.now + 2);
  moveOn(a);
}

test("Raft §7: a follower that has its snapshot, but no longer finds what follows in the log, gets the newest one", () => {
  const a = leader(0);
  a.receive("b", chunkReply(9, 8));
  moveOnWithout(a);
  a.receive("b", { kind: "installSnapshotReply", term: 2, matchIndex: 9 });
  expect(offsets(a)).toEqual([[undefined, 0, 4]]);
});

test("and at once if it has restarted and has nothing of its snapshot any more", () => {
  const a = leader(0);
  a.receive("b", chunkReply(9, 8));
  moveOnWithout(a);
  a.receive("b", chunkReply(9, 4));
  expect(offsets(a), "it has a part, and goes on").toEqual([[9, 4, 4]]);
  a.receive("b", chunkReply(9, 0));
  expect(offsets(a)).toEqual([[undefined, 0, 4]]);
});

test("an answer about an older snapshot than the one under way is ignored, a newer one is followed", () => {
  const a = leader();
  a.receive("b", chunkReply(9, 4));
  a.takeEffects("sendSnapshot");
  a.receive("b", chunkReply(8, 4));
  expect(offsets(a)).toEqual([]);
  a.receive("b", chunkReply(10, 4));
  expect(offsets(a)).toEqual([[10, 4, 4]]);
});

test("Raft §7: pieces are gathered in order, whatever is lost, repeated or reordered; each is answered with how far it is", () => {
  const b = new OneServer({ id: "b", term: 2 });
  const answers = [piece(4, 4), piece(0, 4), piece(0, 4), piece(8, 2), piece(4, 4)].map((message) => {
    b.receive("a", message);
    return b.take("snapshotChunkReply")[0]?.offset;
  });
  expect(answers).toEqual([0, 4, 4, 4, 8]);
  expect(b.takeEffects("restore")).toEqual([]);
  b.receive("a", piece(8, 2));
  expect(b.takeEffects("restore")).toMatchObject([{ snapshot: { ...POINT, data: DATA } }]);
  expect(b.completeWrites().take("installSnapshotReply")).toMatchObject([{ matchIndex: 9 }]);
});

test("pieces are joined as they come: the memory they came in may be used again, and the whole is not copied", () => {
  const message = { ...piece(0, 4), data: DATA.slice(0, 4) } as RaftMessage & { kind: "installSnapshot" };
  const incoming = new IncomingSnapshot("a", message);
  expect(() => incoming.whole()).toThrow("pieces of 9 are missing");
  incoming.add(0, message.data);
  message.data.fill(0);
  incoming.add(4, DATA.subarray(4));
  const whole = incoming.whole();
  expect(whole).toEqual(DATA);
  expect(incoming.whole()).toBe(whole);
});

test("pieces of two servers are never joined: two snapshots at the same index may be written differently", () => {
  const b = new OneServer({ id: "b", term: 2 });
  b.receive("a", piece(0, 4));
  b.receive("c", piece(4, 4, POINT, 3));
  expect(
    b.take("snapshotChunkReply").map(({ offset }) => offset),
    "c must begin at the beginning",
  ).toEqual([4, 0]);
});

test("a leader that is elected again goes on with its snapshot, and replaces it by a newer one", () => {
  const b = new OneServer({ id: "b", term: 2 });
  b.receive("a", piece(0, 4));
  b.receive("a", piece(4, 4, POINT, 4));
  expect(b.take("snapshotChunkReply").map(({ offset }) => offset)).toEqual([4, 8]);
  b.receive("a", piece(0, 4, { ...POINT, index: 12 }, 4));
  expect(b.take("snapshotChunkReply")).toMatchObject([{ index: 12, offset: 4 }]);
});

test("the first pieces of a snapshot are let go once the log has caught up without it", () => {
  const options = { ...OPTIONS, id: "b" };
  const initial = { ...EMPTY_STATE, snapshot: { ...POINT, index: 0, term: 0 } };
  const b = new Server(options, initial, 0);
  b.setHardState(2, undefined);
  onInstallSnapshot(b, "a", piece(0, 4) as RaftMessage & { readonly kind: "installSnapshot" });
  expect(b.incoming?.received).toBe(4);
  const entries = logOf([1, 1, 1, 1, 1, 1, 1, 1, 1]);
  const append = { kind: "appendEntries", term: 2, prevLogIndex: 0, prevLogTerm: 0, entries } as const;
  onAppendEntries(b, "a", { ...append, leaderCommit: 8 });
  expect(b.incoming, "entry 9 is not committed here").toBeDefined();
  onAppendEntries(b, "a", { ...append, leaderCommit: 9 });
  expect(b.incoming).toBeUndefined();
});

test("of a snapshot that was installed the log keeps where it stands, not its data", () => {
  const b = new Server({ ...OPTIONS, id: "b" }, EMPTY_STATE, 0);
  b.setHardState(2, undefined);
  onInstallSnapshot(b, "a", piece(0, 10) as RaftMessage & { readonly kind: "installSnapshot" });
  onSnapshotChecked(b, 1, true);
  expect(b.log.snapshot).toEqual(POINT);
});

test("a snapshot that is too large or that the application cannot use is counted and changes nothing", () => {
  for (const snapshotBytesMax of [9, 10]) {
    const b = new OneServer({ id: "b", term: 2, options: { snapshotBytesMax } });
    b.verdict = (data) => data[0] === 1;
    b.receive("a", piece(0, 10));
    expect(b.takeEffects("restore")).toEqual([]);
    expect(b.takeSent()).toEqual([]);
    expect(b.status).toMatchObject({ rejectedMessages: 1, commitIndex: 0 });
  }
});

/** A learner that has applied five entries of term 1; its leader has come back with three of them, and term 2. */
function learnerAhead(): OneServer {
  const configuration = { voters: ["a"], votersOutgoing: [], learners: ["l"] };
  const l = new OneServer({ id: "l", configuration });
  l.receive("a", appendEntries(1, 0, 0, logOf([1, 1, 1, 1, 1]), 5));
  l.completeWrites();
  expect(l.takeEffects("apply")).toMatchObject([{ entries: { length: 5 } }]);
  l.takeSent();
  return l;
}

test("a learner with more than its leader asks for a snapshot when the leader's log contradicts what it applied", () => {
  const l = learnerAhead();
  l.receive("a", appendEntries(2, 3, 1, [], 3));
  expect(
    l.completeWrites().take("appendEntriesReply"),
    "no contradiction yet, and no claim beyond it",
  ).toMatchObject([{ success: true, matchIndex: 3 }]);
  l.receive("a", appendEntries(2, 3, 1, logOf([2], 4), 4));
  expect(l.take("snapshotRequest")).toHaveLength(1);
  expect(l.takeEffects("contradicted")).toEqual([{ kind: "contradicted", leader: "a", index: 4 }]);
  expect(l.status).toMatchObject({ commitIndex: 5, lastIndex: 5 });
});

test("the snapshot takes back what the cluster has lost, and the learner follows from there", () => {
  const l = learnerAhead();
  l.receive("a", appendEntries(2, 3, 1, logOf([2], 4), 4));
  l.takeSent();
  const configuration = { voters: ["a"], votersOutgoing: [], learners: ["l"] };
  for (const offset of [0, 4, 8]) {
    l.receive("a", heartbeat(2, 0));
    l.receive("a", piece(offset, Math.min(4, 10 - offset), { index: 2, term: 1, configuration }));
  }
  expect(l.takeEffects("restore")).toMatchObject([{ snapshot: { index: 2 } }]);
  expect(l.completeWrites().take("installSnapshotReply")).toMatchObject([{ matchIndex: 2 }]);
  l.receive("a", appendEntries(2, 2, 1, logOf([1, 2], 3), 4));
  expect(l.completeWrites().take("appendEntriesReply")).toMatchObject([{ success: true, matchIndex: 4 }]);
  expect(l.status).toMatchObject({ commitIndex: 4, lastIndex: 4 });
  l.receive("a", heartbeat(2, 4));
  expect(l.takeEffects("contradicted")).toEqual([]);
});

test("a contradiction is that of one leader: the next leader's snapshot takes nothing back", () => {
  const l = learnerAhead();
  l.receive("a", appendEntries(2, 3, 1, logOf([2], 4), 4));
  expect(l.takeEffects("contradicted")).toHaveLength(1);
  l.takeSent();
  const configuration = { voters: ["a"], votersOutgoing: [], learners: ["l"] };
  l.receive("c", piece(0, 10, { index: 2, term: 1, configuration }, 3));
  expect(l.takeEffects("restore")).toEqual([]);
  expect(l.completeWrites().take("installSnapshotReply")).toMatchObject([{ matchIndex: 5 }]);
});

test("what a leader of an earlier term says contradicts nothing, and its snapshots are not gathered", () => {
  const l = learnerAhead();
  l.receive("b", heartbeat(3));
  l.takeSent();
  l.receive("a", appendEntries(2, 3, 1, logOf([2], 4), 4));
  l.receive("a", piece(0, 10, { ...POINT, index: 2 }));
  expect(l.takeEffects("contradicted")).toEqual([]);
  expect(l.takeEffects("restore")).toEqual([]);
  expect(l.takeSent().map(({ to, message }) => [to, message.kind, message.term])).toEqual([
    ["a", "heartbeatReply", 3],
    ["a", "heartbeatReply", 3],
  ]);
  expect(l.status).toMatchObject({ commitIndex: 5, lastIndex: 5, leader: "b" });
});

test("only a follower can ask for a snapshot, and what the others have counts on", () => {
  const a = leader();
  a.takeEffects("sendSnapshot");
  a.acknowledge("c");
  const { commitIndex } = a.status;
  for (const from of ["z", "c"]) a.receive(from, { kind: "snapshotRequest", term: 2, minIndex: 0 });
  expect(a.takeEffects("sendSnapshot").map(({ to }) => to)).toEqual(["c"]);
  expect(a.status).toMatchObject({ role: "leader", commitIndex });
});

test("a write that a forced restore overtakes vouches for nothing of the old log", () => {
  const l = learnerAhead();
  l.receive("a", appendEntries(2, 5, 1, logOf([1], 6), 5));
  l.receive("a", appendEntries(3, 3, 1, logOf([3], 4), 4));
  const configuration = { voters: ["a"], votersOutgoing: [], learners: ["l"] };
  l.receive("a", piece(0, 10, { index: 2, term: 1, configuration }, 3));
  l.receive("a", appendEntries(3, 2, 1, logOf([1, 3], 3), 4));
  l.completeWrites();
  const replies = l.take("appendEntriesReply");
  expect(replies.at(-1)).toMatchObject({ success: true, matchIndex: 4 });
  expect(l.status).toMatchObject({ lastIndex: 4, commitIndex: 4 });
});

test("the leader that is asked starts over from its newest snapshot and counts nothing of that follower", () => {
  const a = new OneServer({ configuration: { voters: ["a"], votersOutgoing: [], learners: ["l"] } });
  a.sleepUntil(0).completeWrites();
  a.propose(1, 2);
  a.completeWrites();
  a.acknowledge("l", 3);
  a.receive("l", { kind: "snapshotRequest", term: 1, minIndex: 0 });
  expect(a.status.followers.get("l")?.matchIndex).toBe(0);
  expect(offsets(a)).toEqual([[undefined, 0, 262_144]]);
  a.step({ kind: "snapshotSent", to: "l", ok: true });
  a.receive("l", { kind: "snapshotRequest", term: 1, minIndex: 0 });
  expect(offsets(a), "one at a time").toEqual([]);
});

test("a term that no number of missed elections explains is not believed, except by a fresh server", () => {
  const b = new OneServer({ id: "b", term: 3 });
  b.receive("a", heartbeat(3 + 1_000_000));
  expect(b.status).toMatchObject({ term: 3 + 1_000_000, leader: "a" });
  const far = b.status.term + 1_000_000 + 1;
  for (const message of [
    heartbeat(far),
    appendEntries(far, 0, 0),
    { kind: "timeoutNow", term: far },
  ] as const)
    expect(b.receive("a", message)).toEqual([]);
  expect(b.status).toMatchObject({ term: 3 + 1_000_000, leader: "a", rejectedMessages: 3 });
  const fresh = new OneServer({ id: "c", term: 0 });
  fresh.receive("a", heartbeat(far));
  expect(fresh.status.term).toBe(far);
});
