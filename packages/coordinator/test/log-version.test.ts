/** The version of the log: when it is raised, what it changes, and what becomes of a program that does not know it. */

import type { ClusterId, NodeId } from "@skein/kernel";
import { expect, test } from "vitest";
import { Upgrade } from "../src/membership/upgrade.ts";
import type { PeerView } from "../src/options.ts";
import { decodeClusterCommand, encodeClusterCommand } from "../src/state-machine/cluster-commands.ts";
import { Clusters } from "../src/state-machine/clusters.ts";
import { FIRST_LOG_VERSION, NEWEST_LOG_VERSION } from "../src/state-machine/log-version.ts";
import { StateMachine } from "../src/state-machine/state-machine.ts";
import { UNKNOWN_MACHINE } from "./support/peer-view.ts";
import { completion, replicated, retained, type SimNode, World } from "./support/world.ts";

const MINUTE_MS = 60_000;
const nothing = (): void => undefined;
const SILENT = { error: nothing, warn: nothing, info: nothing, debug: nothing };
const [A, B, C] = ["a", "b", "c"].map((letter) => letter.repeat(16)) as [NodeId, NodeId, NodeId];

const raise = (version: number): Uint8Array => encodeClusterCommand({ kind: "version", version });

test("a log is in the first version until an entry names a newer one, and never goes back", () => {
  const machine = new StateMachine();
  expect(machine.version).toBe(FIRST_LOG_VERSION);
  const before = machine.stateHash();
  machine.apply(raise(4), 1);
  expect(machine.version).toBe(4);
  expect(machine.stateHash()).not.toBe(before);
  expect(machine.apply(raise(3), 2).outcome).toBe("void");
  expect(machine.version).toBe(4);
});

test("a snapshot in the first version has a format that programs of that version read, and later ones name the version", () => {
  const machine = new StateMachine();
  const [whole, parted] = [11, 12];
  expect(machine.snapshot()[0]).toBe(whole);
  const { data } = machine.snapshotInParts();
  expect(last(data)[0]).toBe(parted);

  machine.apply(raise(4), 1);
  expect(machine.snapshot()[0]).toBe(13);
  expect(last(machine.snapshotInParts().data)[0]).toBe(14);
  const other = new StateMachine();
  other.restore(machine.snapshot());
  expect(other.version).toBe(4);
  expect(other.snapshot()).toEqual(machine.snapshot());
});

test("a program does not take over the snapshot of a version that it does not know, and says so", () => {
  const machine = new StateMachine();
  machine.apply(raise(4), 1);
  const older = new StateMachine(undefined, 3);
  const text =
    "Cannot go on: the mesh was updated to version 4 of its protocol, and this program knows versions up to 3. Update Skein on this node, and start it again";
  expect(() => older.restore(machine.snapshot())).toThrow(text);
  // Of a later program, in a format of which nothing is known.
  const later = machine.snapshot();
  later[0] = 15;
  expect(() => new StateMachine().restore(later)).toThrow(
    expect.objectContaining({ code: "ERR_SKEIN_VERSION" }),
  );
});

interface Seen {
  readonly id: NodeId;
  readonly version: number;
  readonly state?: PeerView["state"];
}

/** A leader among `members`; `tick` returns the version that it proposes. */
function leading(members: readonly NodeId[], settleMinutes: number) {
  const clusters = new Clusters();
  const upgrade = new Upgrade({ version: 3, clusters }, settleMinutes, SILENT);
  const appliedConfiguration = { voters: members, votersOutgoing: [], learners: [] };
  const tick = (seen: readonly Seen[], now: number): number | undefined => {
    let proposed: number | undefined;
    const propose = ([bytes]: readonly Uint8Array[]): boolean => {
      const command = decodeClusterCommand(bytes as Uint8Array);
      proposed = command.kind === "version" ? command.version : undefined;
      return true;
    };
    upgrade.tick({ appliedConfiguration, propose }, seen.map(viewOf), now as never);
    return proposed;
  };
  return { clusters, upgrade, tick };
}

function viewOf({ id, version, state = "alive" }: Seen): PeerView {
  return {
    ...UNKNOWN_MACHINE,
    id,
    name: id,
    state,
    cluster: "c" as ClusterId,
    isLinked: true,
    protocolVersion: version,
  };
}

const seenOf = (...versions: readonly number[]): Seen[] =>
  versions.map((version, at) => ({ id: [A, B, C][at] as NodeId, version }));

test("the version is raised when every member has known the newer one for an hour", () => {
  const { clusters, tick } = leading([A, B], 60);
  for (let minute = 1; minute <= 10; minute++) clusters.growOlder(minute);
  expect(tick(seenOf(4, 3), 0)).toBeUndefined();
  expect(tick(seenOf(4, 4), 90 * MINUTE_MS)).toBeUndefined();
  // One box is taken back, and updated again.
  expect(tick(seenOf(4, 3), 120 * MINUTE_MS)).toBeUndefined();
  expect(tick(seenOf(4, 4), 121 * MINUTE_MS)).toBeUndefined();
  expect(tick(seenOf(4, 4), 180 * MINUTE_MS)).toBeUndefined();
  expect(tick(seenOf(4, 4), 181 * MINUTE_MS)).toBe(4);
});

test("in a cluster that has just been founded it is raised after a few seconds, and asked for until it is there", () => {
  const { tick } = leading([A, B], 60);
  expect(tick(seenOf(4, 4), 0)).toBeUndefined();
  expect(tick(seenOf(4, 4), 5900)).toBeUndefined();
  expect(tick(seenOf(4, 4), 6000)).toBe(4);
  expect(tick(seenOf(4, 4), 6250)).toBeUndefined();
  expect(tick(seenOf(4, 4), 8000)).toBe(4);
});

