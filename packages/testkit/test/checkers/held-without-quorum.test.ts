import { expect, test } from "vitest";
import { allCheckers } from "../../src/checkers/all-checkers.ts";
import { HeldWithoutQuorum } from "../../src/checkers/held-without-quorum.ts";
import { acked, check, seen } from "../support/history.ts";

const safeHereOnly = (at: number) =>
  seen(at, "publishAcked", {
    client: "pub",
    node: "A",
    payloadId: "m1",
    reasonCode: 0,
    isSafeHereOnly: true,
  });

test("[P5] with `hold` no acknowledgement may say that the message is safe on one node only", () => {
  check(new HeldWithoutQuorum(), [acked(1000, "pub", "m1")]);
  expect(() => check(new HeldWithoutQuorum(), [safeHereOnly(1000)])).toThrow(/acknowledged by A alone/);
});

test("with `outbox` nobody asks for that", () => {
  const isAsked = (onQuorumLoss?: "outbox" | "hold"): boolean =>
    allCheckers({ durability: "replicated", onQuorumLoss }).some((one) => one instanceof HeldWithoutQuorum);
  expect([isAsked(), isAsked("outbox"), isAsked("hold")]).toEqual([false, false, true]);
});
