import { expect, test } from "vitest";
import { hardwareOf, systemHardware } from "../src/machine/hardware.ts";

test("systemHardware() is the same at each call, 16 hexadecimal digits or nothing", () => {
  expect(systemHardware()).toMatch(/^([0-9a-f]{16})?$/);
  expect(systemHardware()).toBe(systemHardware());
});

test("the first number that is one tells machines apart; numbers of a whole model count as none", () => {
  const pi = hardwareOf(["10000000abcdef01", ""]);
  expect(pi).toMatch(/^[0-9a-f]{16}$/);
  expect(hardwareOf(["10000000abcdef02", ""])).not.toBe(pi);
  expect(hardwareOf(["", "4c4c4544-0042-3510-8052-b4c04f4d3132"])).toMatch(/^[0-9a-f]{16}$/);
  for (const none of [
    "",
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "03000200-0400-0500-0006-000700080009",
  ])
    expect(hardwareOf([none])).toBe("");
});
