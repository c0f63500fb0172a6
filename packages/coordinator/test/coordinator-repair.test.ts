import { expect, test } from "vitest";
import type { MemoryDisk } from "./support/memory-disk.ts";
import { completion, replicated, retained, type SimNode, World } from "./support/world.ts";

function formed(count: number, seed: number, voters: number): World {
  const world = new World(seed);
  world.add(count);
  world.startAll();
  world.until(() => world.isFormed(voters), 30_000, "formed");
  return world;
}

function write(world: World, node: SimNode, count: number, from = 0): void {
  const done = completion();
  for (let at = from; at < from + count; at++)
    node.running.retained.put(retained(`t/${at}`, String(at)), done);
  world.until(() => done.codes.length === count, 5000, "acknowledged");
  expect(done.codes.every((code) => code === 0)).toBe(true);
}

/** The machine loses power: what was not flushed is gone, and its next run is another one. */
function cutPower(world: World, node: SimNode): void {
  world.kill(node);
  node.disk.crash();
  node.bootId = `${node.bootId}-next`;
}

const leaderOf = (world: World): SimNode => world.leader as SimNode;

test("P5: what a sole voter acknowledged and lost in a power cut comes back from its learner", () => {
  const world = formed(2, 41, 1);
  const voter = leaderOf(world);
  world.run(5000);
  // Acknowledged, and not flushed yet: a flush is due once a second.
  write(world, voter, 30);
  cutPower(world, voter);
  const unrepaired = voter.disk.clone();
  world.run(3000);
  world.start(voter);
  world.until(() => world.isFormed(1) && world.isConverged(), 15_000, "repaired");
  for (let at = 0; at < 30; at++)
    for (const node of world.nodes) expect(replicated(node, `t/${at}`)).toBe(String(at));
  expect(voter.disk.files.has("journal/suspect")).toBe(false);
  write(world, voter, 5, 100);

  // The power cut did take something: alone it would have come back without.
  const lone = new World(1);
  const [node] = lone.add(1) as [SimNode];
  node.disk = unrepaired;
  node.bootId = "another";
  lone.start(node);
  lone.until(() => lone.isFormed(1), 15_000, "alone");
  expect(replicated(node, "t/29")).toBeUndefined();
});

test("P12: a rotten record of a sole voter is repaired from its learner, with everything after it", () => {
  const world = formed(2, 42, 1);
  const voter = leaderOf(world);
  write(world, voter, 200);
  world.run(3000);
  world.kill(voter);
  const journal = "journal/0000000001.log";
  voter.disk.corrupt(journal, Math.floor((voter.disk.read(journal)?.length ?? 0) / 2));
  world.start(voter);
  world.until(() => world.isFormed(1) && world.isConverged(), 15_000, "repaired");
  expect(voter.logs.some(({ message }) => message === "data file damaged")).toBe(true);
  for (let at = 0; at < 200; at++) expect(replicated(voter, `t/${at}`)).toBe(String(at));
  // What was repaired is on its own disk again.
  world.restart(voter);
  world.until(() => world.isFormed(1) && world.isConverged(), 15_000, "restarted");
  expect(replicated(voter, "t/199")).toBe("199");
});

test("a sole voter that lost its whole journal but the founding gets it from its learner", () => {
  const world = formed(2, 43, 1);
  const voter = leaderOf(world);
  write(world, voter, 50);
  world.run(3000);
  world.kill(voter);
  const founding = foundingBytes(voter.disk);
  voter.disk.cut("journal/0000000001.log", founding);
  world.start(voter);
  world.until(() => world.isFormed(1) && world.isConverged(), 15_000, "repaired");
  expect(replicated(voter, "t/49")).toBe("49");
});

test("a founder that lost the change to three voters does not lead alone: it finds the others and follows", () => {
  const world = formed(3, 44, 3);
  const founder = world.nodes.find(({ logs }) =>
    logs.some(({ message }) => message.includes("founded")),
  ) as SimNode;
  write(world, leaderOf(world), 50);
  world.run(3000);
  world.kill(founder);
  world.run(8000);
  founder.disk.cut("journal/0000000001.log", foundingBytes(founder.disk));
  founder.statuses.length = 0;
  const terms = world.running.map(({ status }) => status.term);
  world.start(founder);
  world.until(() => world.isFormed(3) && world.isConverged(), 20_000, "follows");
  expect(founder.statuses.map(({ role }) => role)).not.toContain("leader");
  // Nobody was deposed for it.
  expect(world.running.map(({ status }) => status.term)).toEqual([terms[0], terms[0], terms[0]]);
  for (const node of world.nodes) expect(replicated(node, "t/49")).toBe("49");
});

test("P3: a suspect sole voter whose learner is gone serves with what it has after eight seconds", () => {
  const world = formed(2, 45, 1);
  const voter = leaderOf(world);
  write(world, voter, 10);
  world.run(3000);
  for (const node of world.nodes) cutPower(world, node);
  world.start(voter);
  world.run(7000);
  expect(voter.status.role).not.toBe("leader");
  world.until(() => voter.status.hasQuorum, 3000, "leads");
  expect(replicated(voter, "t/9")).toBe("9");
});

test("a node that was alone waits for nobody after a power cut", () => {
  const world = formed(1, 48, 1);
  const [node] = world.nodes as [SimNode];
  write(world, node, 10);
  world.run(3000);
  cutPower(world, node);
  world.start(node);
  world.until(() => node.status.hasQuorum, 500, "leads");
  expect(replicated(node, "t/9")).toBe("9");
});

test("P5: after a power cut a voter of three is suspect, and takes part again once it has caught up", () => {
  const world = formed(3, 46, 3);
  const victim = leaderOf(world);
  write(world, victim, 30);
  cutPower(world, victim);
  world.until(() => world.leader !== undefined, 15_000, "the others go on");
  world.start(victim);
  expect(victim.disk.files.has("journal/suspect")).toBe(true);
  world.until(() => world.isFormed(3) && world.isConverged(), 15_000, "caught up");
  world.until(() => !victim.disk.files.has("journal/suspect"), 15_000, "not suspect any more");
  for (let at = 0; at < 30; at++) expect(replicated(victim, `t/${at}`)).toBe(String(at));
});

test("a failed sync ends the node, and its next start is suspect: the operating system may claim what the medium lacks", () => {
  const world = formed(3, 47, 3);
  const victim = world.nodes.find((node) => node !== world.leader) as SimNode;
  victim.disk.failNext("sync", "input/output error");
  write(world, leaderOf(world), 5);
  world.until(() => victim.fatal !== undefined, 5000, "fails");
  expect(victim.fatal?.message).toBe("input/output error");
  world.until(() => victim.disk.files.has("journal/suspect"), 1000, "marked");
  world.restart(victim);
  expect(victim.disk.files.has("journal/suspect")).toBe(true);
  world.until(() => world.isFormed(3) && world.isConverged(), 15_000, "back");
});

/** Where the first entry, the founder's configuration, ends: found by cutting until only it is left. */
function foundingBytes(disk: MemoryDisk): number {
  const bytes = disk.read("journal/0000000001.log") ?? new Uint8Array(0);
  // `length` stands in the first four bytes of each record: segment header, term and vote, founding entry.
  let at = 0;
  for (let record = 0; record < 3; record++) {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    at += 8 + view.getUint32(at);
  }
  return at;
}
