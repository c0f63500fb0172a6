/** Whole coordinators: nodes leave, dead ones are forgotten, forgotten ones come back, and a survivor founds the mesh anew. */

import { expect, test, vi } from "vitest";
import { completion, replicated, retained, type SimNode, World } from "./support/world.ts";

// Minutes of a mesh are a second here, more on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

function formed(count: number, voters: number, seed: number): World {
  const world = new World(seed);
  world.add(count);
  world.startAll();
  world.until(() => world.isFormed(voters), 15_000, "formed");
  world.run(2000);
  return world;
}

/** What an action ended with: undefined while it is under way. */
interface Result {
  answer: { readonly error: string | undefined } | undefined;
}

function leave(world: World, node: SimNode): Result {
  const result: Result = { answer: undefined };
  node.running.leave((error) => {
    result.answer = { error };
    // The program ends.
    if (error === undefined) world.clock.after(0, () => world.kill(node));
  });
  return result;
}

function forget(node: SimNode, nameOrId: string): Result {
  const result: Result = { answer: undefined };
  node.running.forget(nameOrId, (error) => {
    result.answer = { error };
  });
  return result;
}

const done = (result: Result) => () => result.answer !== undefined;

const membersOf = (node: SimNode): string[] => [...node.status.voters, ...node.status.learners].sort();

const idsOf = (nodes: readonly SimNode[]): string[] => nodes.map(({ id }) => id).sort();

test.each([
  [2, 1, 1],
  [3, 3, 1],
  [4, 3, 3],
  [7, 5, 3],
])(
  "of %i nodes (%i voters) each one in its turn can leave; %i voters are left and no write is lost",
  (count, voters, left) => {
    for (let turn = 0; turn < Math.min(count, 4); turn++) {
      const world = formed(count, voters, 10 * count + turn);
      const leaver = world.nodes[turn] as SimNode;
      const written = completion();
      for (let i = 0; i < 30; i++) leaver.running.retained.put(retained(`t/${i}`, "x"), written);
      const result = leave(world, leaver);
      world.until(done(result), 30_000, `node ${turn} of ${count} leaves`);
      expect(result.answer?.error).toBeUndefined();
      expect(written.codes).toHaveLength(30);
      const rest = world.nodes.filter((node) => node !== leaver);
      world.until(() => world.isFormed(left) && world.isConverged(), 15_000, "the rest goes on");
      expect(membersOf(rest[0] as SimNode)).toEqual(idsOf(rest));
      expect(rest[0]?.running.retained.count).toBe(30);
      // While the only voter hands over to the other one both count.
      const seen = world.nodes.flatMap(({ statuses }) => statuses.map(({ voters: some }) => some.length));
      if (count > 2) expect(seen).not.toContain(2);
    }
  },
);

test.each([
  [2, 1],
  [3, 3],
])(
  "a leader of %i nodes that leaves releases what only a leader may hold, and nobody waits for an election",
  (count, voters) => {
    const world = formed(count, voters, 1);
    const leaver = world.leader as SimNode;
    const result = leave(world, leaver);
    let leaderlessMs = 0;
    // Nor has anybody the address meanwhile.
    let unheldMs = 0;
    for (let ms = 0; !done(result)() && ms < 20_000; ms += 10) {
      world.run(10);
      leaderlessMs += world.leader === undefined ? 10 : 0;
      unheldMs += world.nodes.every(({ status }) => status.quorumContactAt === undefined) ? 10 : 0;
    }
    expect(result.answer).toEqual({ error: undefined });
    expect(leaver.leasesGivenUp).toBe(1);
    expect(leaderlessMs).toBeLessThan(500);
    expect(unheldMs).toBeLessThan(500);
  },
);

