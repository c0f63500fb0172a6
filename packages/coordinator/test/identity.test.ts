import { type ClusterId, type Incarnation, isNodeId, type Log, type NodeId } from "@skein/kernel";
import { expect, test } from "vitest";
import { countStarts, newClusterId, saveIdentity, settleIdentity } from "../src/formation/identity.ts";
import { loadIdentity } from "../src/index.ts";
import { MemoryDisk } from "./support/memory-disk.ts";

function setUp() {
  const disk = new MemoryDisk();
  const warnings: string[] = [];
  const ignore = (): void => {};
  const log: Log = {
    error: ignore,
    info: ignore,
    debug: ignore,
    warn: (_fields, text) => void warnings.push(text),
  };
  let next = 0;
  const random = { bytes: (count: number) => Uint8Array.from({ length: count }, () => next++) };
  return { disk, log, random, warnings };
}

test("the first start makes a node id; every start counts, durably before it is used", () => {
  const { disk, log, random, warnings } = setUp();
  const first = loadIdentity(disk, random, log);
  expect(isNodeId(first.node)).toBe(true);
  expect(first).toMatchObject({ incarnation: 1, cluster: undefined });
  disk.crash();
  const second = loadIdentity(disk, random, log);
  expect(second).toEqual({ ...first, incarnation: 2 });
  disk.crash();
  expect(loadIdentity(disk, random, log).incarnation).toBe(3);
  expect(warnings).toEqual([]);
});

test("the cluster is kept", () => {
  const { disk, log, random } = setUp();
  const identity = loadIdentity(disk, random, log);
  const cluster = newClusterId(random);
  expect(cluster).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  let isDone = false;
  saveIdentity(disk, { ...identity, cluster }, (error) => {
    isDone = error === undefined;
  });
  disk.settle();
  expect(isDone).toBe(true);
  expect(loadIdentity(disk, random, log)).toEqual({ ...identity, incarnation: 2, cluster });
});

test("P12: whatever stands in the file, the node starts; a damaged one is kept aside and makes a new node", () => {
  const good = { node: "00000000000000aa" as NodeId, incarnation: 4, cluster: "no uuid" as ClusterId };
  const contents = ["", "{", "null", "[]", "42", '{"node":"xyz"}', JSON.stringify(good), "\u0000\u0000"];
  for (const content of contents) {
    const { disk, log, random, warnings } = setUp();
    disk.replaceNow("identity.json", Buffer.from(content));
    const identity = loadIdentity(disk, random, log);
    expect(identity).toMatchObject({ incarnation: 1, cluster: undefined });
    expect(identity.node).not.toBe(good.node);
    expect(warnings).toHaveLength(1);
    const kept = [...disk.files.keys()].find((name) => name.startsWith("identity.json.bad-"));
    expect(Buffer.from(disk.read(kept as string) as Uint8Array).toString()).toBe(content);
    expect(loadIdentity(disk, random, log)).toEqual({ ...identity, incarnation: 2 });
  }
});

test("P12: one rotten bit never makes another identity: it is noticed, or changes nothing", () => {
  const { disk, log, random } = setUp();
  const before = loadIdentity(disk, random, log);
  const bytes = disk.read("identity.json") as Uint8Array;
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const { disk: rotten, log: other, random: fresh, warnings } = setUp();
    const flipped = bytes.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
    rotten.replaceNow("identity.json", flipped);
    const after = loadIdentity(rotten, fresh, other);
    if (warnings.length === 0) expect(after).toEqual({ ...before, incarnation: 2 });
    else expect(after.incarnation).toBe(1);
  }
});

test("R29: a changed machine alone changes no identity; it is known as moved at each start until that is on disk", () => {
  const { disk, random, log } = setUp();
  const born = loadIdentity(disk, random, log, "aa");
  expect(born).toMatchObject({ home: "aa", machine: "aa", hasMoved: false });
  expect(loadIdentity(disk, random, log, "aa").hasMoved).toBe(false);
  const moved = { node: born.node, home: "aa", machine: "bb", hasMoved: true };
  expect(loadIdentity(disk, random, log, "bb")).toMatchObject(moved);
  const again = loadIdentity(disk, random, log, "bb");
  expect(again).toMatchObject(moved);
  settleIdentity(disk, again);
  expect(loadIdentity(disk, random, log, "bb")).toMatchObject({ ...moved, hasMoved: false });
  // Where the system does not tell, nothing is concluded.
  expect(loadIdentity(disk, random, log, "")).toMatchObject({ ...moved, machine: "", hasMoved: false });
  expect(loadIdentity(disk, random, log, "bb").hasMoved).toBe(false);
});

test.each(["aa", ""])(
  "R29: behind a copy that was started more often the next start counts on from there, as one that has moved (hardware: %j)",
  (machine) => {
    const { disk, random, log } = setUp();
    const { node } = loadIdentity(disk, random, log, machine);
    countStarts(disk, 7 as Incarnation, (error) => expect(error).toBeUndefined());
    disk.settle();
    disk.crash();
    const next = loadIdentity(disk, random, log, machine);
    expect(next).toMatchObject({ node, incarnation: 8, home: machine, machine, hasMoved: true });
    // Until its journal is suspect.
    const again = loadIdentity(disk, random, log, machine);
    expect(again).toMatchObject({ incarnation: 9, hasMoved: true });
    settleIdentity(disk, again);
    countStarts(disk, 3 as Incarnation, () => {});
    disk.settle();
    expect(loadIdentity(disk, random, log, machine)).toMatchObject({ incarnation: 10, hasMoved: true });
  },
);

test("an identity file from before machines were noted is read, and belongs to no machine", () => {
  const { disk, random, log } = setUp();
  const { node } = loadIdentity(disk, random, log);
  const text = new TextDecoder().decode(disk.read("identity.json"));
  const { home: _, machine: __, ...old } = JSON.parse(text) as Record<string, unknown>;
  disk.replaceNow("identity.json", new TextEncoder().encode(JSON.stringify(old)));
  expect(loadIdentity(disk, random, log, "aa")).toMatchObject({ node, home: "", hasMoved: false });
});
