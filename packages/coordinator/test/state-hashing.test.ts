/** When replicas hash their state: at the same places everywhere. */

import type { MonotonicMs } from "@skein/kernel";
import { expect, test } from "vitest";
import { StateHashing } from "../src/replica/state-hashing.ts";

test("a state is hashed every hundred entries, once where the log stands still for ten seconds, and anew when it was replaced", () => {
  const told: number[] = [];
  const hashing = new StateHashing({ stateHash: () => "h" }, ({ index }) => told.push(index));
  for (let index = 1; index <= 105; index++) hashing.applied(index);
  expect(told).toEqual([100]);
  const looks = (from: number, through: number): void => {
    for (let at = from; at <= through; at += 1000) hashing.tick(105, at as MonotonicMs);
  };
  looks(0, 9000);
  expect(told).toEqual([100]);
  looks(10_000, 60_000);
  expect(told).toEqual([100, 105]);
  hashing.restored();
  looks(61_000, 70_000);
  expect(told).toEqual([100, 105, 105]);
});
