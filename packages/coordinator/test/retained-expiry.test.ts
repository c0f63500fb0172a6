/** How long retained messages live: as long as they say, whatever clocks do (R19). */

import { ByteWriter, encodeMessage } from "@skein/kernel";
import { expect, test } from "vitest";
import { STAMPS_PER_MS } from "../src/hybrid-clock.ts";
import { encodeClusterCommand } from "../src/state-machine/cluster-commands.ts";
import { decodeSnapshot } from "../src/state-machine/snapshot.ts";
import { StateMachine } from "../src/state-machine/state-machine.ts";
import { A, B, message, SessionWorld, THEM } from "./sessions/session-world.ts";
import { completion, retained, type SimNode, World } from "./support/world.ts";

const TEN_YEARS_MS = 10 * 365 * 86_400_000;

const expiring = (topic: string, messageExpirySeconds: number) => ({
  ...message(topic, "x", 1, true),
  properties: { messageExpirySeconds },
});

function retain(world: SessionWorld, topic: string, seconds: number): void {
  world.propose(A, { kind: "retainedSet", message: expiring(topic, seconds) });
}

const topicsOf = ({ retained }: StateMachine): string[] => retained.sorted().map(({ topic }) => topic);

test("a clock that jumps by years makes no retained message expire, also on a replica from a snapshot", () => {
  const world = new SessionWorld();
  retain(world, "long", 3600);
  retain(world, "short", 10);
  world.pass(5);
  const before = new StateMachine();
  before.restore(world.machine.snapshot());
  world.nowMs += TEN_YEARS_MS;
  world.publish(B, "t", "later");
  before.apply(world.log.at(-1) as Uint8Array, world.log.length);
  expect(topicsOf(world.machine)).toEqual(["long", "short"]);
  const after = new StateMachine();
  after.restore(world.machine.snapshot());
  world.pass(5);
  for (const machine of [before, after]) machine.apply(world.log.at(-1) as Uint8Array, world.log.length);
  for (const machine of [world.machine, before, after]) {
    expect(topicsOf(machine)).toEqual(["long"]);
    expect(machine.stateHash()).toBe(world.machine.stateHash());
  }
  world.pass(3600 - 11);
  expect(topicsOf(world.machine)).toEqual(["long"]);
  world.pass(1);
  expect(topicsOf(world.machine)).toEqual([]);
});

test("in a merge a retained message goes on with what is left of its lifetime, whatever the clocks of the two have said", () => {
  const [us, them] = [new SessionWorld(), new SessionWorld()];
  us.publish(B, "t", "something");
  retain(them, "of them", 100);
  them.pass(40);
  them.nowMs += TEN_YEARS_MS;
  them.pass(1);
  expect(them.mergeInto(us, { shift: (us.nowMs - them.nowMs) * STAMPS_PER_MS }).outcome).toBe("applied");
  us.pass(59);
  expect(topicsOf(us.machine)).toEqual(["of them"]);
  us.pass(1);
  expect(topicsOf(us.machine)).toEqual([]);
});

test("what was acknowledged without a quorum lives from when the log has it, however far its node's clock is behind", () => {
  const world = new SessionWorld();
  world.publish(B, "t", "something");
  const alone = { cluster: THEM, seenThrough: 1, stamp: 1, had: [], isAcknowledged: true };
  world.propose(A, { kind: "retainedSet", message: expiring("alone", 60) }, 1, alone);
  world.pass(59);
  expect(topicsOf(world.machine)).toEqual(["alone"]);
  world.pass(1);
  expect(topicsOf(world.machine)).toEqual([]);
});

