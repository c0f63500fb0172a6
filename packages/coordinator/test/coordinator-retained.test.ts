import { SAFE_HERE_ONLY, seededPrng } from "@skein/kernel";
import { decodeRaftMessage } from "raft-js";
import { expect, test } from "vitest";
import { decodeFrame } from "../src/frames.ts";
import { ask, completion, replicated, retained, type SimNode, textOf, World } from "./support/world.ts";

function formed(count: number, seed: number): World {
  const world = new World(seed);
  world.add(count);
  world.startAll();
  world.until(() => world.isFormed(count >= 3 ? 3 : 1), 12_000, "formation");
  return world;
}

/** Three nodes of which two have died, the leader among them; `last` has said that there is no quorum. */
function lastOfThree(): { readonly world: World; readonly leader: SimNode; readonly last: SimNode } {
  const world = formed(3, 5);
  const leader = world.leader as SimNode;
  const [other, last] = world.nodes.filter((node) => node !== leader) as [SimNode, SimNode];
  world.kill(leader);
  world.kill(other);
  world.until(() => !last.status.hasQuorum, 6000, "loss of the quorum is said");
  return { world, leader, last };
}

test("a retained write on any node is acknowledged quickly and readable on every node", () => {
  const world = formed(3, 1);
  for (const [i, node] of world.nodes.entries()) {
    const done = completion();
    const startedAt = world.clock.monotonicMs();
    expect(node.running.retained.put(retained(`a/${i}`, "on"), done)).toBe(1);
    world.until(() => done.codes.length > 0, 200, "acknowledgement without waiting for a heartbeat");
    expect(done.codes).toEqual([0]);
    expect(world.clock.monotonicMs() - startedAt).toBeLessThan(100);
  }
  world.until(() => world.isConverged(), 1000, "convergence");
  for (const node of world.nodes) for (const i of [0, 1, 2]) expect(replicated(node, `a/${i}`)).toBe("on");
});

test("1,000 topics written on one node and half of them deleted on another are the same set everywhere", () => {
  const world = formed(3, 3);
  const [a, b] = world.nodes as [SimNode, SimNode];
  const done = completion();
  for (let i = 0; i < 1000; i++) a.running.retained.put(retained(`home/${i}/state`, `value ${i}`), done);
  world.until(() => done.codes.length === 1000 && world.isConverged(), 5000, "writes");
  expect(b.running.retained.count).toBe(1000);
  for (let i = 0; i < 1000; i += 2) b.running.retained.put(retained(`home/${i}/state`, ""), done);
  world.until(() => done.codes.length === 1500 && world.isConverged(), 5000, "deletions");
  for (const node of world.nodes) {
    expect(node.running.retained.count).toBe(500);
    const topics = [...node.running.retained.entries()].map((message) => message.topic);
    expect(topics).toEqual(topics.toSorted());
    expect(topics).not.toContain("home/0/state");
  }
});

test("a retained message comes with what is left of its lifetime, on every node, and is gone when that is over", () => {
  const world = formed(3, 6);
  const [a] = world.nodes as [SimNode];
  const done = completion();
  const properties = { messageExpirySeconds: 60, contentType: "text/plain" };
  a.running.retained.put({ ...retained("t", "x"), properties }, done);
  world.until(() => done.codes.length === 1 && world.isConverged(), 1000, "the write");
  const lifetimes = (): (number | undefined)[] => {
    const found: (number | undefined)[] = [];
    let answers = 0;
    for (const { running } of world.nodes)
      running.retained.read({
        mayRead: (view) => {
          answers++;
          view.match("+", (message) => found.push(message.properties?.messageExpirySeconds));
        },
      });
    world.until(() => answers === world.nodes.length, 2000, "answers");
    return found;
  };
  world.run(10_000);
  for (const seconds of lifetimes()) expect(seconds).toBeGreaterThanOrEqual(49);
  for (const seconds of lifetimes()) expect(seconds).toBeLessThanOrEqual(50);
  world.run(51_000);
  expect(lifetimes()).toEqual([]);
  a.running.retained.put(retained("u", "y"), done);
  world.until(() => done.codes.length === 2 && world.isConverged(), 1000, "a further write");
  for (const { running } of world.nodes) expect(running.retained.count).toBe(1);
});

test("without a quorum a message that is not committed expires as well", () => {
  const world = new World(7);
  const [node] = world.add(1) as [SimNode];
  world.start(node);
  const properties = { messageExpirySeconds: 2 };
  node.running.retained.put({ ...retained("t", "x"), properties }, undefined);
  const seen = (): number => {
    let count = 0;
    node.running.retained.read({ mayRead: (view) => view.match("t", () => count++) });
    return count;
  };
  expect(seen()).toBe(1);
  world.run(2_100);
  expect(seen()).toBe(0);
});

