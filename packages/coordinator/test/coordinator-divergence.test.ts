/** A replica whose state is not what its log says: found, named, isolated, and put right without losing what it acknowledged. */

import type { NodeId } from "@skein/kernel";
import { decodeConfiguration, decodeRaftMessage, type Entry, type Snapshot } from "raft-js";
import { expect, test } from "vitest";
import { decodeFrame } from "../src/frames.ts";
import { Journal } from "../src/journal/journal.ts";
import { decodeRecord, encodeAlone } from "../src/journal/record.ts";
import { ReplicaFaults } from "../src/replica/replica-faults.ts";
import { StateMachine } from "../src/state-machine/state-machine.ts";
import { MemoryDisk } from "./support/memory-disk.ts";
import { VirtualClock } from "./support/virtual-clock.ts";
import { completion, replicated, retained, type SimNode, World } from "./support/world.ts";

const HOUR_MS = 60 * 60 * 1000;

/** So many entries that the states are compared. */
function fill(world: World, node: SimNode, name: string): void {
  const done = completion();
  for (let i = 0; i < 100; i++) node.running.retained.put(retained(`${name}/${i}`, "x"), done);
  world.until(() => done.codes.length === 100, 5000, "acknowledged");
}

/** The snapshot that `node` would save now, but with a retained message nobody ever wrote. */
function falseSnapshot(node: SimNode): Snapshot {
  const { state } = Journal.open(node.disk.clone(), "journal", node.log, 0);
  const machine = new StateMachine();
  let { configuration } = state.snapshot;
  for (const { kind, data, index } of state.entries) {
    if (kind === "command") machine.apply(data, index);
    if (kind === "configuration") configuration = decodeConfiguration(data);
  }
  machine.retained.set({ message: retained("never/written", "x"), stamp: 0, index: 0 }, 20, 4711);
  const { index, term } = state.entries.at(-1) as Entry;
  return { index, term, configuration, data: machine.snapshot() };
}

/** A mesh of three; the state of one follower is another than its log says, and nobody knows yet. */
function withWrongReplica(seed: number): { world: World; leader: SimNode; wrong: SimNode; third: SimNode } {
  const world = new World(seed);
  world.add(3);
  world.startAll();
  world.until(() => world.isFormed(3), 12_000, "formation");
  const leader = world.leader as SimNode;
  const [wrong, third] = world.nodes.filter((node) => node !== leader) as [SimNode, SimNode];
  const done = completion();
  for (let i = 0; i < 30; i++) leader.running.retained.put(retained(`t/${i}`, "x"), done);
  world.until(() => done.codes.length === 30, 5000);
  world.run(2000);
  world.kill(wrong);
  const snapshot = encodeAlone({ kind: "snapshot", snapshot: falseSnapshot(wrong) });
  wrong.disk.replaceNow("journal/snapshot", snapshot);
  world.start(wrong);
  const isFollowing = () => replicated(wrong, "never/written") === "x" && world.isFormed(3);
  world.until(isFollowing, 10_000, "following with a false state");
  return { world, leader, wrong, third };
}

const errors = ({ logs }: SimNode): string[] =>
  logs.filter(({ level }) => level === "error").map(({ message }) => message);
const hasTakenOver = ({ logs }: SimNode): boolean =>
  logs.some(({ message }) => message.includes("takes part again"));

test("a replica with another state than the others is found, named on all nodes, and neither votes nor leads", () => {
  const { world, leader, wrong, third } = withWrongReplica(13);
  // Nobody can give it another state: the leader dies as soon as the difference is seen.
  fill(world, leader, "u");
  world.until(() => wrong.statuses.some(({ isDiverged }) => isDiverged), 2000, "noticed");
  world.kill(leader);
  world.isolate([wrong], true);
  world.run(20_000);
  world.isolate([wrong], false);
  world.run(20_000);
  expect(wrong.status).toMatchObject({ isDiverged: true, hasQuorum: false });
  expect(third.status.hasQuorum).toBe(false);
  expect(errors(wrong)).toEqual([expect.stringContaining("neither votes nor leads")]);
  expect(errors(leader)).toEqual(["a replica differs from what the others agree on"]);
});

