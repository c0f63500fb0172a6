import { expect, test } from "vitest";
import { completion, retained, type SimNode, World } from "./support/world.ts";

function formedWithWrites(seed: number): { world: World; follower: SimNode } {
  const world = new World(seed);
  world.add(3);
  world.startAll();
  world.until(() => world.isFormed(3), 12_000);
  const done = completion();
  for (let i = 0; i < 20; i++) world.leader?.running.retained.put(retained(`t/${i}`, "x"), done);
  world.until(() => done.codes.length === 20 && world.isConverged(), 2000, "writes");
  return { world, follower: world.nodes.find((node) => node !== world.leader) as SimNode };
}

test("a node that starts anew is another node: new id, no vote, everything again from its peers; the old journal is kept", () => {
  const { world, follower } = formedWithWrites(1);
  const before = follower.id;
  const log = [...follower.disk.files.keys()].find((name) => /^journal\/\d+\.log$/.test(name)) as string;
  const journal = follower.disk.read(log) as Uint8Array;
  follower.running.ending.startAnew("a test");
  world.until(() => follower.rebirths.length === 1, 2000, "asks to be started again");
  expect(follower.rebirths).toEqual(["a test"]);
  world.until(
    () => follower.id !== before && follower.status.learners.includes(follower.id),
    10_000,
    "joined",
  );
  world.until(() => world.isConverged(), 5000, "caught up");
  expect(follower.status.role).toBe("learner");
  expect(follower.running.retained.count).toBe(20);
  const kept = [...follower.disk.files.keys()].filter((name) => name.startsWith(`${log}.old-`));
  expect(kept).toHaveLength(1);
  // Closing it has written a little more behind the records.
  expect(follower.disk.read(kept[0] as string)?.slice(0, 900)).toEqual(journal.slice(0, 900));
});

test("a node that starts anew says nothing more under its old name, and a crash on the way leaves the old or the new one", () => {
  for (let cutAt = 0; cutAt < 12; cutAt++) {
    const { world, follower } = formedWithWrites(2);
    const before = follower.id;
    follower.running.ending.startAnew("a test");
    const { status } = follower;
    world.run(cutAt);
    if (follower.rebirths.length === 0) {
      expect(follower.status).toBe(status);
      world.restart(follower);
    }
    world.until(() => follower.status.hasQuorum && world.isConverged(), 12_000, `crash after ${cutAt} ms`);
    const isOld = follower.id === before;
    expect(follower.status.voters.includes(follower.id)).toBe(isOld);
    expect(follower.status.learners.includes(follower.id)).toBe(!isOld);
  }
});

test("archives of several earlier identities are kept side by side, also where the wall clock stands still", () => {
  const { world, follower } = formedWithWrites(3);
  for (let round = 1; round <= 3; round++) {
    follower.running.ending.startAnew("a test");
    world.until(() => follower.rebirths.length === round, 2000);
    world.until(
      () => follower.status.learners.includes(follower.id) && world.isConverged(),
      12_000,
      "joined",
    );
  }
  const suffixes = [...follower.disk.files.keys()].map((name) => /\.old-\d+$/.exec(name)?.[0]);
  expect(new Set(suffixes.filter((suffix) => suffix !== undefined)).size).toBe(3);
});
