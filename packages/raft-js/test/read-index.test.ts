/** Linearizable reads without the log: ReadIndex, thesis 6.4. */

import { expect, test } from "vitest";
import { appendEntries, heartbeat, logOf, OneServer, voters } from "./support/one-server.ts";

function reply(term: number, a: OneServer, round: number) {
  return { kind: "heartbeatReply", term, sentAt: a.now, round, nonce: 0, stateHash: undefined } as const;
}

/** `a` leads and has committed its no-op (entry 1). */
function leader(): OneServer {
  const a = new OneServer().lead("b");
  a.acknowledge("b");
  a.takeSent();
  return a;
}

test("thesis 6.4: a read is answered when a quorum has answered a heartbeat sent after it", () => {
  const a = leader();
  a.sleepUntil(a.now + 100);
  const [early] = a.take("heartbeat", "b");
  a.step({ kind: "readIndex", request: 7 });
  const [beat] = a.take("heartbeat", "b");
  expect(beat?.round).toBeGreaterThan(early!.round);
  a.receive("b", reply(1, a, early!.round));
  expect(a.takeEffects("readable"), "that one was sent before the read, if in the same millisecond").toEqual(
    [],
  );
  a.receive("b", reply(1, a, beat!.round));
  expect(a.takeEffects("readable")).toEqual([{ kind: "readable", requests: [7], index: 1 }]);
});

test("thesis 6.4: in a joint configuration both majorities must answer, also for a read asked before the change", () => {
  const a = leader();
  a.step({ kind: "readIndex", request: 1 });
  const [beat] = a.take("heartbeat", "b");
  a.step({ kind: "changeConfiguration", voters: ["a", "d", "e"], learners: [] });
  for (const id of ["b", "c"]) a.receive(id, reply(1, a, beat!.round));
  expect(a.takeEffects("readable"), "the old majority alone").toEqual([]);
  a.sleepUntil(a.now + 100);
  const { round } = a.take("heartbeat", "d").at(-1)!;
  a.receive("d", reply(1, a, round));
  expect(a.takeEffects("readable")).toMatchObject([{ requests: [1] }]);
});

test("thesis 6.4: reads that come while a round is under way share the next one", () => {
  const a = leader();
  a.step({ kind: "readIndex", request: 1 });
  const [first] = a.take("heartbeat", "b");
  for (const request of [2, 3, 4]) a.step({ kind: "readIndex", request });
  expect(a.takeSent(), "one round at a time").toEqual([]);
  a.receive("b", reply(1, a, first!.round));
  const second = a.take("heartbeat", "b");
  expect(second).toHaveLength(1);
  a.receive("b", reply(1, a, second[0]!.round));
  expect(a.takeEffects("readable").map(({ requests }) => requests)).toEqual([[1], [2, 3, 4]]);
});

test("a lost round is made up for by the next heartbeat", () => {
  const a = leader();
  a.step({ kind: "readIndex", request: 1 });
  a.takeSent();
  a.sleepUntil(a.now + 100);
  a.receive("c", reply(1, a, a.take("heartbeat", "c")[0]!.round));
  expect(a.takeEffects("readable")).toHaveLength(1);
});

test("thesis 6.4: a new leader answers no read before it has committed an entry of its term", () => {
  const a = new OneServer().lead("b");
  a.takeSent();
  a.step({ kind: "readIndex", request: 1 });
  expect(a.take("heartbeat")).toEqual([]);
  a.acknowledge("b");
  const [beat] = a.take("heartbeat", "b");
  a.receive("b", reply(1, a, beat!.round));
  expect(a.takeEffects("readable")).toEqual([{ kind: "readable", requests: [1], index: 1 }]);
});

test("the index of a read is the commit index after it was asked, not when it is answered", () => {
  const a = leader();
  a.step({ kind: "readIndex", request: 1 });
  const [beat] = a.take("heartbeat", "b");
  a.propose(1);
  a.completeWrites();
  a.acknowledge("b", 2);
  a.receive("b", reply(1, a, beat!.round));
  expect(a.takeEffects("readable")).toEqual([{ kind: "readable", requests: [1], index: 1 }]);
});