test.each([1, 2, 3, 4])(
  "node %i of 4 sends its clients away when another leads and votes, and before it is taken out",
  (turn) => {
    const world = formed(4, 3, 30 + turn);
    const leaver = world.nodes[turn - 1] as SimNode;
    const others = world.nodes.filter((node) => node !== leaver);
    let seen: unknown;
    leaver.parting = () => {
      const { role, hasQuorum, voters } = leaver.status;
      seen = {
        role,
        hasQuorum,
        votes: voters.includes(leaver.id),
        isMember: others.every((node) => membersOf(node).includes(leaver.id)),
        leaders: others.filter((node) => node.status.role === "leader").length,
      };
    };
    const result = leave(world, leaver);
    world.until(done(result), 30_000, "left");
    expect(result.answer).toEqual({ error: undefined });
    expect(leaver.partings).toEqual([true]);
    expect(seen).toEqual({ role: "learner", hasQuorum: true, votes: false, isMember: true, leaders: 1 });
  },
);

test("a node that cannot leave after all lets its clients in again", () => {
  const world = formed(3, 3, 6);
  const leaver = world.nodes.find((node) => node !== world.leader) as SimNode;
  leaver.parting = (isParting) => {
    if (isParting) world.isolate([leaver], true);
  };
  const result = leave(world, leaver);
  world.until(done(result), 40_000, "gives up");
  expect(result.answer?.error).toContain("Could not leave within 30 s");
  expect(leaver.partings).toEqual([true, false]);
});

test("started again, a node that left is a fresh one: new id, and it joins like any other", () => {
  const world = formed(3, 3, 2);
  const leaver = world.nodes[0] as SimNode;
  const { id } = leaver;
  const result = leave(world, leaver);
  world.until(done(result), 30_000, "left");
  world.run(1000);
  world.start(leaver);
  world.until(() => world.isFormed(3), 20_000, "three again");
  expect(leaver.id).not.toBe(id);
  expect(membersOf(leaver)).toEqual(idsOf(world.nodes));
});

test("leaving is refused where nobody could take over, and nothing changes", () => {
  const alone = formed(1, 1, 3);
  const refused = leave(alone, alone.nodes[0] as SimNode);
  expect(refused.answer?.error).toContain("the only node of its mesh");
  const world = formed(3, 3, 4);
  const [a, b, c] = world.nodes as [SimNode, SimNode, SimNode];
  world.kill(b);
  world.kill(c);
  world.run(8000);
  expect(leave(world, a).answer?.error).toContain("No other node of the mesh can be reached");
  world.start(b);
  world.isolate([a], true);
  const slow = formed(3, 3, 5);
  const [x, y] = slow.nodes as [SimNode, SimNode];
  slow.kill(slow.nodes[2] as SimNode);
  const result = leave(slow, x);
  slow.kill(y);
  slow.until(done(result), 40_000, "gives up");
  expect(result.answer?.error).toContain("there is no coordinator");
  slow.startAll([y, slow.nodes[2] as SimNode]);
  slow.until(() => slow.isFormed(3), 30_000, "as before");
  expect(membersOf(x)).toEqual(idsOf(slow.nodes));
});

test("a dead node is forgotten by name from any node: three become two with one voter; a living one is refused", () => {
  for (const at of [0, 1, 2]) {
    const world = formed(3, 3, 20 + at);
    const victim = world.nodes[at] as SimNode;
    const asker = world.nodes[(at + 1) % 3] as SimNode;
    expect(forget(asker, victim.name).answer?.error).toContain("is alive");
    expect(forget(asker, asker.name).answer?.error).toContain("skein leave");
    expect(forget(asker, "nobody").answer?.error).toContain("skein members");
    world.kill(victim);
    world.run(10_000);
    const result = forget(asker, victim.name);
    world.until(done(result), 25_000, "forgotten");
    expect(result.answer).toEqual({ error: undefined });
    world.until(() => world.isFormed(1), 10_000, "one voter");
    expect(membersOf(asker)).toEqual(idsOf(world.nodes.filter((node) => node !== victim)));
  }
});

