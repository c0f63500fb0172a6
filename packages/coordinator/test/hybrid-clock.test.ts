/** The hybrid logical clock: never back, never far ahead, whatever the wall clock says. */

import * as fc from "fast-check";
import { expect, test } from "vitest";
import { HybridClock, STAMP_MAX, STAMPS_PER_MS, stampAfter } from "../src/hybrid-clock.ts";

const NOW_2026 = 1_790_000_000_000;
const TEN_YEARS = 10 * 365 * 24 * 3_600_000;

/** What can happen to a clock between two stamps. */
const steps = fc.array(
  fc.record({
    passes: fc.integer({ min: 0, max: 100_000 }),
    wall: fc.option(
      fc.constantFrom(0, 1, NOW_2026 - TEN_YEARS, NOW_2026, NOW_2026 + TEN_YEARS, Number.MAX_SAFE_INTEGER),
      { nil: undefined },
    ),
    seen: fc.option(fc.nat({ max: NOW_2026 * STAMPS_PER_MS }), { nil: undefined }),
    stamps: fc.integer({ min: 0, max: 5 }),
  }),
  { maxLength: 30 },
);

test("stamps only grow, whatever the wall clock and the others' stamps do", () => {
  fc.assert(
    fc.property(steps, (history) => {
      const clock = new HybridClock();
      let now = 0;
      let last = 0;
      for (const { passes, wall, seen, stamps } of history) {
        now += passes;
        if (wall !== undefined) clock.adoptWall(wall, now);
        if (seen !== undefined) clock.observe(seen, now);
        for (let i = 0; i < stamps; i++) {
          const stamp = clock.next(now);
          expect(stamp).toBeGreaterThan(last);
          expect(Number.isSafeInteger(stamp)).toBe(true);
          last = stamp;
        }
      }
    }),
  );
});

test("the clock is ahead of the newest thing it was told by the time that has passed since, and a count", () => {
  fc.assert(
    fc.property(steps, (history) => {
      const clock = new HybridClock();
      let now = 0;
      let count = 0;
      // The furthest that any of what it was told has come by now.
      let furthest = 0;
      for (const { passes, wall, seen, stamps } of history) {
        now += passes;
        furthest += passes * STAMPS_PER_MS;
        if (wall !== undefined && wall * STAMPS_PER_MS <= STAMP_MAX)
          furthest = Math.max(furthest, wall * STAMPS_PER_MS);
        if (wall !== undefined) clock.adoptWall(wall, now);
        if (seen !== undefined) furthest = Math.max(furthest, seen);
        if (seen !== undefined) clock.observe(seen, now);
        for (let i = 0; i < stamps; i++) {
          count++;
          expect(clock.next(now)).toBeLessThanOrEqual(furthest + count);
        }
      }
    }),
  );
});

test("a clock that starts in 1970 goes on from what the cluster has, at the right rate", () => {
  const clock = new HybridClock();
  clock.observe(NOW_2026 * STAMPS_PER_MS, 1000);
  clock.adoptWall(5000, 4000);
  expect(clock.next(4000)).toBe((NOW_2026 + 3000) * STAMPS_PER_MS);
});

test("after a jump of ten years ahead and back, the time between two writes is right again", () => {
  const clock = new HybridClock();
  clock.adoptWall(NOW_2026 + TEN_YEARS, 0);
  const first = clock.next(0);
  clock.adoptWall(NOW_2026, 1000);
  const second = clock.next(60_000);
  expect(second - first).toBe(60_000 * STAMPS_PER_MS);
});

test("nothing later than the year 2248 is believed, and stamps stay exact", () => {
  const clock = new HybridClock();
  clock.adoptWall(Number.MAX_SAFE_INTEGER, 0);
  clock.observe(Number.MAX_SAFE_INTEGER, 0);
  expect(clock.estimate(0)).toBe(0);
  expect(stampAfter(7, 3)).toBe(8);
  expect(stampAfter(7, 30)).toBe(30);
  expect(stampAfter(STAMP_MAX, STAMP_MAX)).toBe(STAMP_MAX);
});