test("beyond 16,384 pending writes the next one hears 0x97, and one of QoS 0 is dropped and counted", () => {
  const world = new World(4);
  const [node] = world.add(1) as [SimNode];
  world.start(node);
  const done = completion();
  for (let i = 0; i < 16_384; i++) expect(node.running.retained.put(retained(`t/${i}`, "x"), done)).toBe(1);
  const late = completion();
  expect(node.running.retained.put(retained("late", "x"), late)).toBe(1);
  expect(node.running.retained.put(retained("late", "x", 0), undefined)).toBe(0);
  expect(late.codes).toEqual([]);
  world.run(1);
  expect(late.codes).toEqual([0x97]);
  expect(node.running.counters).toMatchObject({ refusedWrites: 1, droppedWrites: 1 });
  expect(replicated(node, "late")).toBeUndefined();
  world.until(() => done.codes.length === 16_384, 60_000, "held until the cluster is founded");
  expect(new Set(done.codes)).toEqual(new Set([0]));
  expect(node.running.retained.count).toBe(16_384);
});

test("P3: without a quorum a retained write is acknowledged when it is on this node's disk, shown, and in the store of all after the heal", () => {
  const { world, leader, last } = lastOfThree();
  const done = completion();
  last.running.retained.put(retained("new", "yes"), done);
  world.run(1000);
  expect(done.codes).toEqual([]);
  world.until(() => done.codes.length > 0, 2000, "acknowledgement without a quorum");
  expect(done.codes).toEqual([SAFE_HERE_ONLY]);
  expect(ask(last, "new").values).toEqual(["yes"]);
  world.restart(last);
  world.run(2000);
  expect(ask(last, "new").values).toEqual(["yes"]);
  world.start(leader);
  world.until(() => replicated(leader, "new") === "yes", 20_000, "the write comes through after the heal");
  world.until(() => last.disk.read("outbox") === undefined, 5000, "the outbox is empty");
  expect([last.running.merging.conflictCount, replicated(last, "new")]).toEqual([0, "yes"]);
});

test("what a node writes without a quorum after a restart is later than what it wrote before", () => {
  const { world, last } = lastOfThree();
  const done = completion();
  last.running.retained.put(retained("t", "before"), done);
  world.until(() => done.codes.length > 0, 5000, "acknowledgement without a quorum");
  world.run(60_000);
  last.running.retained.put(retained("t", "a minute later"), done);
  world.until(() => done.codes.length > 1, 5000, "acknowledgement without a quorum");
  const before = last.running.merging.time;
  world.restart(last);
  world.run(3000);
  expect(last.running.merging.time).toBeGreaterThanOrEqual(before);
});

test("P8: what a minority has written stays after the heal, unless the majority wrote the topic meanwhile: then it is in the conflicts of all", () => {
  const world = formed(3, 8);
  const [a, b, c] = world.nodes as [SimNode, SimNode, SimNode];
  const before = completion();
  for (const topic of ["both", "deleted", "only"]) a.running.retained.put(retained(topic, "old"), before);
  world.until(() => before.codes.length === 3 && world.isConverged(), 1000, "the first writes");
  const minority = [a, b, c].find((node) => node !== world.leader) as SimNode;
  const majority = [a, b, c].find((node) => node !== minority) as SimNode;
  world.isolate([minority], true);
  const done = completion();
  for (const [topic, value] of [
    ["both", "of the minority"],
    ["deleted", "of the minority"],
    ["only", "first"],
    ["only", "second"],
  ] as const)
    minority.running.retained.put(retained(topic, value), done);
  world.until(() => done.codes.length === 4, 12_000, "acknowledgements without a quorum");
  const meanwhile = completion();
  majority.running.retained.put(retained("both", "of the majority"), meanwhile);
  majority.running.retained.put(retained("deleted", ""), meanwhile);
  world.until(() => meanwhile.codes.length === 2, 12_000, "the majority writes");
  world.isolate([minority], false);
  world.until(() => replicated(majority, "only") === "second" && world.isConverged(), 20_000, "the heal");
  for (const node of world.nodes) {
    expect([replicated(node, "both"), replicated(node, "deleted")]).toEqual(["of the majority", undefined]);
    const { conflicts } = node.running.merging;
    expect(conflicts.map(({ message, kept }) => [message.topic, textOf(message), kept.isDeletion])).toEqual([
      ["both", "of the minority", false],
      ["deleted", "of the minority", true],
    ]);
    expect(node.outdated).toEqual(["both", "deleted"]);
  }
});

test("P3: without a quorum a message for a kept session is acknowledged when it is on this node's disk", () => {
  const { world, last } = lastOfThree();
  const done = completion();
  last.running.sessions.publish({ ...retained("t", "1"), retain: false }, undefined, [], done);
  world.run(1000);
  expect(done.codes).toEqual([]);
  world.until(() => done.codes.length > 0, 2000, "acknowledgement without a quorum");
  expect(done.codes).toEqual([SAFE_HERE_ONLY]);
});

