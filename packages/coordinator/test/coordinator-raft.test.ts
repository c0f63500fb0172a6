/** What the coordinator makes of the Raft core: hand-over, snapshots in pieces, power cuts, odd peers. */

import type { ClusterId, NodeId } from "@skein/kernel";
import { decodeRaftMessage, encodeRaftMessage, type RaftMessage } from "raft-js";
import { expect, test } from "vitest";
import { decodeFrame, encodeFrame } from "../src/frames.ts";
import { msOfStamp } from "../src/hybrid-clock.ts";
import { decodedOrNothing } from "../src/proposals/inherited.ts";
import type { ReplicaSizes } from "../src/replica/replica-sizes.ts";
import { completion, replicated, retained, type SimNode, World } from "./support/world.ts";

function formed(count: number, seed: number, sizes: Partial<ReplicaSizes> = {}): World {
  const world = new World(seed, sizes);
  world.add(count);
  world.startAll();
  world.until(() => world.isFormed(count >= 3 ? 3 : 1), 12_000, "formation");
  return world;
}

function write(world: World, node: SimNode, topic: string, text: string): void {
  const done = completion();
  node.running.retained.put(retained(topic, text), done);
  world.until(() => done.codes.length === 1, 5000, `write of ${topic}`);
}

function raftMessage(bytes: Uint8Array): RaftMessage | undefined {
  const frame = decodeFrame(bytes);
  return frame?.kind === "raft" ? decodeRaftMessage(frame.message) : undefined;
}

test("a leader that stops hands over: what its lease protects goes first, another leads within a second (P1)", () => {
  const world = formed(3, 1);
  const old = world.leader as SimNode;
  const others = world.nodes.filter((node) => node !== old);
  old.releaseMs = 40;
  let toldAt = 0;
  world.watch = (bytes) => {
    if (raftMessage(bytes)?.kind === "timeoutNow") toldAt = world.clock.monotonicMs();
  };
  const startedAt = world.clock.monotonicMs();
  let isStopped = false;
  old.running.stop(() => {
    isStopped = true;
  });
  world.until(
    () => others.some(({ status }) => status.role === "leader" && status.hasQuorum),
    300,
    "a leader",
  );
  expect(old.leasesGivenUp).toBe(1);
  expect(toldAt - startedAt, "only once it was released").toBeGreaterThanOrEqual(40);
  world.until(() => isStopped, 300, "stopped");
  world.kill(old);
  write(world, others[0] as SimNode, "t", "after the hand-over");
});

test("stopping a leader that nobody can follow takes a second at most", () => {
  const world = formed(3, 2);
  const old = world.leader as SimNode;
  world.isolate([old], true);
  let isStopped = false;
  old.running.stop(() => {
    isStopped = true;
  });
  world.until(() => isStopped, 1100, "stopped");
});

test("a node that leads alone, and one that does not lead, stop at once", () => {
  const world = formed(3, 3);
  const follower = world.nodes.find((node) => node !== world.leader) as SimNode;
  let stopped = 0;
  const count = (): void => {
    stopped++;
  };
  follower.running.stop(count);
  const alone = formed(1, 4);
  (alone.nodes[0] as SimNode).running.stop(count);
  world.run(50);
  alone.run(50);
  expect(stopped).toBe(2);
});

test("a large snapshot goes over in pieces, survives a cut in the middle, and heartbeats go on between them", () => {
  const pieceBytes = 4096;
  const world = formed(3, 7, { snapshotChunkBytes: pieceBytes, snapshotEntries: 100, entriesKept: 50 });
  const leader = world.leader as SimNode;
  const away = world.nodes.find((node) => node !== leader) as SimNode;
  world.kill(away);
  const done = completion();
  for (let i = 0; i < 22; i++) leader.running.retained.put(retained(`big/${i}`, "x".repeat(15_000)), done);
  // Small ones behind them, so that the log is long enough for the big ones to be compacted away.
  for (let i = 0; i < 300; i++) leader.running.retained.put(retained(`t/${i % 50}`, `${i}`), done);
  world.until(() => done.codes.length === 322, 20_000, "writes");
  const offsets: number[] = [];
  let largest = 0;
  world.watch = (bytes) => {
    const message = raftMessage(bytes);
    if (message?.kind !== "installSnapshot") return;
    offsets.push(message.offset);
    largest = Math.max(largest, bytes.length);
  };
  world.start(away);
  world.until(() => offsets.length > 20, 10_000, "some pieces");
  world.isolate([away], true);
  world.run(1000);
  const sentBefore = offsets.length;
  world.isolate([away], false);
  world.until(() => world.isFormed(3) && world.isConverged(), 30_000, "catching up");
  expect(largest).toBeLessThan(pieceBytes + 500);
  expect(offsets.length).toBeGreaterThan(50);
  expect(Math.min(...offsets.slice(sentBefore)), "it went on, it did not start over").toBeGreaterThan(
    15 * pieceBytes,
  );
});

