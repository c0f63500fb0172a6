/** A disk that fails: leadership goes first, then the node; a node whose disk fails again and again stops voting. */

import { SkeinError } from "@skein/kernel";
import { expect, test } from "vitest";
import { DiskFailures } from "../src/replica/disk-failures.ts";
import { MemoryDisk } from "./support/memory-disk.ts";
import { VirtualClock } from "./support/virtual-clock.ts";
import { completion, retained, type SimNode, World } from "./support/world.ts";

const MINUTE_MS = 60_000;

function formed(count: number, seed: number, voters: number): World {
  const world = new World(seed);
  world.add(count);
  world.startAll();
  world.until(() => world.isFormed(voters), 30_000, "formed");
  return world;
}

const leaderOf = (world: World): SimNode => world.leader as SimNode;
const messages = (node: SimNode): readonly string[] => node.logs.map(({ message }) => message);

/** The next write of its journal to the medium fails, and the supervisor starts it again. */
function failDisk(world: World, node: SimNode): void {
  node.fatal = undefined;
  node.disk.failNext("sync", "input/output error");
  const other = world.running.find((running) => running !== node) as SimNode;
  // Any node's write reaches every journal, which is flushed once a second.
  other.running.retained.put(retained("tick", "x"), completion());
  world.until(() => node.fatal !== undefined, 10_000, "the disk fails");
  world.run(50);
  world.restart(node);
  world.until(() => world.running.every(({ status }) => status.hasQuorum), 20_000, "goes on");
}

test("a leader whose disk fails hands over at once: clients wait a tenth of a second, not for an election", () => {
  const world = formed(3, 61, 3);
  const old = leaderOf(world);
  world.run(5000);
  old.disk.failNext("sync", "input/output error");
  old.running.retained.put(retained("a", "1"), completion());
  world.until(() => messages(old).includes("the disk failed"), 3000, "fails");
  const failedAt = world.clock.monotonicMs();
  world.until(() => world.leader !== undefined && world.leader !== old, 1000, "another one leads");
  expect(world.clock.monotonicMs() - failedAt).toBeLessThan(200);
  expect(old.fatal?.message).toBe("input/output error");
  expect(messages(old).filter((message) => message === "the disk failed")).toHaveLength(1);
  // What only the leader may hold was released first.
  expect(old.leasesGivenUp).toBe(1);
});

test("a leader does not count the write that failed, and acknowledges nothing for it", () => {
  const world = formed(3, 62, 3);
  const old = leaderOf(world);
  const [near, far] = world.nodes.filter((node) => node !== old) as [SimNode, SimNode];
  world.run(1000);
  world.isolate([far], true);
  world.run(1000);
  const done = completion();
  old.disk.failNext("append", "input/output error");
  old.running.retained.put(retained("a", "1"), done);
  world.until(() => old.fatal !== undefined, 3000, "ends");
  world.run(5000);
  // `near` has it, the leader has not: that is one of three.
  expect(done.codes).toEqual([]);
  expect(near.running.retained.count).toBe(0);
  expect(old.status.hasQuorum && old.status.role === "leader").toBe(false);
});

test("a follower with a failed disk ends without another word", () => {
  const world = formed(3, 63, 3);
  const follower = world.nodes.find((node) => node !== world.leader) as SimNode;
  const done = completion();
  follower.disk.failNext("append", "input/output error");
  leaderOf(world).running.retained.put(retained("a", "1"), done);
  world.until(() => follower.fatal !== undefined, 1000, "ends");
  expect(done.codes.length <= 1 && done.codes.every((code) => code === 0)).toBe(true);
  expect(follower.leasesGivenUp).toBe(0);
  world.until(() => done.codes.length === 1, 2000, "the other two have it");
});

test("a sole voter with a failed disk has nobody to hand over to and ends at once", () => {
  const world = formed(2, 64, 1);
  const voter = leaderOf(world);
  voter.disk.failNext("append", "input/output error");
  voter.running.retained.put(retained("a", "1"), completion());
  world.until(() => voter.fatal !== undefined, 100, "ends");
});