test("two nodes: the learner's death loses nothing, and the voter restarts with its data", () => {
  const world = formed(2, 6);
  const voter = world.leader as SimNode;
  const learner = world.nodes.find((node) => node !== voter) as SimNode;
  const done = completion();
  learner.running.retained.put(retained("a", "1"), done);
  world.until(() => done.codes.length === 1, 1000);
  world.kill(learner);
  voter.running.retained.put(retained("b", "2"), done);
  world.until(() => done.codes.length === 2, 1000);
  world.restart(voter);
  world.start(learner);
  world.until(() => world.isFormed(1) && world.isConverged(), 6000);
  expect(replicated(learner, "a")).toBe("1");
  expect(replicated(learner, "b")).toBe("2");
});

test.each([11, 12, 13, 14, 15, 16, 17, 18])(
  "no acknowledged retained write is lost while nodes are killed and restarted (seed %i)",
  (seed) => {
    const world = formed(3, seed);
    const prng = seededPrng(seed);
    const acknowledged = new Map<string, number>();
    let writes = 0;
    const write = (): void => {
      const running = world.running;
      const node = running[prng.below(running.length)];
      const topic = `t/${prng.below(20)}`;
      const value = ++writes;
      // Each topic has one writer, whose values only grow: it must end at or above its newest acknowledged value.
      node?.running.retained.put(retained(`${topic}/${node.id}`, String(value)), {
        settle: (code) => {
          if (code === 0) acknowledged.set(`${topic}/${node.id}`, value);
        },
      });
    };
    for (let round = 0; round < 6; round++) {
      for (let i = 0; i < 30; i++) {
        write();
        world.run(prng.below(40));
      }
      const victim = prng.below(2) === 0 ? world.leader : world.nodes[prng.below(3)];
      if (victim?.coordinator !== undefined) {
        world.kill(victim);
        for (let i = 0; i < 10; i++) {
          write();
          world.run(prng.below(600));
        }
        world.start(victim);
      }
      world.run(prng.below(3000));
    }
    world.until(() => world.isFormed(3) && world.isConverged(), 20_000, "heal");
    expect(acknowledged.size).toBeGreaterThan(20);
    for (const node of world.nodes) {
      for (const [topic, value] of acknowledged)
        expect(Number(replicated(node, topic))).toBeGreaterThanOrEqual(value);
    }
    expect(world.clusters().size).toBe(1);
  },
);

test("a cut-off leader acknowledges nothing, steps down, and its writes are committed after the heal", () => {
  const world = formed(3, 22);
  const old = world.leader as SimNode;
  const done = completion();
  world.isolate([old], true);
  old.running.retained.put(retained("t", "from the minority"), done);
  world.until(() => world.leader !== undefined && world.leader !== old, 10_000, "a new leader");
  expect(done.codes).toEqual([]);
  world.until(
    () => old.status.role !== "leader" && !old.status.hasQuorum,
    10_000,
    "the old leader steps down",
  );
  world.isolate([old], false);
  world.until(() => done.codes.length === 1, 10_000, "commit after the heal");
  world.until(() => world.isConverged(), 2000);
  for (const node of world.nodes) expect(replicated(node, "t")).toBe("from the minority");
});

test("a node that was away for more than the log keeps gets a snapshot and has the same set", () => {
  const world = formed(3, 22);
  const leader = world.leader as SimNode;
  const away = world.nodes.find((node) => node !== leader) as SimNode;
  world.kill(away);
  const done = completion();
  for (let written = 0; written < 21_000; written += 1000) {
    for (let i = 0; i < 1000; i++) leader.running.retained.put(retained(`t/${i}`, `${written + i}`), done);
    world.until(() => done.codes.length === written + 1000, 5000, `writes up to ${written}`);
  }
  let snapshotsSent = 0;
  world.watch = (bytes) => {
    const frame = decodeFrame(bytes);
    if (frame?.kind === "raft" && decodeRaftMessage(frame.message).kind === "installSnapshot")
      snapshotsSent++;
  };
  world.start(away);
  world.until(() => world.isFormed(3) && world.isConverged(), 10_000, "catching up");
  // Some 80 KB in one piece, and one answer.
  expect(snapshotsSent).toBe(1);
  expect(replicated(away, "t/999")).toBe("20999");
  expect(away.disk.files.has("journal/snapshot")).toBe(true);
  world.restart(away);
  world.until(() => world.isFormed(3) && world.isConverged(), 10_000, "restart from the snapshot");
  expect(replicated(away, "t/999")).toBe("20999");
});

test("a node whose identity is damaged comes back as a new node and gets the retained set (P12)", () => {
  const world = formed(3, 23);
  const [a] = world.nodes as [SimNode];
  const done = completion();
  a.running.retained.put(retained("keep", "me"), done);
  world.until(() => done.codes.length === 1, 1000);
  const before = a.id;
  world.kill(a);
  a.disk.cut("identity.json", 9);
  world.start(a);
  expect(a.id).not.toBe(before);
  world.until(() => a.status.cluster !== undefined && replicated(a, "keep") === "me", 12_000, "rejoining");
  expect(world.clusters().size).toBe(1);
  expect([...a.disk.files.keys()].some((name) => name.startsWith("identity.json.bad-"))).toBe(true);
});
