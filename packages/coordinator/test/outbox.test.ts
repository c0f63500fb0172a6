import type { MonotonicMs } from "@skein/kernel";
import { expect, test } from "vitest";
import type { CoordinatorStatus } from "../src/options.ts";
import { type OnQuorumLoss, Outbox } from "../src/outbox.ts";
import { OutboxFile } from "../src/outbox-file.ts";
import { freshStatus } from "../src/status.ts";
import { MemoryDisk } from "./support/memory-disk.ts";

function statusOf(hasQuorum: boolean): CoordinatorStatus {
  return { ...freshStatus(), cluster: "c" as never, hasQuorum };
}

function isCutAfter(onQuorumLoss: OnQuorumLoss, ms: number): boolean {
  const outbox = new Outbox(onQuorumLoss, new MemoryDisk(), "replicated", () => false);
  for (let now = 0; now <= ms; now += 250) outbox.tick(statusOf(false), now as MonotonicMs);
  return outbox.isCut;
}

test("a node without a quorum acknowledges by itself after two seconds, so that an election is not taken for a split", () => {
  expect([isCutAfter("outbox", 1750), isCutAfter("outbox", 2000)]).toEqual([false, true]);
});

test("a node that says that it has a quorum acknowledges nothing by itself any more, be it between two ticks", () => {
  let hasQuorum = false;
  const outbox = new Outbox("outbox", new MemoryDisk(), "replicated", () => hasQuorum);
  for (const now of [0, 2000]) outbox.tick(statusOf(false), now as MonotonicMs);
  expect(outbox.isCut).toBe(true);
  hasQuorum = true;
  expect(outbox.isCut).toBe(false);
});

test("onQuorumLoss: hold never acknowledges by itself", () => {
  expect(isCutAfter("hold", 60_000)).toBe(false);
});

test.each(["replicated", "disk"] as const)(
  "what came through the log while it was written is not waited for (%s)",
  (durability) => {
    const disk = new MemoryDisk();
    const file = new OutboxFile(disk, durability);
    let kept = 0;
    file.append([Uint8Array.of(1)], () => kept++);
    file.clear();
    disk.settle();
    file.append([Uint8Array.of(2)], () => kept++);
    disk.settle();
    expect(kept).toBe(1);
  },
);
