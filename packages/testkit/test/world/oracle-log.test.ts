import { expect, test } from "vitest";
import { OracleLog } from "../../src/world/oracle-log.ts";

test("the first to apply an index fixes it, until a blackout", () => {
  const log = new OracleLog();
  log.applied(7, 2, 100);
  log.applied(7, 2, 200);
  expect(log.hashAt(7)).toBe(100);
  log.beginAnew();
  log.applied(7, 3, 300);
  expect([log.hashAt(7), log.hashAt(8)]).toEqual([300, 0]);
});

test("what a node applies once more from before a blackout gives way to what the others commit there", () => {
  const log = new OracleLog();
  log.beginAnew();
  log.applied(7, 2, 100);
  log.applied(7, 3, 300);
  log.applied(7, 2, 100);
  expect(log.hashAt(7)).toBe(300);
});