/**
 * Three, of which one was away for longer than the log goes back, and has begun to decode the snapshot that it then gets; what it says meanwhile, and
 * the digest of the values that it had.
 */
function decoding(seed: number): {
  readonly world: World;
  readonly away: SimNode;
  readonly said: string[];
  readonly before: string;
} {
  const sizes = { snapshotEntries: 100, entriesKept: 50, decodeBytes: 2000, decodePauseMs: 100 };
  const world = formed(3, seed, sizes);
  const leader = world.leader as SimNode;
  const away = world.nodes.find((node) => node !== leader) as SimNode;
  write(world, leader, "t/0", "before");
  world.until(() => world.isConverged(), 5000, "the first value");
  const before = away.running.retained.digest();
  world.isolate([away], true);
  const done = completion();
  for (let i = 0; i < 300; i++) leader.running.retained.put(retained(`t/${i}`, "x".repeat(100)), done);
  world.until(() => done.codes.length === 300, 20_000, "writes");
  const said: string[] = [];
  let isWhole = false;
  world.watch = (bytes, from) => {
    const message = raftMessage(bytes);
    if (message?.kind === "installSnapshot")
      isWhole ||= message.offset + message.data.length === message.totalBytes;
    if (from === away && message !== undefined) said.push(message.kind);
  };
  world.isolate([away], false);
  world.until(() => isWhole, 20_000, "the last piece");
  world.run(100);
  said.length = 0;
  return { world, away, said, before };
}

/** Less than forty pieces take: the state has some 40 KB, which is read, and then what is retained is filed. */
const HALF_DECODED_MS = 1500;

test("a snapshot is decoded in pieces; until the last one its node follows with the state that it has, and has not acknowledged it", () => {
  const { world, away, said, before } = decoding(21);
  world.run(HALF_DECODED_MS);
  expect(said).toContain("heartbeatReply");
  expect(said).not.toContain("installSnapshotReply");
  expect(away.running.retained.digest(), "the old state is whole").toBe(before);
  expect(away.status.coordinator).toBe(world.leader?.id);
  world.until(() => said.includes("installSnapshotReply"), 10_000, "it is acknowledged");
  world.until(() => world.isConverged(), 5000, "catching up");
  expect(away.running.retained.digest()).not.toBe(before);
});

test("a node that dies in the middle of decoding a snapshot comes back with what it had, and gets it again", () => {
  const { world, away, before } = decoding(22);
  world.run(HALF_DECODED_MS);
  world.restart(away);
  world.run(10);
  expect(away.running.retained.digest()).toBe(before);
  world.until(() => world.isFormed(3) && world.isConverged(), 20_000, "catching up");
  expect(away.running.retained.digest()).not.toBe(before);
});

test("what a new leader finds in its log is not appended once more, though its proposers send it again", () => {
  const world = formed(3, 13);
  const old = world.leader as SimNode;
  const [a, b] = world.nodes.filter((node) => node !== old) as [SimNode, SimNode];
  const done = completion();
  const places = new Set<number>();
  let replies = 0;
  world.watch = (bytes) => {
    const message = raftMessage(bytes);
    // Both others have them, and nobody hears of it.
    if (message?.kind === "appendEntriesReply" && places.has(message.matchIndex) && ++replies === 2)
      world.isolate([old], true);
    if (message?.kind !== "appendEntries") return;
    for (const { index, kind, data } of message.entries) {
      const isWrite = kind === "command" && decodedOrNothing(data)[0]?.operation.kind === "retainedSet";
      if (isWrite) places.add(index);
    }
  };
  for (let i = 0; i < 100; i++) a.running.retained.put(retained(`t/${i}`, `${i}`), done);
  world.until(() => replies >= 2, 100, "replication");
  world.kill(old);
  expect([done.codes.length, replicated(b, "t/99"), places.size]).toEqual([0, undefined, 100]);
  world.until(() => done.codes.length === 100 && world.isConverged(), 10_000, "writes");
  expect(places.size).toBe(100);
});

