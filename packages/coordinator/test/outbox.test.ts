import type { MonotonicMs } from "@skein/kernel";
import { expect, test } from "vitest";
import type { Durability } from "../src/journal/stop-mark.ts";
import type { CoordinatorStatus } from "../src/options.ts";
import { type OnQuorumLoss, Outbox } from "../src/proposals/outbox.ts";
import { OutboxFile } from "../src/proposals/outbox-file.ts";
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

/** A file on a disk of its own, and what the next run would find in it. */
function outboxFile(durability: Durability) {
  const disk = new MemoryDisk();
  const left = (): unknown[] => new OutboxFile(disk, durability).read().map(([byte]) => byte);
  return { disk, file: new OutboxFile(disk, durability), left };
}

/** Appends one command of a byte; returns whether it was kept, once everything has happened. */
function append(file: OutboxFile, disk: MemoryDisk, byte: number): boolean | undefined {
  let isKept: boolean | undefined;
  file.append([Uint8Array.of(byte)], (error) => {
    isKept = error === undefined;
  });
  disk.settle();
  return isKept;
}

test.each(["replicated", "disk"] as const)(
  "what a full disk did not take hides nothing that is kept afterwards (%s)",
  (durability) => {
    const { disk, file, left } = outboxFile(durability);
    expect(append(file, disk, 1)).toBe(true);
    disk.room = 0;
    expect(append(file, disk, 2)).toBe(false);
    // Two at once: the second one must not be written behind where the first would have been.
    const kept: number[] = [];
    for (const byte of [3, 4]) file.append([Uint8Array.of(byte)], (error) => error ?? kept.push(byte));
    disk.room = 1000;
    disk.settle();
    expect(kept).toEqual([3, 4]);
    expect(left()).toEqual([1, 3, 4]);
  },
);

test.each(["replicated", "disk"] as const)(
  "what a failed sync may have dropped is written once more before anything is called safe (%s)",
  (durability) => {
    const { disk, file, left } = outboxFile(durability);
    expect(append(file, disk, 1)).toBe(true);
    file.flush();
    disk.settle();
    disk.failNext("sync", "I/O error");
    expect(append(file, disk, 2)).toBe(durability === "replicated");
    if (durability === "replicated") {
      file.flush();
      disk.settle();
    }
    const before = disk.appends.length;
    file.flush();
    disk.settle();
    expect(disk.appends.slice(before)).toEqual([9]);
    disk.crash();
    expect(left()).toEqual([1, 2]);
  },
);

test.each(["replicated", "disk"] as const)(
  "what comes while a node stops is written over nothing that it has acknowledged (%s)",
  (durability) => {
    const { disk, file, left } = outboxFile(durability);
    expect(append(file, disk, 1)).toBe(true);
    file.flush();
    disk.settle();
    for (const byte of [2, 3]) expect(append(file, disk, byte)).toBe(true);
    file.close();
    expect(append(file, disk, 4)).toBe(true);
    expect(left()).toEqual([1, 2, 3, 4]);
  },
);