test("twice within an hour: a learner takes the voter's place, which does not get it back, and its log says what to do", () => {
  const world = formed(4, 65, 3);
  const victim = world.nodes.find(({ status }) => status.role === "voter") as SimNode;
  const learner = world.nodes.find(({ status }) => status.role === "learner") as SimNode;
  failDisk(world, victim);
  world.run(10 * MINUTE_MS);
  expect(victim.status).toMatchObject({ role: "voter", isDiskDying: false });
  failDisk(world, victim);
  world.until(
    () => learner.status.role === "voter" && victim.status.role === "learner",
    20_000,
    "changes places",
  );
  expect(victim.status.isDiskDying).toBe(true);
  expect(messages(victim)).toContainEqual(expect.stringContaining("failed twice within an hour: replace it"));
  world.until(
    () => messages(victim).some((message) => message.includes("does not vote until")),
    5000,
    "says so",
  );
  // Two more nodes make room for five voters: the victim is not one of them, also under another leader.
  const more = world.add(3);
  world.startAll(more);
  world.until(() => leaderOf(world).status.voters.length === 5, 60_000, "five voters");
  world.kill(leaderOf(world));
  world.run(MINUTE_MS);
  expect(leaderOf(world).status.voters).not.toContain(victim.id);
});

test("after a day without another failure the node may vote again", () => {
  const world = formed(4, 66, 3);
  const [victim, other] = world.nodes.filter(({ status }) => status.role === "voter") as [SimNode, SimNode];
  failDisk(world, victim);
  failDisk(world, victim);
  world.until(() => victim.status.role === "learner", 20_000, "resigned");
  const { clock } = world;
  const wallMs = clock.wallMs.bind(clock);
  clock.wallMs = () => wallMs() + 24 * 60 * MINUTE_MS;
  world.run(10_000);
  expect(victim.status.isDiskDying).toBe(false);
  failDisk(world, other);
  failDisk(world, other);
  world.until(() => other.status.role === "learner" && victim.status.role === "voter", 20_000, "votes again");
});

test("a dying disk of one of three: nobody can take its place, so it stays a voter and says so", () => {
  const world = formed(3, 67, 3);
  const victim = world.nodes.find(({ status }) => status.role === "voter") as SimNode;
  failDisk(world, victim);
  failDisk(world, victim);
  world.run(MINUTE_MS);
  expect(world.isFormed(3)).toBe(true);
  expect(victim.status).toMatchObject({ role: "voter", isDiskDying: true });
  expect(messages(victim).filter((message) => message.includes("it stays a voter"))).toHaveLength(1);
});

test("two nodes: the only voter changes places with the other node, which keeps everything", () => {
  const world = formed(2, 68, 1);
  const voter = leaderOf(world);
  const other = world.nodes.find((node) => node !== voter) as SimNode;
  const done = completion();
  for (let i = 0; i < 20; i++) voter.running.retained.put(retained(`t/${i}`, "x"), done);
  world.until(() => done.codes.length === 20, 2000);
  failDisk(world, voter);
  failDisk(world, voter);
  world.until(() => world.leader === other && voter.status.hasQuorum, 40_000, "the other one leads");
  expect(other.status).toMatchObject({ voters: [other.id], learners: [voter.id] });
  const after = completion();
  voter.running.retained.put(retained("after", "x"), after);
  world.until(() => after.codes.length === 1 && world.isConverged(), 5000, "goes on");
  expect(other.running.retained.count).toBeGreaterThanOrEqual(21);
});

