/** A whole mesh in which the state of one replica goes wrong: it is put right under load, and no checker has anything to say. */

import { type Disk, type Log, seededPrng } from "@skein/kernel";
import { decodeConfiguration } from "raft-js";
import { expect, test } from "vitest";
import { Journal } from "../../../coordinator/src/journal/journal.ts";
import { encodeAlone } from "../../../coordinator/src/journal/record.ts";
import { StateMachine } from "../../../coordinator/src/state-machine/state-machine.ts";
import { allCheckers, generateSchedule, World } from "../../src/index.ts";
import { EventQueue } from "../../src/world/event-queue.ts";
import { retainedSet } from "../../src/world/retained-set.ts";
import { SimDisk } from "../../src/world/sim-disk.ts";
import type { SimNode } from "../../src/world/sim-node.ts";
import { SimProcess } from "../../src/world/sim-process.ts";

const QUIET: Log = { error() {}, warn() {}, info() {}, debug() {} };

const message = (topic: string, text: string) => ({
  topic,
  payload: new TextEncoder().encode(text),
  qos: 1 as const,
  retain: true,
  properties: undefined,
});

/** A disk as a process outside the world sees it. */
function portOf(disk: SimDisk): Disk {
  return disk.openFor(
    new SimProcess(new EventQueue(), { rate: 1, bootedAt: 0, sleptMs: 0, wallOffsetMs: 0 }, () => {}),
  );
}

/** Gives a stopped node a snapshot with a topic that nobody ever wrote. */
function plantWrongState(node: SimNode): void {
  const copy = new SimDisk(new EventQueue(), seededPrng(1));
  copy.cloneFrom(node.disk);
  const { state, snapshotData } = Journal.open(portOf(copy), "journal", QUIET, 0);
  const machine = new StateMachine();
  if (snapshotData !== undefined) machine.restore(snapshotData);
  let { configuration } = state.snapshot;
  // Not up to the last: that one may not be committed.
  const entries = state.entries.slice(0, -10);
  for (const { kind, data, index } of entries) {
    if (kind === "command") machine.apply(data, index);
    if (kind === "configuration") configuration = decodeConfiguration(data);
  }
  machine.retained.set({ message: message("never/written", "x"), stamp: 0, index: 0 }, 20, 4711);
  const { index = 0, term = 0 } = entries.at(-1) ?? {};
  const wrong = { index, term, configuration, data: machine.snapshot() };
  portOf(node.disk).replaceNow("journal/snapshot", encodeAlone({ kind: "snapshot", snapshot: wrong }));
}

test.each([2, 3, 4])(
  "a mesh under load puts a wrong replica right, and every checker is content (seed %i)",
  (seed) => {
    const { world: options } = generateSchedule({ seed, nodes: 3, minutes: 1 });
    const world = new World(
      { ...options, nodes: 3, clients: 0 },
      allCheckers({
        durability: options.durability,
        memoryCapBytes: new Map([["streams", 64 * 1024 * 1024]]),
      }),
    );
    const { events } = world;
    const until = (condition: () => boolean, withinMs: number, what: string): void => {
      const deadline = events.now + withinMs;
      while (!condition() && events.now < deadline) events.runUntil(events.now + 100);
      expect(condition(), what).toBe(true);
    };
    const isWell = (): boolean =>
      world.nodes.every(({ assembly, status }) => assembly?.isServing && status?.hasQuorum);
    let written = 0;
    const write = (): void => {
      const node = world.nodes[written % 3] as SimNode;
      const { assembly } = node;
      node.process?.turn(() =>
        assembly?.broker.publish(message(`t/${written % 20}`, `${written}`), undefined),
      );
      written++;
      events.after(20, write);
    };
    for (const node of world.nodes) node.start();
    until(isWell, 30_000, "formed");
    write();
    events.runUntil(events.now + 3000);
    const wrong = world.nodes.find(({ status }) => status?.role === "voter") as SimNode;
    wrong.kill("crash");
    plantWrongState(wrong);
    wrong.start();
    const says = (text: string): boolean => wrong.logs.some((line) => line.includes(text));
    until(() => says("neither votes nor leads"), 30_000, "found");
    until(() => says("takes part again"), 20_000, "put right");
    events.runUntil(events.now + 5000);
    const hasWrong = world.nodes.map(
      ({ assembly }) => assembly !== undefined && retainedSet(assembly).has("never/written"),
    );
    expect(hasWrong).toEqual([false, false, false]);
    world.finish();
  },
);
