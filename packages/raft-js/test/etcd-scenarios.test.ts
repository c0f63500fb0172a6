/**
 * The rules that etcd-io/raft shows in its transcripts (testdata, confchange/testdata, quorum/testdata), in our words.
 *
 * Where a transcript's rule already has a test, this says which; the tests below state the others. etcd's scheme of
 * configurations is another one (decision 0006), so of those transcripts the paper's rule is what is tested.
 *
 * | transcript | the test that states its rule |
 * |---|---|
 * | async_storage_writes | below: a pipeline of writes |
 * | async_storage_writes_append_aba_race | replication: the two tests of that name |
 * | async_storage_writes_apply_nonlocally_committed (a fork's) | below: what is committed is applied before |
 * | campaign | raft-paper: "without a leader it raises its term", "of %i voters", "§8: a new leader appends a no-op" |
 * | campaign_learner_must_vote | membership: "a promoted learner that has not seen its promotion votes" |
 * | checkquorum | elections: thesis 6.2; below: a stepped-down leader that hears of a higher term |
 * | commit_index_regression (a fork's) | replication: "a follower that lost acknowledged entries says so" |
 * | confchange_disable_validation | none: targets are always checked; there is no such option |
 * | confchange_v1_add_single, confchange_v2_add_single_auto, _explicit | membership: "new voters enter through a joint |
 * |   | configuration" (here every change of voters does), "learners get the log ... and need no joint configuration" |
 * | confchange_v1_remove_leader, _stepdown | membership: "a leader that is no longer a voter leads until" |
 * | confchange_v2_add_double_auto, _implicit | membership: "new voters enter through a joint configuration" |
 * | confchange_v2_replace_leader, _stepdown | below: leadership handed over inside a joint configuration |
 * | forget_leader, _prevote_checkquorum, _read_only_lease_based | none: no such event; a leader that must go hands over |
 * | heartbeat_resp_recovers_from_probing | below: a late refusal |
 * | lagging_commit | below: lost acknowledgements and a lost commit |
 * | prevote, prevote_checkquorum | elections: thesis 9.6 and 4.2.3; below: pre-candidates help each other |
 * | probe_and_replicate | raft-paper: figure 7 |
 * | replicate_pause | below: a window of which every message was lost |
 * | single_node | elections: "a sole voter leads at once" |
 * | slow_follower_after_compaction | below: a window that was lost, and the entries are gone |
 * | snapshot_succeed_via_app_resp, _behind | below: a follower that got its snapshot from elsewhere |
 * | vote (a fork's) | raft-paper: §5.4.1 |
 * | confchange: joint_autoleave, joint_safety, zero | membership: "leave it by themselves", "one change at a time", "bug of the caller" |
 * | confchange: joint_learners_next, simple_promote_demote | below: a voter that becomes a learner |
 * | confchange: *_idempotency, simple_safety, update | none: a target is the whole set, and voters change jointly only |
 * | quorum: majority_*, joint_* | quorum: properties over all configurations and answers |
 */

import { expect, test } from "vitest";
import { change, heartbeat, logOf, OneServer, preVote, requestVote, voters } from "./support/one-server.ts";

const REPLY = { kind: "appendEntriesReply", term: 1, hintIndex: 0, hintTerm: 0 } as const;

/** `a` leads three voters; `b` and `c` have its no-op, entry 1, and replicate. */
function leader(): OneServer {
  const a = new OneServer().lead("b");
  a.acknowledge("b");
  a.acknowledge("c");
  a.takeSent();
  a.takeEffects("send");
  return a;
}

/** `from` answers the newest heartbeat of `a`. */
function answer(a: OneServer, from: string): void {
  a.sleepUntil(a.now + 100);
  const { round } = a.take("heartbeat", from).at(-1)!;
  const { term } = a.status;
  a.receive(from, { kind: "heartbeatReply", term, sentAt: a.now, round, nonce: 0, stateHash: undefined });
}

test("etcd async_storage_writes: a pipeline of writes: entries go out while earlier ones are being written, here and there", () => {
  const a = leader();
  const b = new OneServer({ id: "b", term: 1, entries: logOf([1]) });
  a.propose(1);
  a.propose(2);
  expect(a.writes, "two writes under way").toHaveLength(2);
  for (const message of a.take("appendEntries", "b")) b.receive("a", message);
  expect(b.writes, "and two at the follower").toHaveLength(2);
  expect(b.takeSent(), "nothing is acknowledged yet").toEqual([]);
  b.completeWrite();
  const [first] = b.take("appendEntriesReply");
  expect(first).toMatchObject({ success: true, matchIndex: 2 });
  a.receive("b", first!);
  a.completeWrite();
  expect(a.status.commitIndex, "the first entry is on two disks, the second on none").toBe(2);
});