test("a leader whose disk is dying hands over before it changes places: no election timeout passes", () => {
  const world = formed(4, 69, 3);
  const spare = world.nodes.find(({ status }) => status.role === "learner") as SimNode;
  const victim = world.nodes.find(({ status }) => status.role === "voter") as SimNode;
  // Without a spare node it goes on voting, and comes to lead.
  world.kill(spare);
  failDisk(world, victim);
  failDisk(world, victim);
  world.until(() => !victim.disk.files.has("journal/suspect"), 20_000, "has caught up");
  while (world.leader !== victim) {
    const leader = leaderOf(world);
    world.kill(leader);
    world.until(() => world.leader !== undefined, 10_000, "another one leads");
    world.start(leader);
    world.until(() => world.running.every(({ status }) => status.hasQuorum), 10_000, "all follow");
  }
  const before = victim.leasesGivenUp;
  world.start(spare);
  let leaderlessMs = 0;
  for (let ms = 0; victim.status.role !== "learner"; ms += 10) {
    expect(ms).toBeLessThan(20_000);
    world.run(10);
    leaderlessMs += world.leader === undefined ? 10 : 0;
  }
  expect(victim.leasesGivenUp).toBe(before + 1);
  expect(leaderlessMs).toBeLessThan(500);
  world.until(() => world.isFormed(3), 1000, "all have heard of it");
});

test.each([
  ["two within an hour", [0, 59 * MINUTE_MS], 1000, true],
  ["two further apart", [0, 61 * MINUTE_MS], 1000, false],
  ["a day ago", [0, MINUTE_MS], 24 * 60 * MINUTE_MS, false],
  ["one", [0], 1000, false],
  ["the last two count", [0, 10 * MINUTE_MS, 100 * MINUTE_MS], 1000, false],
] as const)(
  "a disk is dying after two failures within an hour, for a day: %s",
  (_name, times, thenMs, isDying) => {
    const disk = new MemoryDisk();
    let wallMs = 1_700_000_000_000;
    const start = wallMs;
    const clock = Object.assign(new VirtualClock(), { wallMs: () => wallMs });
    const log = { error() {}, warn() {}, info() {}, debug() {} };
    for (const time of times) {
      wallMs = start + time;
      const failures = new DiskFailures({ clock, disk, log });
      let isWritten = false;
      failures.note(new SkeinError("ERR_SKEIN_DISK", "input/output error"));
      failures.whenWritten(() => {
        isWritten = true;
      });
      expect(isWritten).toBe(false);
      disk.settle();
      expect(isWritten).toBe(true);
    }
    wallMs += thenMs;
    expect(new DiskFailures({ clock, disk, log }).isDying).toBe(isDying);
  },
);

test("a leader whose disk is full gives way, so that the durable messages of others are taken", () => {
  const world = formed(3, 69, 3);
  const old = leaderOf(world);
  world.run(5000);
  old.disk.room = 0;
  const done = completion();
  const near = world.nodes.find((node) => node !== old) as SimNode;
  // More than the room held back.
  const big = "x".repeat(600_000);
  for (const topic of ["a", "b", "c"]) near.running.retained.put(retained(topic, big), done);
  world.until(() => done.codes.length === 3, 5000, "acknowledged");
  expect(done.codes).toEqual([0, 0, 0]);
  world.until(() => world.leader !== undefined && leaderOf(world) !== old, 5000, "gives way");
  const refused = completion();
  old.running.retained.put(retained("d", "1"), refused);
  world.run(10);
  expect(refused.codes).toEqual([0x97]);
  expect(old.status.isDiskFull).toBe(true);

  old.disk.room = Number.POSITIVE_INFINITY;
  world.until(() => !old.status.isDiskFull, 20_000, "goes on");
  expect(old.running.retained.count).toBe(3);
});

test("a leader whose disk has had room meanwhile gives way again when it is full again", () => {
  const world = formed(3, 69, 3);
  // More often than there are nodes, so at least one does so twice.
  for (let round = 0; round < 4; round++) {
    const leader = leaderOf(world);
    leader.disk.room = 0;
    leader.running.retained.put(retained("a", "x".repeat(600_000)), undefined);
    world.until(() => world.leader !== undefined && world.leader !== leader, 10_000, `gives way ${round}`);
    leader.disk.room = Number.POSITIVE_INFINITY;
    world.until(() => !leader.status.isDiskFull, 20_000, "room again");
  }
});