test("a leader that was down knows how long from its first moment on", () => {
  const world = formed(1, 14);
  const [node] = world.nodes as [SimNode];
  write(world, node, "t", "x");
  world.kill(node);
  world.run(30_000);
  world.start(node);
  const behindMs: number[] = [];
  world.until(
    () => {
      const isLeading = node.coordinator?.status.role === "leader";
      if (isLeading) behindMs.push(world.clock.wallMs() - msOfStamp(node.running.merging.time));
      return isLeading;
    },
    1000,
    "leading again",
  );
  expect(behindMs).toEqual([expect.closeTo(0, -1)]);
});

test("all nodes lose power, and with it what was not flushed: they elect once all of them have answered", () => {
  const world = formed(3, 8);
  write(world, world.nodes[0] as SimNode, "t", "kept");
  world.run(3000);
  for (const node of world.nodes) {
    world.kill(node);
    node.disk.crash();
    node.disk.replaceNow("journal/suspect", new Uint8Array(0));
  }
  const [a, b, c] = world.nodes as [SimNode, SimNode, SimNode];
  world.startAll([a, b]);
  world.run(20_000);
  expect(world.leader, "two suspects are not everybody").toBeUndefined();
  world.start(c);
  const isKept = (node: SimNode): boolean => replicated(node, "t") === "kept";
  world.until(() => world.isFormed(3) && world.nodes.every(isKept), 10_000, "an election, and nothing lost");
  world.run(2000);
  for (const node of world.nodes) expect(node.disk.files.has("journal/suspect")).toBe(false);
});

test("a sole voter comes back without its last writes: the replica that had them follows all the same", () => {
  const world = formed(2, 9);
  const leader = world.leader as SimNode;
  const learner = world.nodes.find((node) => node !== leader) as SimNode;
  write(world, leader, "t", "old");
  world.run(2000);
  const before = leader.disk.clone();
  for (let i = 0; i < 5; i++) write(world, leader, `lost/${i}`, "x");
  world.until(() => replicated(learner, "lost/4") === "x", 1000);
  world.kill(leader);
  leader.disk = before;
  world.start(leader);
  world.until(() => world.isFormed(1), 10_000, "leading again");
  for (let i = 0; i < 20; i++) write(world, leader, `new/${i}`, "y");
  world.until(() => world.isConverged(), 10_000, "equal replicas");
  expect(replicated(learner, "lost/4")).toBeUndefined();
  expect(replicated(learner, "new/19")).toBe("y");
  expect(learner.logs.filter(({ level }) => level === "error").map(({ message }) => message)).toEqual([
    "the cluster has lost committed writes that this node has; it takes over the rest",
  ]);
  expect(learner.fatal).toBeUndefined();
  world.restart(learner);
  world.until(() => world.isFormed(1) && world.isConverged(), 10_000, "after a restart");
});

test("what a copy of a node wrote while that was off is not taken for the node's own writes", () => {
  const world = formed(3, 11);
  const leader = world.leader as SimNode;
  const node = world.nodes.find((each) => each !== leader) as SimNode;
  world.run(2000);
  world.kill(node);
  const original = node.disk.clone();
  world.start(node);
  world.until(() => world.isFormed(3), 10_000, "the copy follows");
  for (let i = 0; i < 5; i++) write(world, node, `copy/${i}`, "x");
  world.kill(node);
  node.disk = original;
  world.start(node);
  for (let i = 0; i < 3; i++) {
    const settle = (): void => expect(replicated(leader, `mine/${i}`), "acknowledged").toBe("y");
    node.running.retained.put(retained(`mine/${i}`, "y"), { settle });
  }
  world.until(() => node.rebirths.length === 1, 10_000, "started again");
  world.until(() => world.isFormed(3), 10_000, "following");
  write(world, node, "mine/0", "again");
  expect(replicated(leader, "mine/0")).toBe("again");
});