test("etcd async_storage_writes_apply_nonlocally_committed: what is committed is applied before this server's own disk has it", () => {
  const a = leader();
  a.propose(7);
  a.acknowledge("b");
  a.acknowledge("c");
  expect(a.writes, "its own disk stalls").toHaveLength(1);
  expect(a.takeEffects("apply").at(-1)?.entries).toMatchObject([{ index: 2 }]);
});

test("etcd checkquorum: late heartbeats of a leader that stepped down are answered with the higher term, and it follows that", () => {
  const a = leader();
  a.sleepUntil(a.now + 2000);
  expect(a.status).toMatchObject({ role: "follower", term: 1 });
  const late = a.take("heartbeat", "b")[0]!;
  const b = new OneServer({ id: "b", term: 2 });
  b.receive("a", late);
  const [reply] = b.take("heartbeatReply");
  expect(reply).toMatchObject({ term: 2 });
  a.receive("b", reply!);
  expect(a.status).toMatchObject({ role: "follower", term: 2, leader: undefined });
});

test("etcd confchange_v2_replace_leader: a leader that a joint configuration removes hands over to a voter of the new one", () => {
  const a = leader();
  a.step({ kind: "changeConfiguration", voters: ["b", "c", "d"], learners: [] });
  a.step({ kind: "transferLeadership", to: "a" });
  expect(a.takeEffects("refused"), "not to itself").toMatchObject([{ reason: "noTarget" }]);
  a.step({ kind: "transferLeadership", to: "b" });
  a.step({ kind: "leaseReleased" });
  a.completeWrites();
  a.acknowledge("b");
  expect(a.take("timeoutNow", "b")).toHaveLength(1);
  // b has the joint configuration, commits it with both majorities, and leaves it.
  const joint = { voters: ["b", "c", "d"], votersOutgoing: ["a", "b", "c"], learners: [] };
  const b = new OneServer({ id: "b", term: 1, entries: [...logOf([1]), change(2, 1, joint)] });
  b.receive("a", heartbeat(1));
  b.receive("a", { kind: "timeoutNow", term: 1 });
  b.completeWrites();
  for (const from of ["a", "d"])
    b.receive(from, { kind: "requestVoteReply", term: 2, granted: true, isSuspect: false });
  b.completeWrites();
  expect(b.status.role).toBe("leader");
  for (const from of ["c", "d"]) b.acknowledge(from);
  expect(b.status.configuration).toEqual(voters("b", "c", "d"));
});

test("etcd heartbeat_resp_recovers_from_probing: a late refusal below what was acknowledged costs one message", () => {
  const a = leader();
  for (const byte of [1, 2, 3]) a.propose(byte);
  a.acknowledge("b", 4);
  a.takeSent();
  a.receive("b", { ...REPLY, success: false, matchIndex: 3, hintIndex: 1, hintTerm: 1 });
  const [again, ...more] = a.take("appendEntries", "b");
  expect(again).toMatchObject({ prevLogIndex: 1, entries: { length: 3 } });
  expect(more).toEqual([]);
  a.acknowledge("b", 4);
  a.takeSent();
  for (const byte of [4, 5]) a.propose(byte);
  expect(a.take("appendEntries", "b"), "it is pipelined to again").toHaveLength(2);
});

test("etcd lagging_commit: where acknowledgements and the news of the commit were lost, one heartbeat brings both back", () => {
  const a = leader();
  const b = new OneServer({ id: "b", term: 1, entries: logOf([1]) });
  a.propose(1);
  a.propose(2);
  for (const message of a.take("appendEntries", "b")) b.receive("a", message);
  b.completeWrites().takeSent();
  a.completeWrites();
  a.acknowledge("c");
  a.takeSent();
  expect([a.status.commitIndex, b.status.commitIndex]).toEqual([3, 1]);
  a.sleepUntil(a.now + 100);
  b.receive("a", a.take("heartbeat", "b").at(-1)!);
  a.receive("b", b.take("heartbeatReply")[0]!);
  b.receive("a", a.take("appendEntries", "b")[0]!);
  a.receive("b", b.take("appendEntriesReply")[0]!);
  expect(b.status.commitIndex).toBe(3);
  expect(a.status.followers.get("b")?.matchIndex).toBe(3);
});

