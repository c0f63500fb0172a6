import { seededPrng } from "@skein/kernel";
import { expect, test } from "vitest";

test("seededPrng() repeats its sequence for a seed and differs between seeds", () => {
  const draw = (seed: number): number[] => {
    const prng = seededPrng(seed);
    return Array.from({ length: 8 }, () => prng.below(1_000_000));
  };
  expect(draw(7)).toEqual(draw(7));
  expect(draw(7)).not.toEqual(draw(8));
});

test("seededPrng().below() stays in range and reaches every value", () => {
  const prng = seededPrng(1);
  const seen = new Set(Array.from({ length: 2000 }, () => prng.below(10)));
  expect([...seen].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});
