import { expect, test } from "vitest";
import { FlushTimes } from "../src/journal/flush-times.ts";

const times = (): FlushTimes => new FlushTimes(undefined);

test("the slowest hundredth decides, within a factor of two; too few flushes say nothing", () => {
  const few = times();
  for (let i = 0; i < 19; i++) few.add(5);
  expect(few.p99Ms).toBe(0);
  few.add(5);
  expect(few.p99Ms).toBe(8);
  const many = times();
  for (let i = 0; i < 400; i++) many.add(i % 50 === 0 ? 300 : 3);
  expect(many.p99Ms).toBe(512);
  const rare = times();
  for (let i = 0; i < 400; i++) rare.add(i === 7 ? 300 : 3);
  expect(rare.p99Ms).toBe(4);
  const quick = times();
  for (let i = 0; i < 400; i++) quick.add(0.2);
  expect(quick.p99Ms).toBe(1);
});

test("a disk that recovers is trusted again, and any number of flushes is counted in the same room", () => {
  const disk = times();
  for (let i = 0; i < 1000; i++) disk.add(900);
  expect(disk.p99Ms).toBe(1024);
  for (let i = 0; i < 4000; i++) disk.add(2);
  expect(disk.p99Ms).toBe(4);
  for (let i = 0; i < 100_000; i++) disk.add(1e9);
  expect(disk.p99Ms).toBe(2 ** 15);
});
