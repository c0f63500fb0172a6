/** Whole coordinators of two clusters that meet: they become one, and nothing that was acknowledged is lost. */

import type { ClusterId } from "@skein/kernel";
import { expect, test } from "vitest";
import { CONFLICTS_MAX } from "../src/state-machine/conflicts.ts";
import { completion, retained, type SimNode, textOf, World } from "./support/world.ts";

/** A world of two clusters that do not see each other yet. */
function twoClusters(
  seed: number,
  counts: readonly [number, number],
  sizes: ConstructorParameters<typeof World>[1] = {},
): { world: World; left: SimNode[]; right: SimNode[] } {
  const world = new World(seed, sizes);
  const nodes = world.add(counts[0] + counts[1]);
  const [left, right] = [nodes.slice(0, counts[0]), nodes.slice(counts[0])];
  world.startAll();
  world.isolate(left, true);
  world.until(() => nodes.every((node) => node.status.hasQuorum), 30_000, "two clusters");
  expect(world.clusters().size).toBe(2);
  return { world, left, right };
}

function write(world: World, node: SimNode, values: Readonly<Record<string, string>>): void {
  const done = completion();
  for (const [topic, text] of Object.entries(values)) node.running.retained.put(retained(topic, text), done);
  const count = Object.keys(values).length;
  world.until(() => done.codes.length === count, 10_000, "acknowledged");
  expect(done.codes).toEqual(new Array(count).fill(0));
}

function values(node: SimNode): Record<string, string> {
  return Object.fromEntries(
    Array.from(node.running.retained.entries(), (message) => [message.topic, textOf(message) as string]),
  );
}

/** One cluster, to which everybody belongs, with the same retained set. */
function untilOne(world: World, limitMs = 60_000): void {
  world.until(
    () =>
      world.running.every(({ status }) => status.cluster !== undefined && status.hasQuorum) &&
      world.clusters().size === 1 &&
      world.isConverged(),
    limitMs,
    "one cluster",
  );
}

/** Minutes of a mesh may take longer on a busy machine. */
const SLOW_MS = 60_000;

test(
  "first boot inside a partition: two clusters that meet become one by themselves, and nothing is lost",
  () => {
    const { world, left, right } = twoClusters(41, [3, 2]);
    const winner = left[0]?.status.cluster;
    write(world, left[0] as SimNode, { both: "left", "only/left": "1", gone: "left" });
    write(world, right[0] as SimNode, { both: "right", "only/right": "2" });
    write(world, left[1] as SimNode, { gone: "" });
    const idsBefore = right.map(({ id }) => id);
    world.isolate(left, false);
    untilOne(world);
    expect(left[0]?.status.cluster).toBe(winner);
    for (const node of world.nodes) {
      expect(values(node)).toEqual({ both: "right", "only/left": "1", "only/right": "2" });
      const lost = node.running.merging.conflicts.map(({ message }) => `${message.topic}=${textOf(message)}`);
      expect(lost).toEqual(["both=left"]);
      expect(node.status.conflicts).toBe(1);
    }
    // The loser's nodes are new ones, and its journals are kept aside.
    for (const [i, node] of right.entries()) {
      expect(node.id).not.toBe(idsBefore[i]);
      expect(node.rebirths).toHaveLength(1);
      expect(node.disk.list("journal").some((name) => name.includes(".old-"))).toBe(true);
    }
    const done = completion();
    left[2]?.running.merging.clearConflicts(done);
    world.until(
      () => done.codes.length === 1 && world.nodes.every(({ status }) => status.conflicts === 0),
      5000,
    );
  },
  SLOW_MS,
);

test(
  "the status says how many of the values that gave way are not listed any more, because there were too many",
  () => {
    const { world, left, right } = twoClusters(48, [1, 1]);
    const topics = Array.from({ length: CONFLICTS_MAX + 3 }, (_, at) => `both/${at}`);
    for (const [node] of [left, right])
      write(world, node as SimNode, Object.fromEntries(topics.map((topic) => [topic, (node as SimNode).id])));
    world.isolate(left, false);
    untilOne(world);
    for (const { status } of world.nodes)
      expect([status.conflicts, status.droppedConflicts]).toEqual([CONFLICTS_MAX, 3]);
  },
  SLOW_MS,
);