test("from a snapshot of an earlier version a retained message lives as long as its stamp says", () => {
  const machine = new StateMachine();
  const tick = (seconds: number, index: number) => {
    const stamp = seconds * 1000 * STAMPS_PER_MS;
    machine.apply(encodeClusterCommand({ kind: "tick", stamp, ageMinutes: 0 }), index);
  };
  tick(2000, 1);
  const newest = 2000 * 1000 * STAMPS_PER_MS;
  // No proposers, no retained messages, newest stamp, no tombstones, none forgotten.
  const head = new ByteWriter(20).varint(0).varint(0).varint(newest).varint(0).varint(0).varint(0).take();
  const bytes = machine.snapshot().subarray(1);
  expect(bytes.subarray(0, head.length)).toEqual(head);
  const old = new ByteWriter(100).u8(7).varint(0).varint(2);
  for (const [topic, seconds] of [
    ["a", 1990],
    ["b", 0],
  ] as const) {
    old
      .varint(seconds * 1000 * STAMPS_PER_MS)
      .varint(1)
      .u8(0);
    encodeMessage(expiring(topic, 30), old);
  }
  machine.restore(old.varint(newest).varint(0).raw(bytes.subarray(head.length)).finish());
  tick(2019, 2);
  expect(topicsOf(machine)).toEqual(["a", "b"]);
  tick(2020, 3);
  // Nobody knows how old the other one is.
  expect(topicsOf(machine)).toEqual(["b"]);
  expect(decodeSnapshot(machine.snapshot()).retained[0]?.expiresAt).toBeUndefined();
});

// Nodes

function formed(): { readonly world: World; readonly leader: SimNode; readonly others: readonly SimNode[] } {
  const world = new World(8);
  world.add(3);
  world.startAll();
  world.until(() => world.isFormed(3), 12_000, "formation");
  const leader = world.leader as SimNode;
  return { world, leader, others: world.nodes.filter((node) => node !== leader) };
}

function put(world: World, node: SimNode, messageExpirySeconds: number, topic = "t"): void {
  const done = completion();
  node.running.retained.put({ ...retained(topic, "x"), properties: { messageExpirySeconds } }, done);
  world.until(() => done.codes.length === 1 && world.isConverged(), 1000, "the write");
}

/** The lifetimes left of what readers on `nodes` see of the topic. */
function lifetimes(world: World, nodes: readonly SimNode[]): (number | undefined)[] {
  const found: (number | undefined)[] = [];
  let answers = 0;
  for (const { running } of nodes)
    running.retained.read({
      mayRead: (view) => {
        answers++;
        view.match("t", (message) => found.push(message.properties?.messageExpirySeconds));
      },
    });
  world.until(() => answers === nodes.length, 2000, "answers");
  return found;
}

test("R19: the wall clock of the leader jumps by years: no retained message expires on any node", () => {
  const { world, leader } = formed();
  put(world, leader, 600);
  const wallMs = world.clock.wallMs.bind(world.clock);
  world.clock.wallMs = () => wallMs() + TEN_YEARS_MS;
  world.run(10_000);
  const seen = lifetimes(world, world.nodes);
  expect(seen.length).toBe(3);
  for (const seconds of seen) expect(seconds).toBeGreaterThan(580);
  expect(world.nodes.map(({ running }) => running.retained.count)).toEqual([1, 1, 1]);
});

test("in a mesh where nothing is written messages grow older all the same, and without a quorum, too", () => {
  const { world, leader, others } = formed();
  // A young cluster writes down how old it is.
  world.run(660_000);
  put(world, leader, 1200);
  world.run(600_000);
  // What is written now counts no step of more than five minutes.
  put(world, leader, 3600, "u");
  for (const seconds of lifetimes(world, world.nodes)) expect(Math.abs((seconds ?? 0) - 600)).toBeLessThan(5);
  const [killed, left] = others as [SimNode, SimNode];
  world.kill(leader);
  world.kill(killed);
  world.run(500_000);
  expect(Math.abs((lifetimes(world, [left])[0] ?? 0) - 100)).toBeLessThan(10);
  world.run(110_000);
  expect(lifetimes(world, [left])).toEqual([]);
});
