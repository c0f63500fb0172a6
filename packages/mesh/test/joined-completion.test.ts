import { SAFE_HERE_ONLY } from "@skein/kernel";
import { expect, test } from "vitest";
import { JoinedCompletion } from "../src/forwarding/joined-completion.ts";

test.each([
  ["all are safe", [0, 0], 0],
  ["one is safe on one node alone", [SAFE_HERE_ONLY, 0], SAFE_HERE_ONLY],
  ["one is safe on one node alone, another one is refused", [0x97, SAFE_HERE_ONLY], 0x97],
] as const)("the worst of several parts is told: %s", (_, parts, whole) => {
  const heard: number[] = [];
  const joined = new JoinedCompletion({ settle: (reasonCode) => heard.push(reasonCode) });
  joined.expect(parts.length);
  for (const part of parts) joined.settle(part);
  expect(heard).toEqual([]);
  joined.release();
  expect(heard).toEqual([whole]);
});
