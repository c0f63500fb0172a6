import { type Disk, seededPrng } from "@skein/kernel";
import { expect, test } from "vitest";
import { EventQueue } from "../../src/world/event-queue.ts";
import { SimDisk } from "../../src/world/sim-disk.ts";
import { SimProcess } from "../../src/world/sim-process.ts";

function opened(seed = 1) {
  const events = new EventQueue();
  const disk = new SimDisk(events, seededPrng(seed));
  const newProcess = () =>
    new SimProcess(events, { rate: 1, bootedAt: 0, sleptMs: 0, wallOffsetMs: 0 }, () => {});
  const process = newProcess();
  return { events, disk, process, port: disk.openFor(process), newProcess };
}

const bytes = (count: number, value: number) => new Uint8Array(count).fill(value);

function appended(
  port: Disk,
  events: EventQueue,
  path: string,
  data: Uint8Array,
  isSynced: boolean,
): string[] {
  const results: string[] = [];
  const file = port.open(path);
  file.write(port.read(path)?.length ?? 0, data, (error) => {
    results.push(error?.message ?? "appended");
    if (isSynced) file.sync((failed) => results.push(failed?.message ?? "synced"));
  });
  events.runUntil(events.now + 1000);
  return results;
}

test("a process that dies loses nothing it has appended; what was synced outlives a power cut", () => {
  for (let seed = 0; seed < 50; seed++) {
    const { disk, events, process, port, newProcess } = opened(seed);
    appended(port, events, "a/log", bytes(2000, 1), true);
    appended(port, events, "a/log", bytes(2000, 2), false);
    process.kill();
    const second = disk.openFor(newProcess());
    expect(second.read("a/log")).toHaveLength(4000);
    disk.cutPower();
    const left = second.read("a/log") ?? bytes(0, 0);
    expect([...left.subarray(0, 2000)].every((byte) => byte === 1)).toBe(true);
    expect(left.length).toBeLessThanOrEqual(4000);
    expect([...left.subarray(2000)].every((byte) => byte === 2 || byte === 0)).toBe(true);
  }
});

test("power cuts leave all, nothing, a part, and torn sectors of what was not synced", () => {
  const fates = new Set<string>();
  for (let seed = 0; seed < 100; seed++) {
    const { disk, events, port } = opened(seed);
    appended(port, events, "log", bytes(1, 1), true);
    appended(port, events, "log", bytes(5000, 2), false);
    disk.cutPower();
    const left = port.read("log") ?? bytes(0, 0);
    if (left.includes(0)) fates.add("torn");
    else fates.add(left.length === 5001 ? "all" : left.length === 1 ? "nothing" : "part");
  }
  expect([...fates].sort()).toEqual(["all", "nothing", "part", "torn"]);
});

test("a failed sync makes nothing durable, a full disk takes nothing, and both say so", () => {
  const { disk, events, port } = opened();
  disk.faults.syncsFailing = 1;
  const [, synced] = appended(port, events, "log", bytes(10, 1), true);
  expect(synced).toContain("EIO");
  disk.faults.isFull = true;
  expect(appended(port, events, "log", bytes(10, 1), false)[0]).toContain("ENOSPC");
  expect(() => port.replaceNow("small", bytes(1, 1))).toThrow("ENOSPC");
  expect(port.read("log")).toHaveLength(10);
  const free: (number | undefined)[] = [];
  port.freeBytes((room) => free.push(room));
  events.runUntil(events.now + 100);
  disk.faults.isFull = false;
  port.freeBytes((room) => free.push(room));
  events.runUntil(events.now + 100);
  expect(free).toEqual([0, 2 ** 30]);
});

test("what a failed sync has dropped reads well, is not saved by later syncs, and is gone after a power cut", () => {
  for (let seed = 0; seed < 20; seed++) {
    const { disk, events, port } = opened(seed);
    appended(port, events, "log", bytes(1024, 1), true);
    disk.faults.syncsFailing = 1;
    appended(port, events, "log", bytes(1024, 2), true);
    appended(port, events, "log", bytes(1024, 3), true);
    expect([...(port.read("log") ?? [])].filter((byte) => byte === 2)).toHaveLength(1024);
    disk.cutPower();
    const left = [...(port.read("log") ?? [])];
    expect(left).toEqual([...bytes(1024, 1), ...bytes(1024, 0), ...bytes(1024, 3)]);
  }
});

test("operations complete in order, also over a stall", () => {
  const { disk, events, port } = opened();
  disk.faults.stalledUntil = 500;
  const file = port.open("log");
  const done: string[] = [];
  for (const name of ["a", "b", "c"])
    file.write(0, bytes(1, 1), () => done.push(`${name} ${events.now >= 500}`));
  events.runUntil(499);
  expect(done).toEqual([]);
  events.runUntil(600);
  expect(done).toEqual(["a true", "b true", "c true"]);
});

test("bit rot changes one bit of a file that is meant, and leaves the last write alone", () => {
  const { disk, events, port } = opened();
  for (const path of ["a", "b"]) {
    const file = port.open(path);
    file.write(0, bytes(100, 0), () => {});
    file.write(10, bytes(90, 0), () => {});
  }
  events.runUntil(events.now + 1000);
  for (let seed = 1; seed <= 20; seed++)
    expect(disk.rot(seededPrng(seed), (path) => path === "b")).toBe(true);
  expect(port.read("a")?.some((byte) => byte !== 0)).toBe(false);
  expect(port.read("b")?.some((byte) => byte !== 0)).toBe(true);
  expect(port.read("b")?.findLastIndex((byte) => byte !== 0)).toBeLessThan(10);
  expect(disk.rot(seededPrng(1), () => false)).toBe(false);
});