test("a sole voter answers at once", () => {
  const a = new OneServer({ configuration: voters("a") }).sleepUntil(0).completeWrites();
  a.step({ kind: "readIndex", request: 1 });
  expect(a.takeEffects("readable")).toEqual([{ kind: "readable", requests: [1], index: 1 }]);
});

/** `id` follows `a` in term 1 and has asked it read `request`. Returns its question. */
function ask(b: OneServer, request: number) {
  b.receive("a", heartbeat(1));
  b.takeSent();
  b.step({ kind: "readIndex", request });
  return b.take("readIndex", "a")[0]!;
}

test("a follower asks its leader, and reads once it has applied the leader's index", () => {
  const b = new OneServer({ id: "b", term: 1 });
  const question = ask(b, 5);
  expect(question).toMatchObject({ kind: "readIndex", term: 1, request: 5 });
  b.receive("a", { ...question, kind: "readIndexReply", index: 2 });
  expect(b.takeEffects("readPending")).toEqual([{ kind: "readPending", requests: [5], index: 2 }]);
  expect(b.takeEffects("readable")).toEqual([]);
  const effects = b.receive("a", appendEntries(1, 0, 0, logOf([1, 1]), 2));
  expect(effects.map(({ kind }) => kind).slice(-2)).toEqual(["apply", "readable"]);
});

test("a follower whose snapshot is being written reads once the state machine has taken it over", () => {
  const b = new OneServer({ id: "b", term: 1 });
  const question = ask(b, 5);
  const data = new Uint8Array(4);
  const point = { index: 9, term: 1, configuration: voters("a", "b", "c") };
  b.receive("a", { kind: "installSnapshot", term: 1, point, totalBytes: 4, offset: 0, data });
  b.receive("a", { ...question, kind: "readIndexReply", index: 9 });
  expect(b.takeEffects("readPending")).toEqual([{ kind: "readPending", requests: [5], index: 9 }]);
  expect(b.takeEffects("readable")).toEqual([]);
  expect(b.completeWrites().takeEffects("readable")).toEqual([{ kind: "readable", requests: [5], index: 9 }]);
});

test("an answer to a question of before its restart answers none of the same number asked after it (etcd #20418)", () => {
  const before = ask(new OneServer({ id: "b", term: 1, options: { randomBelow: () => 0 } }), 1);
  const b = new OneServer({ id: "b", term: 1, options: { randomBelow: () => 1 } });
  const after = ask(b, 1);
  b.receive("a", { ...before, kind: "readIndexReply", index: 0 });
  expect(b.takeEffects("readable"), "0 was committed when the first life asked").toEqual([]);
  b.receive("a", { ...after, kind: "readIndexReply", index: 0 });
  expect(b.takeEffects("readable")).toEqual([{ kind: "readable", requests: [1], index: 0 }]);
});

test("the leader answers followers, and nobody else", () => {
  const a = leader();
  a.receive("c", { kind: "readIndex", term: 1, request: 5, nonce: 9 });
  a.receive("z", { kind: "readIndex", term: 1, request: 6, nonce: 9 });
  const [beat] = a.take("heartbeat", "b");
  a.receive("b", reply(1, a, beat!.round));
  expect(a.take("readIndexReply")).toEqual([
    { kind: "readIndexReply", term: 1, request: 5, nonce: 9, index: 1 },
  ]);
});

test("reads are refused without a leader, when leadership is lost, and when too many wait", () => {
  const b = new OneServer({ id: "b" });
  b.step({ kind: "readIndex", request: 1 });
  expect(b.takeEffects("readRefused")).toEqual([{ kind: "readRefused", requests: [1] }]);
  const a = leader();
  for (let request = 0; request < 4096; request++) a.step({ kind: "readIndex", request });
  expect(a.takeEffects("readRefused")).toEqual([]);
  a.step({ kind: "readIndex", request: 4096 });
  expect(a.takeEffects("readRefused")).toEqual([{ kind: "readRefused", requests: [4096] }]);
  a.receive("c", heartbeat(2));
  expect(a.takeEffects("readRefused").flatMap(({ requests }) => requests)).toHaveLength(4096);
});

test("an answer to a round that was never sent confirms nothing", () => {
  const a = leader();
  a.step({ kind: "readIndex", request: 1 });
  a.receive("b", reply(1, a, 1_000_000));
  expect(a.takeEffects("readable")).toEqual([]);
});