test("a node that has fallen silent this moment is forgotten as soon as it counts as dead, whoever is asked", () => {
  for (const at of [1, 2]) {
    const world = formed(3, 3, 25 + at);
    const { leader } = world;
    const victim = world.nodes.find((node) => node !== leader) as SimNode;
    const other = world.nodes.find((node) => node !== leader && node !== victim) as SimNode;
    world.kill(victim);
    world.run(10);
    const result = forget(at === 1 ? (leader as SimNode) : other, victim.name);
    expect(result.answer).toBeUndefined();
    world.until(done(result), 25_000, "forgotten");
    expect(result.answer).toEqual({ error: undefined });
  }
});

test("a forgotten node that comes back learns it, becomes a new node, and brings the mesh back to three voters", () => {
  const world = formed(3, 3, 30);
  const victim = world.nodes[0] as SimNode;
  const asker = world.nodes[1] as SimNode;
  const { id } = victim;
  world.kill(victim);
  world.run(10_000);
  const result = forget(asker, id);
  world.until(done(result), 25_000, "forgotten");
  const written = completion();
  asker.running.retained.put(retained("t", "after"), written);
  world.start(victim);
  world.until(() => victim.rebirths.length === 1, 20_000, "learns it");
  world.until(() => world.isFormed(3) && world.isConverged(), 30_000, "three voters");
  expect(victim.rebirths[0]).toContain("forgotten");
  expect(victim.id).not.toBe(id);
  expect(membersOf(victim)).toEqual(idsOf(world.nodes));
  expect(replicated(victim, "t")).toBe("after");
  world.run(60_000);
  expect(victim.rebirths).toHaveLength(1);
});

test("a member is never told that it is none: no rebirth while leaders change, links fail and nodes join", () => {
  for (let seed = 1; seed <= 6; seed++) {
    const world = formed(5, 3, 40 + seed);
    for (let round = 0; round < 6; round++) {
      const some = world.nodes.filter(() => world.prng.below(3) === 0);
      world.isolate(some, true);
      world.run(world.prng.below(9000));
      if (round % 2 === 0) world.restart(world.nodes[world.prng.below(world.nodes.length)] as SimNode);
      world.isolate(some, false);
      world.run(world.prng.below(5000));
      if (round === 3) world.start(world.add(1)[0] as SimNode);
    }
    world.run(15_000);
    expect(world.nodes.flatMap(({ rebirths }) => rebirths)).toEqual([]);
  }
});

test("the last survivor of two founds the mesh anew: all it has is there, it says where it comes from, and a third one can join", () => {
  const world = formed(2, 1, 50);
  const voter = world.leader as SimNode;
  const survivor = world.nodes.find((node) => node !== voter) as SimNode;
  const written = completion();
  for (let i = 0; i < 20; i++) voter.running.retained.put(retained(`t/${i}`, "x"), written);
  world.until(() => written.codes.length === 20 && world.isConverged(), 3000, "written");
  const parent = survivor.status.cluster;
  world.kill(voter);
  world.run(10_000);
  expect(survivor.status.hasQuorum).toBe(false);
  const result = forget(survivor, voter.name);
  world.until(done(result), 20_000, "founded anew");
  expect(result.answer).toEqual({ error: undefined });
  world.until(() => world.isFormed(1), 15_000, "serves");
  expect(survivor.status.cluster).not.toBe(parent);
  expect(survivor.status.forkOf).toBe(parent);
  expect(survivor.running.retained.count).toBe(20);
  expect(survivor.logs.some(({ message }) => message.includes("a fork of the old one"))).toBe(true);
  const more = completion();
  survivor.running.retained.put(retained("more", "x"), more);
  world.until(() => more.codes.length === 1, 2000, "writes again");
  world.restart(survivor);
  world.until(() => world.isFormed(1), 10_000, "starts again");
  expect([survivor.status.forkOf, survivor.running.retained.count]).toEqual([parent, 21]);
  const [third] = world.add(1) as [SimNode];
  world.start(third);
  world.until(() => membersOf(survivor).length === 2 && world.isConverged(), 20_000, "a third one joins");
});

