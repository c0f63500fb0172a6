import { expect, test } from "vitest";
import { decodeRecord } from "../src/journal/record.ts";
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

/** Offsets of the records of entries in the first segment of a stopped node's journal, by index. */
function entriesIn(disk: MemoryDisk): Map<number, { readonly at: number; readonly end: number }> {
  const bytes = disk.read("journal/0000000001.log") ?? new Uint8Array(0);
  const places = new Map<number, { at: number; end: number }>();
  for (let at = 0; ; ) {
    const decoded = decodeRecord(bytes, at, 1);
    if (decoded === undefined) return places;
    if (decoded.record.kind === "entry") places.set(decoded.record.entry.index, { at, end: decoded.end });
    at = decoded.end;
  }
}

function damageEntries(disk: MemoryDisk, ...indexes: readonly number[]): void {
  const places = entriesIn(disk);
  for (const index of indexes) disk.corrupt("journal/0000000001.log", (places.get(index)?.end ?? 0) - 1);
}

/** Three voters; one was away while the other two acknowledged 100 writes. All are stopped, and their disks have everything. */
function twoThatKnow(seed: number): { world: World; a: SimNode; b: SimNode; away: SimNode } {
  const world = formed(3, seed, 3);
  write(world, leaderOf(world), 20);
  world.run(2000);
  const a = leaderOf(world);
  const [b, away] = world.nodes.filter((node) => node !== a) as [SimNode, SimNode];
  world.kill(away);
  world.run(1000);
  write(world, a, 100, 20);
  world.run(3000);
  for (const node of [a, b]) world.kill(node);
  return { world, a, b, away };
}

function expectAll(world: World, count: number): void {
  for (const node of world.nodes)
    for (let at = 0; at < count; at++) expect([at, replicated(node, `t/${at}`)]).toEqual([at, String(at)]);
}

test.each([81, 82, 83, 84, 85, 86, 87, 88])(
  "P12: two of three journals damaged at different places, the third behind: nothing acknowledged is lost (seed %i)",
  (seed) => {
    const { world, a, b } = twoThatKnow(seed);
    const entries = [...entriesIn(a.disk).keys()].filter((index) => index > 40);
    const drawn = new Set(
      Array.from({ length: 6 }, () => entries[world.prng.below(entries.length)] as number),
    );
    // Each is the only one to have what the other has lost.
    const [ofA, ofB] = [[...drawn].filter((_, i) => i % 2 === 0), [...drawn].filter((_, i) => i % 2 === 1)];
    damageEntries(a.disk, ...ofA);
    damageEntries(b.disk, ...ofB);
    world.startAll();
    const hasAll = ({ running }: SimNode): boolean => running.retained.count >= 120;
    world.until(() => world.isFormed(3) && world.nodes.every(hasAll), 30_000, "repaired");
    expectAll(world, 120);
    world.until(() => world.nodes.every(({ disk }) => !disk.files.has("journal/suspect")), 20_000, "trusted");
    write(world, leaderOf(world), 5, 200);
  },
);

test("P12: a damaged voter waits for the one that has the rest, over its own restarts, and its status names it", () => {
  const { world, a, b, away } = twoThatKnow(91);
  const entries = [...entriesIn(a.disk).keys()].filter((index) => index > 40);
  damageEntries(a.disk, entries[10] as number);
  damageEntries(b.disk, entries[40] as number);
  world.startAll([a, away]);
  for (let start = 0; start < 3; start++) {
    world.run(60_000);
    expect(a.status).toMatchObject({
      hasQuorum: false,
      electionWait: { voters: [{ id: b.id, name: b.name }] },
    });
    world.restart(a);
  }
  world.start(b);
  world.until(
    () => world.isFormed(3) && replicated(a, "t/119") === "119" && world.isConverged(),
    30_000,
    "repaired",
  );
  expectAll(world, 120);
});

test("an entry that is legible nowhere ends the search once every voter has said so, and the mesh goes on without what followed", () => {
  const { world, a, b } = twoThatKnow(92);
  const index = [...entriesIn(a.disk).keys()].filter((one) => one > 40)[50] as number;
  damageEntries(a.disk, index);
  damageEntries(b.disk, index);
  world.startAll();
  world.until(
    () => world.isFormed(3) && replicated(a, "t/60") === "60" && world.isConverged(),
    30_000,
    "goes on",
  );
  for (const node of world.nodes) {
    expect(replicated(node, "t/60")).toBe("60");
    expect(replicated(node, "t/119")).toBeUndefined();
  }
  for (const node of [a, b])
    expect(node.disk.list("journal").some((name) => name.includes(".log.bad-"))).toBe(true);
});

/** The founder of three voters, whose journal is damaged before there were others; all are stopped. */
function damagedFounder(seed: number): { world: World; founder: SimNode; others: SimNode[] } {
  const world = formed(3, seed, 3);
  const founder = world.nodes.find(({ logs }) =>
    logs.some(({ message }) => message.includes("founded")),
  ) as SimNode;
  write(world, leaderOf(world), 50);
  world.run(3000);
  for (const node of world.nodes) world.kill(node);
  damageEntries(founder.disk, 2);
  return { world, founder, others: world.nodes.filter((node) => node !== founder) };
}

test("P5: a founder whose damage hides the change to three voters does not lead alone while it meets none of them", () => {
  const { world, founder, others } = damagedFounder(94);
  world.start(founder);
  for (let start = 0; start < 2; start++) {
    world.run(30_000);
    expect(founder.status).toMatchObject({ hasQuorum: false, voters: [founder.id] });
    const awaited = founder.status.electionWait?.voters.map(({ id }) => id);
    expect(awaited?.toSorted()).toEqual(others.map(({ id }) => id).toSorted());
    world.restart(founder);
  }
  world.startAll(others);
  const hasAll = ({ running }: SimNode): boolean => running.retained.count >= 50;
  world.until(() => world.isFormed(3) && world.nodes.every(hasAll), 30_000, "follows");
  expectAll(world, 50);
  world.until(() => !founder.disk.files.has("journal/suspect"), 20_000, "trusted");
});

test("where these voters never come back, the operator's word founds the mesh anew, and that holds over restarts", () => {
  const { world, founder, others } = damagedFounder(95);
  world.start(founder);
  world.run(60_000);
  const errors: (string | undefined)[] = [];
  for (const { id } of others) founder.running.forget(id, (error) => errors.push(error));
  world.until(() => founder.coordinator?.status.hasQuorum === true, 30_000, "founded anew");
  expect(errors).toEqual([expect.stringContaining("Noted"), undefined]);
  write(world, founder, 5, 200);
  world.restart(founder);
  world.until(() => founder.status.hasQuorum, 15_000, "leads again");
  expect(replicated(founder, "t/204")).toBe("204");
});

test("P12: what a sole voter has behind its damage goes before what its learner has, which is behind", () => {
  const world = formed(2, 93, 1);
  const voter = leaderOf(world);
  const learner = world.nodes.find((node) => node !== voter) as SimNode;
  write(world, voter, 50);
  world.run(3000);
  world.kill(learner);
  // Acknowledged by the only voter alone.
  write(world, voter, 50, 50);
  world.run(3000);
  world.kill(voter);
  damageEntries(voter.disk, 30);
  world.startAll();
  world.until(() => world.isFormed(1) && world.isConverged(), 20_000, "repaired");
  expectAll(world, 100);
});
