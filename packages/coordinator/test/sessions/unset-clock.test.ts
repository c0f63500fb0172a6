/** A client that comes to a box before anybody has told the box what time it is: its claim counts as made when it comes into the log. */

import type { KeptSession } from "@skein/kernel";
import { expect, test } from "vitest";
import { comesTo } from "../support/kept-client.ts";
import { completion, type SimNode, textOf, World } from "../support/world.ts";
import { message, wish } from "./session-world.ts";

function publish(world: World, node: SimNode, text: string): void {
  const done = completion();
  node.running.sessions.publish(message("t", text, 1), undefined, [], done);
  world.until(() => done.codes.length === 1, 30_000, "acknowledged");
}

function textsOf(kept: KeptSession): (string | undefined)[] {
  const texts: (string | undefined)[] = [];
  for (let owed = kept.after(-1); owed !== undefined; owed = kept.after(owed.ordinal))
    texts.push(textOf(owed.message));
  return texts;
}

test("P9: it is the newer one when the cluster that the box has founded is merged: its queue comes first", () => {
  const world = new World(47);
  const [grown, ...others] = world.add(4) as [SimNode, ...SimNode[]];
  const late = others.pop() as SimNode;
  for (const node of [grown, ...others]) world.start(node);
  world.until(() => world.isFormed(3), 30_000, "the first cluster");
  const older = comesTo(grown, "c");
  older.claim.subscribe([wish("t")], completion());
  publish(world, grown, "older");
  older.claim.close("discard", 3600, -1);
  world.run(5000);
  world.start(late);
  world.isolate([late], true);
  const newer = comesTo(late, "c");
  newer.claim.subscribe([wish("t")], completion());
  expect(late.status.cluster).toBeUndefined();
  world.until(() => late.status.hasQuorum, 30_000, "founded");
  expect(late.status.cluster).not.toBe(grown.status.cluster);
  publish(world, late, "newer");
  newer.claim.close("discard", 3600, -1);
  world.run(1000);
  world.isolate([late], false);
  world.until(() => world.clusters().size === 1 && world.isFormed(3) && world.isConverged(), 60_000, "one");
  const again = comesTo(grown, "c");
  world.run(1000);
  expect(textsOf(again.kept())).toEqual(["newer", "older"]);
});

test("P9: who comes to a box that joins has come last", () => {
  const world = new World(48);
  world.add(3);
  world.startAll();
  world.until(() => world.isFormed(3), 30_000, "formed");
  const [first] = world.nodes as [SimNode];
  comesTo(first, "c");
  world.run(1000);
  const [newcomer] = world.add(1) as [SimNode];
  world.start(newcomer);
  world.run(10);
  expect(newcomer.status.cluster).toBeUndefined();
  const { kept } = comesTo(newcomer, "c");
  world.until(() => world.isFormed(3) && world.isConverged(), 60_000, "joined");
  world.run(1000);
  expect(kept, "its CONNECT is answered").not.toThrow();
});
