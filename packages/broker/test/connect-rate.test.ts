import type { MonotonicMs } from "@skein/kernel";
import { expect, test } from "vitest";
import { ConnectRate } from "../src/connection/connect-rate.ts";

const at = (ms: number): MonotonicMs => ms as MonotonicMs;

test("a burst comes in at once, then one for each interval; other addresses are not touched, ports do not count", () => {
  const rate = new ConnectRate(10, 5);
  const admitted = (address: string, ms: number, times: number) =>
    Array.from({ length: times }, (_, port) => rate.admits(`${address}:${port}`, at(ms))).filter(Boolean)
      .length;
  expect(admitted("192.0.2.1", 1_000, 20)).toBe(5);
  expect(admitted("192.0.2.1", 1_050, 20)).toBe(0);
  expect(admitted("[fd00::1]", 1_050, 20)).toBe(5);
  expect(admitted("192.0.2.1", 1_300, 20)).toBe(3);
  expect(admitted("192.0.2.1", 60_000, 20)).toBe(5);
});

test("programs on this machine are not counted, and 0 is no limit", () => {
  const rate = new ConnectRate(1, 1);
  for (const address of ["127.0.0.1:5", "127.8.8.8:5", "[::1]:5", "unix:/run/skein.sock"]) {
    for (let i = 0; i < 10; i++) expect(rate.admits(address, at(1_000))).toBe(true);
  }
  const free = new ConnectRate(0, 1);
  for (let i = 0; i < 10; i++) expect(free.admits("192.0.2.1:5", at(1_000))).toBe(true);
});

test("over days exactly the rate is let in, however often an address tries", () => {
  const rate = new ConnectRate(2, 10);
  let admitted = 0;
  for (let ms = 0; ms < 3_600_000; ms += 100) if (rate.admits("192.0.2.1:1", at(ms))) admitted++;
  expect(admitted).toBeGreaterThanOrEqual(7_200);
  expect(admitted).toBeLessThanOrEqual(7_210);
});
