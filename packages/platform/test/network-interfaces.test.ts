import { expect, test } from "vitest";
import { systemBootMs } from "../src/machine/boot-time.ts";
import { systemInterface, systemMacs } from "../src/machine/network-interfaces.ts";

test("an interface is found by name, with its networks; one that does not exist is undefined", () => {
  expect(systemInterface("lo")?.addresses).toContainEqual({ address: "127.0.0.1", prefixLength: 8 });
  expect(systemInterface("nonexistent0")).toBeUndefined();
});

test("the Ethernet addresses are told once each, without that of loopback", () => {
  const macs = systemMacs();
  expect(new Set(macs).size).toBe(macs.length);
  expect(macs.every((mac) => /^([\da-f]{2}:){5}[\da-f]{2}$/.test(mac) && mac !== "00:00:00:00:00:00")).toBe(
    true,
  );
});

test.runIf(process.platform === "linux")(
  "the time since boot goes on with the monotonic clock while nobody sleeps",
  () => {
    const difference = (): number => (systemBootMs() ?? 0) - performance.timeOrigin - performance.now();
    const before = difference();
    const until = performance.now() + 50;
    while (performance.now() < until);
    expect(Math.abs(difference() - before)).toBeLessThan(30);
  },
);
