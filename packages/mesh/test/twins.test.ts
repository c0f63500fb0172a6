/** A cloned SD card: two processes with one identity. Exactly one of them goes on (reference/design.md, trap 5). */

import type { Incarnation } from "@skein/kernel";
import { expect, test } from "vitest";
import type { Home } from "../src/index.ts";
import { nodeId, type SimNode, World } from "./support/world.ts";

/** Two peers and the original; then a copy of it on another host. `original` and `copy`: where each runs. */
function twins(
  original: Home,
  copy: Home,
  hasMdns = true,
): { world: World; peers: SimNode[]; a: SimNode; b: SimNode } {
  const world = new World(3);
  const peers = [world.start(1, { hasMdns }), world.start(2, { hasMdns, peers: ["10.0.0.1:7883"] })];
  const known = ["10.0.0.1:7883", "10.0.0.2:7883"];
  const a = world.start(3, { hasMdns, home: original, peers: known });
  world.untilFormed();
  world.clock.run(3000);
  const b = world.start(4, {
    hasMdns,
    node: nodeId(3),
    incarnation: 2 as Incarnation,
    host: "10.0.0.4",
    home: copy,
    peers: known,
  });
  return { world, peers, a, b };
}

test.each<[Home, Home, "copy" | "original"]>([
  ["here", "elsewhere", "copy"],
  ["elsewhere", "here", "original"],
  ["unknown", "unknown", "copy"],
  ["here", "here", "copy"],
  ["elsewhere", "elsewhere", "copy"],
  ["unknown", "elsewhere", "copy"],
])(
  "R29: of two with one identity, the original %s and the copy %s, within 5 s only the %s yields",
  (original, copy, yields) => {
    for (const hasMdns of [false, true]) {
      const { world, a, b } = twins(original, copy, hasMdns);
      world.clock.run(5000);
      expect([a.taken.length > 0, b.taken.length > 0]).toEqual([yields === "original", yields === "copy"]);
      const [loser] = yields === "copy" ? [b] : [a];
      expect(loser?.taken[0]?.name).toBe(yields === "copy" ? "node-3" : "node-4");
    }
  },
);

test("R29: where only mDNS brings the two together, with no third node, one of them yields", () => {
  const world = new World(4);
  const a = world.start(3);
  world.clock.run(3000);
  const b = world.start(4, { node: nodeId(3), host: "10.0.0.4", incarnation: 2 as Incarnation });
  world.clock.run(5000);
  expect([a.taken.length > 0, b.taken.length > 0]).toEqual([false, true]);
});

test("a peer that is linked to the one that goes on keeps that link through all of it", () => {
  const { world, peers, a } = twins("here", "elsewhere");
  world.clock.run(5000);
  for (const peer of peers) expect(peer.logged.filter((line) => line.includes("link lost"))).toEqual([]);
  expect(a.linked).toHaveLength(2);
});

test("a node that lost its power and is back before its links have timed out is no copy", () => {
  const world = new World(5);
  const peers = [world.start(1), world.start(2)];
  const before = world.start(3, { home: "here" });
  world.untilFormed();
  before.crash();
  // The same host is back: it can be reached again, but the process of before cannot answer.
  before.mesh.stop(() => {});
  world.clock.run(500);
  for (const { host } of peers) world.network.unblock("10.0.0.3", host);
  const after = world.start(3, { home: "here", incarnation: 2 as Incarnation });
  world.untilFormed();
  expect(after.taken).toEqual([]);
  expect(peers.map(({ taken }) => taken)).toEqual([[], []]);
});

test("a paused process whose copy has come up meanwhile makes no peer flap: one of the two yields when it is back", () => {
  const { world, peers, a, b } = twins("here", "elsewhere", false);
  for (const peer of peers) world.network.block(a.host, peer.host);
  world.clock.run(8000);
  expect(b.linked).toHaveLength(2);
  for (const peer of peers) world.network.unblock(a.host, peer.host);
  world.clock.run(8000);
  expect(b.taken.length).toBeGreaterThan(0);
  expect(a.taken).toEqual([]);
});

/** Two peers; the original was off while its copy ran, and the copy is off now. `start` starts the original, so often for the first time. */
function afterCopy(copyStarts: number): {
  world: World;
  peers: SimNode[];
  copy: SimNode;
  start: (starts: number) => SimNode;
} {
  const world = new World(6);
  const peers = [world.start(1), world.start(2)];
  const begin = (index: number, starts: number): SimNode =>
    world.start(index, { node: nodeId(3), incarnation: starts as Incarnation, home: "here" });
  const original = begin(3, 1);
  world.untilFormed();
  original.stop();
  const copy = begin(4, copyStarts);
  world.untilFormed();
  copy.stop();
  world.clock.run(3000);
  return { world, peers, copy, start: (starts) => begin(3, starts) };
}

test.each([
  ["more often than", 7, 2],
  ["as often as", 2, 2],
])(
  "R29: an original whose copy was started %s itself is told how often, and where that was, and has links once it is behind it",
  (_, copyStarts, starts) => {
    const { world, peers, start } = afterCopy(copyStarts);
    const original = start(starts);
    world.clock.run(5000);
    expect(original.linked).toEqual([]);
    expect(original.taken).toEqual([]);
    const known = { incarnation: copyStarts, address: "10.0.0.4:7883" };
    expect(original.outrun).toContainEqual(known);
    expect(new Set(original.outrun.map((by) => JSON.stringify(by))).size).toBe(1);
    for (const peer of peers)
      expect(
        peer.logged.filter((line) => line.includes("started as often as this, or more often")),
      ).toHaveLength(1);
    original.stop();
    world.clock.run(1000);
    const again = start(copyStarts + 1);
    world.untilFormed();
    expect(again.outrun).toEqual([]);
    expect(peers.flatMap(({ outrun }) => outrun)).toEqual([]);
  },
);

test("a process whose link is cut is the same when it calls again", () => {
  const world = new World(7);
  const [a, b] = world.formed(2) as [SimNode, SimNode];
  world.network.block(a.host, b.host);
  world.clock.run(8000);
  expect(a.linked).toEqual([]);
  world.network.unblock(a.host, b.host);
  world.untilFormed();
  expect([a.outrun, b.outrun]).toEqual([[], []]);
});

test("R29: an original that comes back beside its running copy, started less often, goes on once it is behind it; the copy yields", () => {
  const { world, peers, start } = afterCopy(7);
  const copy = world.start(4, { node: nodeId(3), incarnation: 8 as Incarnation, home: "elsewhere" });
  world.clock.run(8000);
  expect(copy.linked).toHaveLength(2);
  const original = start(2);
  world.clock.run(5000);
  expect(copy.taken.length).toBeGreaterThan(0);
  expect(original.taken).toEqual([]);
  expect(original.outrun).toContainEqual({ incarnation: 8, address: "10.0.0.4:7883" });
  copy.stop();
  original.stop();
  world.clock.run(1000);
  const again = start(9);
  world.clock.runUntil(() => again.linked.length === peers.length, 10_000, "linked");
});