test("a crash at any moment of founding anew leaves the old member or the new cluster, never something between", () => {
  for (let cutAt = 0; cutAt <= 40; cutAt += 2) {
    const world = formed(2, 1, 51);
    const voter = world.leader as SimNode;
    const survivor = world.nodes.find((node) => node !== voter) as SimNode;
    const parent = survivor.status.cluster;
    world.kill(voter);
    world.run(10_000);
    const result = forget(survivor, voter.name);
    world.until(
      () => survivor.logs.some(({ message }) => message.startsWith("founding the mesh anew")),
      15_000,
      "begins",
    );
    world.run(cutAt);
    world.restart(survivor);
    world.run(10_000);
    const isOld = survivor.status.cluster === parent;
    expect(survivor.status.hasQuorum, `crash after ${cutAt} ms`).toBe(!isOld);
    expect(membersOf(survivor).length).toBe(isOld ? 2 : 1);
    if (isOld) expect(result.answer).toBeUndefined();
  }
});

test("of three voters the last one has to give up both others; other survivors follow as new nodes, and nobody founds by itself", () => {
  const world = formed(5, 3, 60);
  const voters = world.nodes.filter(({ status }) => status.role !== "learner");
  const [dead, gone, last] = voters as [SimNode, SimNode, SimNode];
  const followers = world.nodes.filter((node) => !voters.includes(node));
  const before = followers.map(({ id }) => id);
  world.kill(dead);
  world.kill(gone);
  world.run(15_000);
  expect(forget(last, followers[0]?.name ?? "").answer?.error).toContain("is alive");
  const first = forget(last, dead.name);
  world.until(done(first), 20_000, "noted");
  expect(first.answer?.error).toContain("Noted");
  expect(first.answer?.error).toContain(`skein forget ${gone.name}`);
  const second = forget(last, gone.name);
  world.until(done(second), 20_000, "founded anew");
  expect(second.answer).toEqual({ error: undefined });
  world.until(() => world.isFormed(3), 40_000, "the others follow");
  expect(world.clusters().size).toBe(1);
  expect(followers.map(({ id }) => id)).not.toEqual(before);
  expect(membersOf(last)).toEqual(idsOf([last, ...followers]));
});

test("a survivor that has less of the log than another one refuses to found the mesh anew, and says where to do it", () => {
  const world = formed(5, 3, 70);
  const [ahead, behind] = world.nodes.filter(({ status }) => status.role === "learner") as [SimNode, SimNode];
  const voters = world.nodes.filter((node) => node !== ahead && node !== behind);
  world.isolate([behind], true);
  const written = completion();
  world.leader?.running.retained.put(retained("t", "x"), written);
  world.until(() => written.codes.length === 1 && ahead.running.retained.count === 1, 3000, "written");
  for (const voter of voters) world.kill(voter);
  world.isolate([behind], false);
  world.run(20_000);
  for (const voter of voters.slice(0, 2)) world.until(done(forget(behind, voter.name)), 20_000, "noted");
  const refused = forget(behind, voters[2]?.name ?? "");
  world.until(done(refused), 20_000, "refused");
  expect(refused.answer?.error).toContain(`${ahead.name} has more`);
  for (const voter of voters.slice(0, 2)) world.until(done(forget(ahead, voter.name)), 20_000, "noted");
  const result = forget(ahead, voters[2]?.name ?? "");
  world.until(done(result), 20_000, "founded anew");
  expect(result.answer).toEqual({ error: undefined });
  world.until(() => world.running.length === 2 && world.isFormed(1) && world.isConverged(), 40_000, "both");
  expect(replicated(behind, "t")).toBe("x");
});
