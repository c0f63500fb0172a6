/** A few seconds of the fuzzer of test/fuzz; `npm run fuzz` runs it for longer and against a real node too. */

import { expect, test } from "vitest";
import { play, stepsOf } from "../fuzz/episode.ts";
import { shrink } from "../fuzz/shrink.ts";
import type { Step } from "../fuzz/steps.ts";

test("150 fuzzed episodes: no crash, no hang, nothing left behind, known mistakes answered as the specification wants", () => {
  for (let episode = 0; episode < 150; episode++) {
    expect({ episode, failure: play(stepsOf(1, episode)) }).toEqual({ episode, failure: undefined });
  }
}, 60_000);

test("an episode is the same each time it is drawn, and another one for each number", () => {
  expect(stepsOf(3, 7)).toEqual(stepsOf(3, 7));
  expect(stepsOf(3, 7)).not.toEqual(stepsOf(3, 8));
});

test("the fuzzer notices an answer that is not what the specification wants", () => {
  const wrong: Step = {
    kind: "wrong",
    client: 0,
    what: "PINGREQ",
    bytes: Uint8Array.of(0xc0, 0),
    reasonCode: 0x81,
  };
  const hello = new Uint8Array(Buffer.from("100e00044d5154540502000000000161", "hex"));
  const steps: Step[] = [
    { kind: "open", client: 0, version: 5 },
    { kind: "bytes", client: 0, chunks: [hello], isOrderly: true },
    wrong,
  ];
  expect(play(steps)?.complaint).toBe("PINGREQ: the connection goes on");
});

test("a failure is shortened to the steps that it takes", () => {
  const steps: Step[] = Array.from({ length: 40 }, (_, ms) => ({ kind: "pass", ms }));
  const takes = (step: Step): boolean => step.kind === "pass" && (step.ms === 11 || step.ms === 30);
  const fails = (left: readonly Step[]) =>
    left.filter(takes).length === 2
      ? { complaint: `it fails with ${left.length} steps`, step: undefined }
      : undefined;
  const failure = fails(steps);
  expect(failure).toBeDefined();
  if (failure !== undefined) expect(shrink(steps, failure, fails).steps).toEqual(steps.filter(takes));
});