test("where all disks are full, leadership does not go round and round", () => {
  const world = formed(3, 70, 3);
  for (const node of world.nodes) node.disk.room = 0;
  leaderOf(world).running.retained.put(retained("a", "1"), undefined);
  world.run(MINUTE_MS);
  const { term } = leaderOf(world).status;
  expect(world.nodes.every(({ status }) => status.isDiskFull && status.hasQuorum)).toBe(true);
  world.run(5 * MINUTE_MS);
  expect(leaderOf(world).status.term).toBe(term);
  for (const node of world.nodes) node.disk.room = Number.POSITIVE_INFINITY;
  world.run(20_000);
  const done = completion();
  leaderOf(world).running.retained.put(retained("b", "1"), done);
  world.until(() => done.codes.length === 1, 1000, "acknowledged");
  expect(done.codes).toEqual([0]);
});

test("where all voters that are there have full disks, what others write is acknowledged three seconds after there is room again", () => {
  const world = formed(4, 73, 3);
  const learner = world.nodes.find(({ status }) => status.role === "learner") as SimNode;
  world.kill(world.nodes.find(({ status }) => status.role === "voter") as SimNode);
  const voters = world.running.filter((node) => node !== learner);
  for (const node of voters) node.disk.room = 0;
  learner.running.retained.put(retained("a", "x".repeat(600_000)), undefined);
  world.until(() => voters.every(({ status }) => status.isDiskFull), 10_000, "both are full");
  world.run(3000);
  const done = completion();
  learner.running.retained.put(retained("b", "1"), done);
  world.run(2500);
  expect(done.codes).toEqual([]);
  for (const node of voters) node.disk.room = Number.POSITIVE_INFINITY;
  world.until(() => done.codes.length === 1, 3000, "acknowledged");
  expect(done.codes).toEqual([0]);
  expect(voters.some(({ status }) => status.isDiskFull)).toBe(false);
});

test("when a leader's disk has room again, what it did not take comes as soon as something new does", () => {
  const world = formed(2, 72, 1);
  const leader = leaderOf(world);
  const other = world.nodes.find((node) => node !== leader) as SimNode;
  leader.disk.room = 0;
  leader.running.retained.put(retained("big", "x".repeat(600_000)), undefined);
  world.until(() => leader.status.isDiskFull, 10_000, "full");
  const done = completion();
  other.running.retained.put(retained("a", "1"), done);
  // Long enough for the other node to try again but rarely.
  world.run(20_000);
  leader.disk.room = Number.POSITIVE_INFINITY;
  world.until(() => !leader.status.isDiskFull, 20_000, "room again");
  expect(done.codes).toEqual([]);
  other.running.retained.put(retained("b", "1"), done);
  world.run(200);
  expect(done.codes).toEqual([0, 0]);
});

test("a leader whose disk stands still in the middle of a write hands over within 2.5 s; what others write is acknowledged", () => {
  const world = formed(3, 71, 3);
  const old = leaderOf(world);
  world.run(5000);
  world.until(() => !old.isDiskBusy, 1000, "its disk is idle");
  old.isDiskBusy = true;
  const done = completion();
  old.running.retained.put(retained("a", "1"), done);
  const stalledAt = world.clock.monotonicMs();
  world.until(() => world.leader !== undefined && world.leader !== old, 2500, "another one leads");
  expect(old.leasesGivenUp).toBe(1);
  expect(world.clock.monotonicMs() - stalledAt).toBeGreaterThan(1900);
  expect(old.status.isDiskStalled).toBe(true);
  const other = completion();
  leaderOf(world).running.retained.put(retained("b", "2"), other);
  world.until(() => other.codes.length === 1, 1000, "acknowledged without it");
  old.isDiskBusy = false;
  world.until(() => done.codes.length === 1 && !old.status.isDiskStalled, 5000, "it goes on");
  expect(old.fatal).toBeUndefined();
});

test("a disk that is slow, but goes on, costs nobody the leadership", () => {
  const world = formed(3, 72, 3);
  const old = leaderOf(world);
  for (let round = 0; round < 5; round++) {
    world.until(() => !old.isDiskBusy, 1000, "its disk is idle");
    old.isDiskBusy = true;
    old.running.retained.put(retained("a", String(round)), completion());
    world.run(1500);
    old.isDiskBusy = false;
    world.run(1000);
  }
  expect(world.leader).toBe(old);
  expect(old.leasesGivenUp).toBe(0);
});
