import { expect, test } from "vitest";
import { clockNotes, unsetClock } from "../src/status/wall-clock.ts";

const NOW = Date.UTC(2026, 11, 24);
const DAY_MS = 86_400_000;
const TEN_YEARS_MS = 3652 * DAY_MS;
const HARMLESS = "not a problem for the mesh; TLS clients may refuse";

/** The notes of pi1, whose clock shows `wallMs`, of the others that are so far ahead of it. */
function notes(wallMs: number, ...offsets: readonly number[]): readonly string[] {
  const others = offsets.map((offsetMs, at) => ({ id: `id${at + 2}`, name: `pi${at + 2}`, offsetMs }));
  return clockNotes("id1", wallMs, others).map(({ text }) => text);
}

test("R19, R30: a clock that was never set is said by its node from the start, alone too, with the next command", () => {
  expect(notes(0)).toEqual([
    `The clock of this node shows 1970-01-01: ${HARMLESS}. Set it: timedatectl set-ntp true`,
  ]);
  // Nobody else is blamed for it.
  expect(notes(0, NOW, NOW)).toHaveLength(1);
  expect(unsetClock(NOW)).toBeUndefined();
});

test("of three clocks the one that the other two contradict is off, be it this node's own", () => {
  expect(notes(NOW, 20, -3 * DAY_MS)).toEqual([
    `The clock of pi3 is 3 days behind: ${HARMLESS}. On pi3: timedatectl set-ntp true`,
  ]);
  expect(notes(NOW, TEN_YEARS_MS, -40)).toEqual([
    `The clock of pi2 is 3652 days ahead: ${HARMLESS}. On pi2: timedatectl set-ntp true`,
  ]);
  expect(notes(NOW, 3 * DAY_MS, 3 * DAY_MS + 50)).toEqual([
    `The clock of this node is 3 days behind: ${HARMLESS}. On this node: timedatectl set-ntp true`,
  ]);
});

test("of two clocks the later one counts as right, and the sentence says that it is one against the other", () => {
  expect(notes(NOW, -3 * DAY_MS)[0]).toContain("The clock of pi2 is 3 days behind that of this node");
  expect(notes(NOW, 3 * DAY_MS)[0]).toContain("The clock of this node is 3 days behind that of pi2");
});

test("clocks that are less than ten seconds apart are right", () => {
  expect(notes(NOW)).toEqual([]);
  expect(notes(NOW, 9999, -9000 + 9999)).toEqual([]);
  expect(notes(NOW, 10_000)).toHaveLength(1);
});