test("a node whose own acknowledged writes the cluster has lost ends, because their numbers may still be under way", () => {
  const world = formed(2, 10);
  const leader = world.leader as SimNode;
  const learner = world.nodes.find((node) => node !== leader) as SimNode;
  world.run(2000);
  const before = leader.disk.clone();
  write(world, learner, "mine", "x");
  world.kill(leader);
  leader.disk = before;
  world.start(leader);
  world.until(() => learner.fatal !== undefined, 20_000, "fatal");
  expect(learner.fatal).toMatchObject({ code: "ERR_SKEIN_DATA_LOST" });
  world.restart(learner);
  world.until(() => world.isFormed(1), 10_000, "following");
  write(world, learner, "mine", "again");
  expect(replicated(leader, "mine")).toBe("again");
});

test("replicas with the same log never call each other diverged", () => {
  const world = formed(3, 11);
  const done = completion();
  for (let i = 0; i < 1000; i++) {
    world.nodes[i % 3]?.running.retained.put(retained(`t/${i % 50}`, i % 7 === 0 ? "" : `${i}`), done);
    if (i % 100 === 0) world.run(20);
  }
  world.until(() => done.codes.length === 1000 && world.isConverged(), 10_000, "writes");
  world.run(2000);
  for (const node of world.nodes) {
    expect(node.logs.filter(({ level }) => level === "error")).toEqual([]);
    expect(node.status.isDiverged).toBe(false);
  }
});

test.each([
  ["says that it is cut off", true, 3500],
  ["says nothing of it", false, 6000],
])("P3: who is cut off with a leader that %s knows that there is no quorum", (_, isTold, withinMs) => {
  const world = formed(5, 17);
  const leader = world.leader as SimNode;
  const follower = world.nodes.find(({ status }) => status.role === "learner") as SimNode;
  const cutAt = world.clock.monotonicMs();
  world.isolate([leader, follower], true);
  world.run(1500);
  if (isTold) follower.running.contact.toldCutOff(leader.id, true, world.clock.monotonicMs());
  expect(follower.status.hasQuorum).toBe(true);
  world.until(() => !follower.status.hasQuorum, 10_000, "it knows");
  const afterMs = world.clock.monotonicMs() - cutAt;
  expect(afterMs).toBeGreaterThan(withinMs - 1000);
  if (isTold) expect(afterMs).toBeLessThan(withinMs);
  world.isolate([leader, follower], false);
  follower.running.contact.toldCutOff(leader.id, false, world.clock.monotonicMs());
  world.until(() => world.isFormed(3), 20_000, "they are one again");
});

test("malformed, foreign, far-future and oversized messages change nothing but a counter and a line a minute", () => {
  const world = formed(3, 12);
  const node = world.nodes.find((other) => other !== world.leader) as SimNode;
  const from = (world.leader as SimNode).id;
  const cluster = node.status.cluster as ClusterId;
  const raft = (message: Uint8Array) => encodeFrame({ kind: "raft", cluster, message });
  const { status } = node;
  const far = { kind: "timeoutNow", term: status.term + 2 ** 30 } as const;
  const oversized = raft(new Uint8Array(6 * 1024 * 1024));
  for (let second = 0; second < 130; second++) {
    node.running.receive(from, raft(Uint8Array.of(99, 1, 2)));
    node.running.receive(from, raft(encodeRaftMessage(far)));
    node.running.receive(from, oversized);
    node.running.receive(
      "00000000000000aa" as NodeId,
      encodeFrame({ kind: "joined", cluster: "x" as ClusterId }),
    );
    world.run(1000);
  }
  expect(node.running.counters).toMatchObject({
    malformedFrames: 260,
    foreignFrames: 130,
    rejectedMessages: 130,
  });
  expect(node.status).toMatchObject({ term: status.term, coordinator: status.coordinator, hasQuorum: true });
  const lines = node.logs.filter(
    ({ message }) => message === "peers send control frames that change nothing",
  );
  expect(lines).toHaveLength(3);
});
