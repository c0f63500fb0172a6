/** P8 and P3: what a reader on any node sees of the retained store, with a quorum and without. */

import { decodeRaftMessage } from "raft-js";
import { expect, test } from "vitest";
import { decodeFrame } from "../src/frames.ts";
import { ask, completion, replicated, retained, type SimNode, World } from "./support/world.ts";

function formed(count: number, seed: number): World {
  const world = new World(seed);
  world.add(count);
  world.startAll();
  world.until(() => world.isFormed(count >= 3 ? 3 : 1), 12_000, "formation");
  return world;
}

/** A node of `world` that does not lead. */
function follower(world: World): SimNode {
  return world.nodes.find((node) => node !== world.leader) as SimNode;
}

test("P8: a reader on any node sees what was acknowledged anywhere before it", () => {
  const world = formed(3, 5);
  let wasBehind = 0;
  for (let i = 0; i < 30; i++) {
    const done = completion();
    world.nodes[i % 3]?.running.retained.put(retained("t", `${i}`), done);
    world.until(() => done.codes.length === 1, 1000);
    for (const node of world.nodes) if (replicated(node, "t") !== `${i}`) wasBehind++;
    const answers = world.nodes.map((node) => ask(node, "t"));
    world.until(() => answers.every(({ values }) => values !== undefined), 100, "answers");
    expect(answers.map(({ values }) => values)).toEqual([[`${i}`], [`${i}`], [`${i}`]]);
  }
  expect(wasBehind, "replicas that had not heard of the commit when they were asked").toBeGreaterThan(0);
});

test("P8: a reader sees its own node's writes, and nobody sees one before it is committed", () => {
  const world = formed(3, 2);
  const writer = follower(world);
  const reader = world.nodes.find((node) => node !== writer && node !== world.leader) as SimNode;
  writer.running.retained.put(retained("t/x", "1", 0), undefined);
  const own = ask(writer, "t/+");
  world.until(() => own.values !== undefined, 100, "its own node's answer");
  expect(own.values).toEqual(["1"]);
  expect(writer.status.pendingProposals, "it was committed by then").toBe(0);
  // The same in a mesh where the writer's node cannot reach the leader for the moment.
  world.isolate([writer], true);
  writer.running.retained.put(retained("t/x", "2", 0), undefined);
  const others = ask(reader, "t/+");
  // It has not said how far it has proposed, and is waited for a quarter of a second.
  world.until(() => others.values !== undefined, 600, "another node's answer");
  expect(others.values).toEqual(["1"]);
});

test("P8: a reader on any node sees what the others had proposed when it came, so that live messages follow without a gap", () => {
  const world = formed(3, 4);
  const writer = follower(world);
  for (let i = 1; i <= 30; i++) {
    const done = completion();
    writer.running.retained.put(retained("t", `${i}`), done);
    const answers = world.nodes.map((node) => ask(node, "t"));
    world.until(() => answers.every(({ values }) => values !== undefined), 200);
    for (const { values } of answers) expect(values).toEqual([`${i}`]);
    world.until(() => done.codes.length === 1, 100);
  }
});

test("P8: not even on the writer's node is a write seen before it is committed", () => {
  const world = formed(3, 3);
  const writer = follower(world);
  let wasPending = 0;
  for (let i = 1; i <= 20; i++) {
    const answer = ask(writer, "t");
    const done = completion();
    // Behind the read, which waits only for what was proposed before it.
    writer.running.retained.put(retained("t", `${i}`), done);
    world.until(() => answer.values !== undefined, 100);
    if (done.codes.length === 0) {
      wasPending++;
      expect(answer.values).toEqual(i === 1 ? [] : [`${i - 1}`]);
    }
    world.until(() => done.codes.length === 1, 100);
  }
  expect(wasPending).toBeGreaterThan(5);
});

test("P8: a deletion that waits for its commit is not undone by a read meanwhile", () => {
  const world = formed(3, 9);
  const node = follower(world);
  const done = completion();
  node.running.retained.put(retained("t", "1"), done);
  world.until(() => done.codes.length === 1, 1000);
  node.running.retained.put(retained("t", "", 0), undefined);
  const answer = ask(node, "t");
  world.until(() => answer.values !== undefined, 100);
  expect(answer.values).toEqual([]);
});

test("P8: a leader that was cut off and does not know it yet does not answer with what is outdated", () => {
  const world = formed(3, 21);
  const old = world.leader as SimNode;
  const done = completion();
  old.running.retained.put(retained("t", "old"), done);
  world.until(() => done.codes.length === 1, 1000);
  world.isolate([old], true);
  world.until(() => world.leader !== undefined && world.leader !== old, 10_000, "a new leader");
  world.leader?.running.retained.put(retained("t", "new"), done);
  world.until(() => done.codes.length === 2, 1000);
  expect(old.status.role, "it still believes that it leads").toBe("leader");
  const before = old.running.counters.uncertainReads;
  const answer = ask(old, "t");
  world.run(200);
  expect(answer.values).toBeUndefined();
  world.until(() => answer.values !== undefined, 900, "P3: its own last state, said to be that");
  expect(answer.values).toEqual(["old"]);
  expect(old.running.counters.uncertainReads).toBe(before + 1);
});