test(
  "a merge is told of once, with what had two values, and not again after a restart",
  () => {
    const { world, left, right } = twoClusters(46, [3, 2]);
    const loser = right[0]?.status.cluster;
    write(world, left[0] as SimNode, { both: "left" });
    write(world, right[0] as SimNode, { both: "right", "only/right": "2" });
    world.isolate(left, false);
    untilOne(world);
    const leader = left.find(({ status }) => status.role === "leader") as SimNode;
    const news = { loser, cut: expect.any(Number), conflicts: ["both"], refused: 0 };
    expect(leader.merged).toEqual([news]);
    for (const node of left) {
      expect(node.merged.length).toBeLessThanOrEqual(1);
      world.kill(node);
    }
    const told = left.map(({ merged }) => merged.length);
    for (const node of left) world.start(node);
    untilOne(world);
    world.run(5000);
    expect(left.map(({ merged }) => merged.length)).toEqual(told);
    expect(right.flatMap(({ merged }) => merged)).toEqual([]);
  },
  SLOW_MS,
);

test(
  "a node of the loser that was off meanwhile finds out when it comes back, and joins",
  () => {
    const { world, left, right } = twoClusters(43, [3, 2]);
    const [first, late] = right as [SimNode, SimNode];
    write(world, first, { "from/right": "1" });
    const away = first.status.coordinator === late.id ? first : late;
    world.run(1000);
    world.kill(away);
    world.isolate(left, false);
    untilOne(world);
    world.start(away);
    world.until(
      () => away.rebirths.length === 1 && world.clusters().size === 1,
      30_000,
      "the late one joins",
    );
    untilOne(world);
    expect(values(away)).toEqual({ "from/right": "1" });
  },
  SLOW_MS,
);

test(
  "what a box takes before it has founded its cluster is written then: in a merge it is the later write",
  () => {
    const world = new World(47);
    const [grown, ...others] = world.add(4) as [SimNode, ...SimNode[]];
    const late = others.pop() as SimNode;
    for (const node of [grown, ...others]) world.start(node);
    world.until(() => world.isFormed(3), 30_000, "the first cluster");
    write(world, grown, { both: "before" });
    world.start(late);
    world.isolate([late], true);
    const done = completion();
    late.running.retained.put(retained("both", "after"), done);
    expect(late.status.cluster).toBeUndefined();
    world.until(() => done.codes.length === 1, 30_000, "founded");
    expect(late.status.cluster).not.toBe(grown.status.cluster);
    world.isolate([late], false);
    untilOne(world);
    for (const node of world.nodes) {
      expect(values(node)).toEqual({ both: "after" });
      expect(node.running.merging.conflicts.map(({ message }) => textOf(message))).toEqual(["before"]);
    }
  },
  SLOW_MS,
);

test(
  "two grown meshes keep apart, say what they wait for, and merge when one of them approves",
  () => {
    const { world, left, right } = twoClusters(44, [2, 2], { newbornMinutes: 0 });
    write(world, left[0] as SimNode, { l: "1" });
    write(world, right[0] as SimNode, { r: "1" });
    world.isolate(left, false);
    world.run(20_000);
    expect(world.clusters().size).toBe(2);
    const leader = [...left, ...right].find(({ status }) => status.role === "leader") as SimNode;
    expect(leader.status.merge?.kind).toBe("awaitingApproval");
    expect(leader.status.foreignCluster).toBe(leader.status.merge?.other);
    const approving = right.find(({ status }) => status.role !== "leader") as SimNode;
    const done = completion();
    expect(approving.running.merging.approve(done)).toBe(left[0]?.status.cluster as ClusterId);
    untilOne(world);
    expect(values(approving)).toEqual({ l: "1", r: "1" });
    expect(approving.running.merging.approve(completion())).toBeUndefined();
  },
  SLOW_MS,
);

test(
  "P11: while its cluster is dissolved a node refuses no write; what it held is the new node's client's to send again",
  () => {
    const { world, left, right } = twoClusters(45, [3, 1], { mergeChunkBytes: 50 });
    const alone = right[0] as SimNode;
    write(world, alone, Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`t/${i}`, `value ${i}`])));
    world.isolate(left, false);
    world.until(() => alone.status.merge?.kind === "joining", 20_000, "dissolved");
    const held = completion();
    alone.running.retained.put(retained("held", "x"), held);
    untilOne(world);
    expect(held.codes).toEqual([]);
    expect(Object.keys(values(alone))).toHaveLength(40);
  },
  SLOW_MS,
);

test(
  "a cluster's age is in its log: two that have lived for ten minutes are grown, whatever their wall clocks say",
  () => {
    const { world, left, right } = twoClusters(46, [2, 2]);
    world.run(5 * 60_000);
    for (const node of world.nodes) world.restart(node);
    world.run(6 * 60_000);
    world.isolate(left, false);
    world.run(10_000);
    const leader = right.find(({ status }) => status.role === "leader") as SimNode;
    expect(leader.status.merge?.kind).toBe("awaitingApproval");
  },
  SLOW_MS,
);