test("a wrong replica takes over the leader's state by itself, keeps its own in a file, and votes again", () => {
  const { world, leader, wrong } = withWrongReplica(14);
  fill(world, leader, "u");
  world.until(() => hasTakenOver(wrong), 10_000, "takes over");
  expect(replicated(wrong, "never/written")).toBeUndefined();
  expect(wrong.status).toMatchObject({ isDiverged: false, staysDiverged: false });
  world.until(() => world.isConverged(), 5000, "the same everywhere");
  const kept = wrong.disk.list("journal").filter((name) => name.startsWith("snapshot.bad-"));
  expect(kept).toHaveLength(1);
  const record = decodeRecord(wrong.disk.read(`journal/${kept[0]}`) as Uint8Array, 0)?.record;
  const machine = new StateMachine();
  if (record?.kind === "snapshot") machine.restore(record.snapshot.data);
  expect(machine.retained.get("never/written")).toBeDefined();
  // Nor does it come back with the next start.
  world.restart(wrong);
  world.until(() => world.isFormed(3) && world.isConverged(), 10_000, "restarted");
  expect(replicated(wrong, "never/written")).toBeUndefined();
  world.run(5000);
  world.kill(leader);
  world.until(() => world.leader !== undefined, 10_000, "it takes both of them to elect");
});

test("where nothing is written a wrong replica is found and mended within half a minute", () => {
  const { world, wrong } = withWrongReplica(16);
  world.until(() => hasTakenOver(wrong), 30_000, "takes over");
  world.until(() => world.isConverged(), 5000, "the same everywhere");
  expect(replicated(wrong, "never/written")).toBeUndefined();
});

test("a replica that has taken over the leader's state is compared again, also where nothing is written", () => {
  const { world, wrong } = withWrongReplica(16);
  world.until(() => hasTakenOver(wrong), 30_000, "takes over");
  world.run(12_000);
  const reported: (string | undefined)[] = [];
  world.watch = (bytes) => {
    const frame = decodeFrame(bytes);
    const message = frame?.kind === "raft" ? decodeRaftMessage(frame.message) : undefined;
    if (message?.kind === "heartbeatReply") reported.push(message.stateHash?.hash);
  };
  world.run(1000);
  expect(reported.length, "both followers answer").toBeGreaterThan(4);
  expect(new Set(reported).size).toBe(1);
});

test("P5: a wrong replica keeps all that it has acknowledged, and nobody who reads from it goes back in time", () => {
  const { world, leader, wrong, third } = withWrongReplica(15);
  fill(world, leader, "u");
  world.clock.advanceUntil(() => wrong.statuses.some(({ isDiverged }) => isDiverged), 2000, "noticed");
  expect(hasTakenOver(wrong)).toBe(false);
  // From here on every acknowledgement needs the wrong one.
  world.kill(third);
  const done = completion();
  let newest = 0;
  for (let i = 1; i <= 600; i++) {
    leader.running.retained.put(retained("count", String(i)), done);
    wrong.running.retained.put(retained("own", String(i)), done);
    world.run(5);
    const seen = Number(replicated(wrong, "count") ?? 0);
    expect(seen).toBeGreaterThanOrEqual(newest);
    newest = seen;
  }
  world.until(() => hasTakenOver(wrong), 10_000, "takes over");
  world.until(() => done.codes.length === 1200, 5000, "acknowledged");
  expect(wrong.fatal).toBeUndefined();
  world.kill(leader);
  world.start(third);
  world.until(() => world.leader !== undefined && world.isConverged(), 20_000, "goes on without the leader");
  for (const node of [wrong, third])
    expect([replicated(node, "count"), replicated(node, "own")]).toEqual(["600", "600"]);
});

test("again within an hour: it stays isolated and says what to do; after an hour it is put right once more", () => {
  const clock = new VirtualClock();
  const disk = new MemoryDisk();
  const lines: string[] = [];
  const note = (_fields: unknown, message: string): unknown => lines.push(message);
  let asked = 0;
  const self = "000000000000000a" as NodeId;
  const faults = new ReplicaFaults(self, {
    clock,
    disk,
    log: { error: note, warn: note, info: note, debug: note },
    state: () => undefined,
    replaceState: () => asked++,
  });
  const diverge = (): boolean => {
    faults.found({ kind: "diverged", server: self, index: 100 });
    clock.endTurn();
    return faults.isFinal;
  };
  expect(diverge()).toBe(false);
  faults.restored();
  clock.advance(HOUR_MS - 1);
  expect(diverge()).toBe(true);
  expect(asked).toBe(1);
  expect(lines.at(-1)).toContain('remove the folder "journal"');
  clock.advance(HOUR_MS);
  expect(diverge()).toBe(false);
  expect(asked).toBe(2);
});