test("P8: a reader on a node that is being filled waits for the snapshot that brings the newest value", () => {
  const world = new World(22, { snapshotEntries: 20, entriesKept: 5, snapshotChunkBytes: 200 });
  world.add(3);
  world.startAll();
  world.until(() => world.isFormed(3), 12_000, "formation");
  const behind = follower(world);
  const write = (text: string): void => {
    const done = completion();
    world.leader?.running.retained.put(retained("t", text), done);
    world.until(() => done.codes.length === 1, 1000);
  };
  write("old");
  world.run(1000);
  world.isolate([behind], true);
  for (let i = 0; i < 100; i++) write(`${i}`);
  world.isLost = isSnapshotPiece;
  world.isolate([behind], false);
  world.run(2000);
  expect([replicated(behind, "t"), behind.status.hasQuorum]).toEqual(["old", true]);
  const answer = ask(behind, "t");
  world.run(15_000);
  expect(answer.values, "it is not shown what was replaced").toBeUndefined();
  world.isLost = () => false;
  world.until(() => answer.values !== undefined, 10_000, "its answer");
  expect(answer.values).toEqual(["99"]);
  expect(behind.running.counters.uncertainReads).toBe(0);
});

function isSnapshotPiece(bytes: Uint8Array): boolean {
  const frame = decodeFrame(bytes);
  return frame?.kind === "raft" && decodeRaftMessage(frame.message).kind === "installSnapshot";
}

test("P3: a node that believes in a leader it cannot reach answers within a second, with its own writes", () => {
  const world = formed(3, 6);
  const leader = world.leader as SimNode;
  const cut = follower(world);
  world.isolate([cut, leader], true);
  world.isolate([cut], true);
  for (const node of [cut, leader]) {
    node.running.retained.put(retained("t", "mine"), completion());
    const startedAt = world.clock.monotonicMs();
    const answer = ask(node, "t");
    world.until(() => answer.values !== undefined, 1000, "answer");
    expect(world.clock.monotonicMs() - startedAt).toBeGreaterThan(500);
    expect(answer.values).toEqual(["mine"]);
    expect(node.running.counters.uncertainReads).toBe(1);
  }
});

test("P3: a node that knows that it has no leader answers at once", () => {
  const world = formed(3, 7);
  const node = follower(world);
  for (const other of world.nodes) if (other !== node) world.kill(other);
  world.until(() => node.status.coordinator === undefined, 6000, "the loss of the leader is known");
  node.running.retained.put(retained("t", "mine"), completion());
  expect(ask(node, "t").values).toEqual(["mine"]);
});

test.each(["killed", "stopped"] as const)(
  "P3, P8: a node that was %s and starts again alone serves its own last state",
  (how) => {
    const world = formed(3, 10);
    const node = follower(world);
    const done = completion();
    for (const [topic, text] of [
      ["a", "1"],
      ["b", "2"],
      ["a", "3"],
      ["b", ""],
    ] as const)
      node.running.retained.put(retained(topic, text), done);
    world.until(() => done.codes.length === 4, 1000);
    // What a killed process had not noted yet is two seconds old at most.
    if (how === "killed") world.run(2000);
    else node.running.stop(() => {});
    world.run(100);
    for (const other of world.nodes) world.kill(other);
    world.start(node);
    expect(ask(node, "+").values).toEqual(["3"]);
    world.run(20_000);
    expect(ask(node, "+").values).toEqual(["3"]);
    expect(node.status.hasQuorum).toBe(false);
  },
);

test("P3: a node that belongs to no cluster yet answers at once", () => {
  const world = new World(8);
  const [node] = world.add(1) as [SimNode];
  world.start(node);
  node.running.retained.put(retained("t", "mine"), completion());
  expect(ask(node, "t").values).toEqual(["mine"]);
});

test("a read that was asked of a leader that died is answered by the next one", () => {
  const world = formed(3, 11);
  const leader = world.leader as SimNode;
  const node = follower(world);
  // The follower has just heard the leader, so it waits; the election is over before its patience is.
  leader.running.stop(() => world.kill(leader));
  const answer = ask(node, "t");
  world.until(() => answer.values !== undefined, 1000);
  expect(node.running.counters.uncertainReads).toBe(0);
});

test("a read that was lost with a link is asked again as soon as the link is back", () => {
  const world = formed(3, 13);
  const node = follower(world);
  world.isolate([node], true);
  world.run(20);
  const answer = ask(node, "t");
  world.run(20);
  world.isolate([node], false);
  world.until(() => answer.values !== undefined, 60);
  expect(node.running.counters.uncertainReads).toBe(0);
});

test("a thousand readers at once share one question at a time", () => {
  const world = formed(3, 12);
  const node = follower(world);
  let questions = 0;
  world.watch = (bytes) => {
    const frame = decodeFrame(bytes);
    if (frame?.kind === "raft" && decodeRaftMessage(frame.message).kind === "readIndex") questions++;
  };
  const answers = Array.from({ length: 1000 }, () => ask(node, "t"));
  world.until(() => answers.every(({ values }) => values !== undefined), 100);
  expect(questions).toBe(2);
});