test.each<[string, readonly NodeId[], readonly Seen[]]>([
  [
    "a member is away that knew only the version before",
    [A, B, C],
    [...seenOf(4, 4), { id: C, version: 3, state: "dead" }],
  ],
  ["a member is away of which nothing is known", [A, B, C], seenOf(4, 4)],
  ["a node is in sight that may join, and knows only the version before", [A, B], seenOf(4, 4, 3)],
])("it is not raised while %s", (_, members, seen) => {
  const { tick } = leading(members, 0);
  tick(seen, 0);
  expect(tick(seen, 10 * MINUTE_MS)).toBeUndefined();
});

test("who is gone and was never a member does not count", () => {
  const { tick } = leading([A, B], 0);
  expect(tick([...seenOf(4, 4), { id: C, version: 3, state: "dead" }], 0)).toBe(4);
});

test("a dissolved cluster stays as it is", () => {
  const { clusters, tick } = leading([A], 0);
  clusters.dissolve({ winner: "w" as ClusterId, cut: 1, chunkBytes: 100 });
  expect(tick(seenOf(4), 0)).toBeUndefined();
});

test("a new leader begins to count anew", () => {
  const { clusters, upgrade, tick } = leading([A], 60);
  for (let minute = 1; minute <= 10; minute++) clusters.growOlder(minute);
  tick(seenOf(4), 0);
  upgrade.rest();
  expect(tick(seenOf(4), 61 * MINUTE_MS)).toBeUndefined();
});

const speaking = (version: number) => ({ ...UNKNOWN_MACHINE, protocolVersion: version });

/** Three nodes; the first `older` of them have the program before. */
function mesh(seed: number, older: number): World {
  const world = new World(seed, { snapshotEntries: 20, entriesKept: 5 });
  world.add(3).forEach((node, at) => {
    node.qualities = speaking(at < older ? FIRST_LOG_VERSION : NEWEST_LOG_VERSION);
  });
  world.startAll();
  world.until(() => world.isFormed(3), 30_000, "formed");
  return world;
}

const versions = (world: World): number[] => world.running.map(({ status }) => status.logVersion);

function write(world: World, count: number): void {
  const node = world.running[0] as SimNode;
  for (let at = 0; at < count; at++) {
    const done = completion();
    node.running.retained.put(retained(`t/${at}`, "x"), done);
    world.until(() => done.codes.length > 0, 5000, "acknowledged");
  }
}

test("boxes are updated one by one: each goes on with the log, and the last one makes it go on in the newest version", () => {
  const world = mesh(71, 3);
  for (const node of world.nodes) {
    world.run(20_000);
    expect(versions(world)).toEqual([3, 3, 3]);
    node.qualities = speaking(NEWEST_LOG_VERSION);
    world.restart(node);
    world.until(() => world.isFormed(3), 20_000, "back");
    write(world, 30);
  }
  world.until(() => versions(world).every((version) => version === NEWEST_LOG_VERSION), 20_000, "raised");
  expect(world.nodes.map(({ fatal }) => fatal)).toEqual([undefined, undefined, undefined]);
  expect(replicated(world.nodes[0] as SimNode, "t/29")).toBe("x");
});

test.each([
  ["in its log", 0],
  ["in a snapshot of its own", 60],
])(
  "a box that is taken back after that ends with a sentence that says what to do, and goes on where it was once it is updated: it reads of the version %s",
  (_, writes) => {
    const world = mesh(72, 0);
    world.until(() => versions(world).every((version) => version === NEWEST_LOG_VERSION), 20_000, "raised");
    world.run(500);
    write(world, writes);
    const node = world.running.find(({ status }) => status.role !== "leader") as SimNode;
    const told = node.logs.filter(({ message }) => message.includes("no node can go back"));
    expect(told.map(({ fields }) => fields)).toEqual([{ version: NEWEST_LOG_VERSION }]);
    node.qualities = speaking(FIRST_LOG_VERSION);
    world.restart(node);
    world.until(() => node.fatal !== undefined, 10_000, "ends");
    expect(node.fatal).toMatchObject({ code: "ERR_SKEIN_VERSION" });
    expect(node.logs.map(({ message }) => message)).not.toContain("the disk failed");

    world.kill(node);
    write(world, 10);
    node.fatal = undefined;
    node.qualities = speaking(NEWEST_LOG_VERSION);
    world.start(node);
    world.until(() => world.isFormed(3) && world.isConverged(), 20_000, "back");
    expect(node.fatal).toBeUndefined();
    expect(replicated(node, "t/9")).toBe("x");
  },
);

test("a box with the program before that was away while the log went on in the newest version ends likewise, also if it gets a snapshot", () => {
  const world = mesh(73, 0);
  const node = world.running.find(({ status }) => status.role !== "leader") as SimNode;
  world.kill(node);
  world.until(() => versions(world).every((version) => version === NEWEST_LOG_VERSION), 20_000, "raised");
  // So much that the entry that says so is in no log any more.
  write(world, 60);
  node.qualities = speaking(FIRST_LOG_VERSION);
  world.start(node);
  world.until(() => node.fatal !== undefined, 20_000, "ends");
  expect(node.fatal).toMatchObject({ code: "ERR_SKEIN_VERSION" });
  world.kill(node);
  write(world, 5);
});

function last(pieces: Generator<undefined, Uint8Array>): Uint8Array {
  for (;;) {
    const { done, value } = pieces.next();
    if (done === true) return value;
  }
}