test("etcd prevote_checkquorum: who no longer hears the leader helps a pre-candidate, also against a leader that lives", () => {
  const b = new OneServer({ id: "b", term: 1, entries: logOf([1]) });
  b.receive("a", heartbeat(1));
  b.sleepUntil(b.node.wakeAt);
  expect(b.status.role).toBe("preCandidate");
  b.takeSent();
  b.receive("c", preVote(2, 1, 1));
  expect(b.take("preVoteReply")).toMatchObject([{ granted: true, term: 2 }]);
  b.receive("c", requestVote(2, 1, 1));
  expect(b.completeWrites().take("requestVoteReply")).toMatchObject([{ granted: true, term: 2 }]);
  expect(b.status, "and stops asking for itself").toMatchObject({ role: "follower", term: 2 });
});

test("etcd replicate_pause: a full window of which every message was lost is found out by one heartbeat", () => {
  const a = leader();
  for (const byte of [1, 2, 3, 4, 5, 6]) a.propose(byte);
  expect(a.take("appendEntries", "b"), "inflightMax").toHaveLength(4);
  answer(a, "b");
  const [probe] = a.take("appendEntries", "b");
  expect(probe, "one place in the window is free: the next entries go").toMatchObject({ prevLogIndex: 5 });
  a.receive("b", { ...REPLY, success: false, matchIndex: 5, hintIndex: 1, hintTerm: 1 });
  expect(a.take("appendEntries", "b")).toMatchObject([{ prevLogIndex: 1, entries: { length: 6 } }]);
});

test("etcd slow_follower_after_compaction: where a lost window is compacted meanwhile, the follower gets a snapshot", () => {
  const a = leader();
  for (const byte of [1, 2, 3, 4, 5, 6]) a.propose(byte);
  a.completeWrites();
  a.acknowledge("c");
  a.step({ kind: "compacted", point: a.node.snapshotPoint(7)! });
  answer(a, "b");
  a.takeEffects("sendSnapshot");
  a.receive("b", { ...REPLY, success: false, matchIndex: 5, hintIndex: 1, hintTerm: 1 });
  expect(a.takeEffects("sendSnapshot")).toMatchObject([{ to: "b", offset: 0 }]);
});

test("etcd snapshot_succeed_via_app_resp: a follower that got its snapshot from elsewhere goes on with the log", () => {
  const a = new OneServer({
    snapshot: { index: 9, term: 1, configuration: voters("a", "b", "c") },
    term: 1,
  }).lead("b");
  const refusal = { ...REPLY, term: 2, success: false, matchIndex: 9 };
  a.receive("b", refusal);
  expect(a.takeEffects("sendSnapshot")).toHaveLength(1);
  a.takeSent();
  a.acknowledge("b", 8);
  expect(a.take("appendEntries", "b"), "entry 9 is gone: still no use").toEqual([]);
  a.acknowledge("b", 9);
  expect(
    a.take("appendEntries", "b"),
    "older than the one under way, but the log goes on from there",
  ).toMatchObject([{ prevLogIndex: 9, entries: [{ index: 10 }] }]);
});

test("etcd joint_learners_next: a voter that becomes a learner votes until the joint configuration is left", () => {
  const a = leader();
  a.step({ kind: "changeConfiguration", voters: ["a", "b"], learners: ["c"] });
  a.completeWrites();
  a.acknowledge("b");
  expect(a.status, "a and b are both majorities").toMatchObject({
    commitIndex: 2,
    configuration: { voters: ["a", "b"], votersOutgoing: [], learners: ["c"] },
  });
  const joint = { voters: ["a", "b"], votersOutgoing: ["a", "b", "c"], learners: ["c"] };
  const c = new OneServer({ id: "c", term: 1, configuration: joint });
  c.sleepUntil(c.node.wakeAt);
  expect(c.status.role, "it may hold the only copy of what the old voters agreed on").toBe("preCandidate");
  const left = new OneServer({ id: "c", term: 1, configuration: { ...joint, votersOutgoing: [] } });
  left.sleepUntil(60_000);
  expect(left.status.role).toBe("follower");
});
