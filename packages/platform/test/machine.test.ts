import { existsSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { expect, test } from "vitest";
import { isWiredAddress, isWiredInterface, systemMachineName } from "../src/index.ts";

test("the machine's name is 16 hexadecimal digits and the same each time", () => {
  expect(systemMachineName()).toMatch(/^[0-9a-f]{16}$/);
  expect(systemMachineName()).toBe(systemMachineName());
});

test("a network interface without radio is a cable, one that does not exist is unknown", () => {
  expect(isWiredInterface("lo")).toBe(existsSync("/sys/class/net/lo") ? true : undefined);
  expect(isWiredInterface("skein-none0")).toBeUndefined();
});

test("an address stands for its interface, one of no interface for the first that has one", () => {
  const outer = Object.entries(networkInterfaces()).filter(([, entries]) =>
    entries?.some((one) => !one.internal),
  );
  const [name, entries] = outer[0] ?? [];
  const expected = name === undefined ? undefined : isWiredInterface(name);
  expect(isWiredAddress("0.0.0.0")).toBe(expected);
  expect(isWiredAddress(entries?.[0]?.address ?? "0.0.0.0")).toBe(expected);
});
