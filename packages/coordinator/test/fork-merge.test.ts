/** Whole coordinators: the mesh was founded anew without a voter that was taken for lost, and then that voter comes back. */

import { expect, test, vi } from "vitest";
import { completion, replicated, retained, type SimNode, textOf, World } from "./support/world.ts";

// Minutes of a mesh are a second here, more on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

function write(world: World, node: SimNode, values: Readonly<Record<string, string>>): void {
  const done = completion();
  for (const [topic, text] of Object.entries(values)) node.running.retained.put(retained(topic, text), done);
  const count = Object.keys(values).length;
  world.until(() => done.codes.length === count, 10_000, "acknowledged");
  expect(done.codes).toEqual(new Array(count).fill(0));
}

test("a voter that was forgotten by the last survivor and comes back merges with the fork: nothing is lost, and what both wrote is a conflict", () => {
  const world = new World(80);
  world.add(2);
  world.startAll();
  world.until(() => world.isFormed(1), 15_000, "formed");
  world.run(2000);
  const voter = world.leader as SimNode;
  const survivor = world.nodes.find((node) => node !== voter) as SimNode;
  write(world, voter, { both: "before", old: "before", parent: "before", fork: "before" });
  world.until(() => world.isConverged(), 5000, "replicated");
  const parent = survivor.status.cluster;
  // It goes on alone, acknowledges what only it has, and is switched off.
  world.isolate([voter], true);
  write(world, voter, { both: "parent", parent: "parent", "new/parent": "1" });
  world.kill(voter);
  world.isolate([voter], false);
  world.run(10_000);
  let answer: { readonly error: string | undefined } | undefined;
  survivor.running.forget(voter.name, (error) => {
    answer = { error };
  });
  world.until(() => answer !== undefined, 20_000, "founded anew");
  expect(answer).toEqual({ error: undefined });
  world.until(() => world.isFormed(1), 15_000, "serves");
  expect(survivor.status.forkOf).toBe(parent);
  write(world, survivor, { both: "fork", fork: "fork", "new/fork": "1" });
  const idsBefore = world.nodes.map(({ id }) => id);
  world.start(voter);
  world.until(
    () => world.clusters().size === 1 && world.isFormed(1) && world.isConverged(),
    60_000,
    "one cluster",
  );
  // One of the two was taken in: it is a new node, and a member.
  expect(world.nodes.filter(({ id }, i) => id !== idsBefore[i])).toHaveLength(1);
  world.until(
    () => world.nodes.every(({ status }) => status.voters.length + status.learners.length === 2),
    20_000,
    "two members",
  );
  for (const node of world.nodes) {
    const now = ["both", "old", "parent", "fork", "new/parent", "new/fork"].map((topic) =>
      replicated(node, topic),
    );
    expect(now).toEqual(["parent", "before", "parent", "fork", "1", "1"]);
    const lost = node.running.merging.conflicts.map(({ message }) => `${message.topic}=${textOf(message)}`);
    expect(lost).toEqual(["both=fork"]);
  }
});
