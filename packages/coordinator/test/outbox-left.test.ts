import type { Incarnation } from "@skein/kernel";
import { expect, test } from "vitest";
import { OutboxFile } from "../src/proposals/outbox-file.ts";
import { encodeCommand } from "../src/state-machine/commands.ts";
import { completion, retained, type SimNode, World } from "./support/world.ts";

test("what stands in the outbox and has come through long ago does not block a node at its start, and the file goes", () => {
  const world = new World(21, { snapshotEntries: 5, entriesKept: 2 });
  world.add(3);
  world.startAll();
  world.until(() => world.isFormed(3), 12_000, "formation");
  const node = world.nodes.find(({ status }) => status.role !== "leader") as SimNode;
  const put = (topic: string, by = node): { readonly codes: number[] } => {
    const done = completion();
    by.running.retained.put(retained(topic, "1"), done);
    world.until(() => done.codes.length > 0, 10_000, topic);
    return done;
  };
  for (let at = 0; at < 20; at++) put(`first/${at}`);
  // Nothing of its own stands behind its newest snapshot.
  for (let at = 0; at < 20; at++) put(`leader/${at}`, world.leader);
  // As it is where a node dies between the last command that comes through and the removal of the file.
  const message = { ...retained("t", "1"), retain: false };
  const envelope = { node: node.id, incarnation: 1 as Incarnation, seq: 3 };
  const operation = { kind: "publish", publisher: undefined, served: [], message } as const;
  new OutboxFile(node.disk, "replicated").append(
    [encodeCommand({ envelope, stamp: 1, operation })],
    () => {},
  );
  world.run(1000);
  expect(node.disk.read("outbox")).toBeDefined();
  world.restart(node);
  expect(put("second").codes).toEqual([0]);
  expect(node.disk.read("outbox")).toBeUndefined();
});
