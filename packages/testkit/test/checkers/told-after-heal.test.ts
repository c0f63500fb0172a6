import { expect, test } from "vitest";
import { ToldAfterHeal } from "../../src/checkers/told-after-heal.ts";
import type { Observation } from "../../src/observations.ts";
import {
  blackout,
  check,
  connected,
  connecting,
  delivered,
  disconnected,
  published,
  quorate,
  seen,
  started,
} from "../support/history.ts";

const quorum = (at: number, node: string, isReached: boolean) => seen(at, "quorum", { node, isReached });
const given = (at: number, node: string, payloadId = "m"): Observation => ({
  ...delivered(at, "sub", payloadId, { qos: 2 }),
  node,
});
const sent = (at: number, node: string): Observation =>
  published(at, "pub", node, { payloadId: "m", qos: 2 });

/** B, alone, takes "m" and gives it to its subscriber. A has a quorum from 30 s on, B from 30.1 s on. */
const SPLIT: readonly Observation[] = [
  ...started(0, "A", "B"),
  ...quorate(300, "A", "B"),
  quorum(20_000, "A", false),
  quorum(20_000, "B", false),
  connecting(21_000, "sub", "B"),
  connected(21_010, "sub", "B", "s"),
  sent(22_000, "B"),
  given(22_010, "B"),
];
const HEAL: readonly Observation[] = [quorum(30_000, "A", true), quorum(30_100, "B", true)];
const LEFT = disconnected(30_150, "sub");
const comes = (at: number, ackedAt: number, session = "s"): Observation[] => [
  connecting(at, "sub", "A", { connection: 2 }),
  connected(ackedAt, "sub", "A", session, { connection: 2, isPresent: true }),
  given(ackedAt + 1, "A"),
];

const judge = (...parts: readonly (readonly Observation[])[]) =>
  check(new ToldAfterHeal("replicated"), parts.flat());

test("[P6] of two nodes the one that he comes to after a heal gives nobody again what he had from the one without a quorum", () => {
  const again = /sub got m \(QoS 2\) from A at \d+ ms, which it had from B at 22010 ms/;
  // The CONNECT must wait, and cannot have waited for long enough.
  expect(() => judge(SPLIT, HEAL, [LEFT], comes(30_200, 30_210))).toThrow(again);
  // The outbox is in the log.
  expect(() => judge(SPLIT, HEAL, [LEFT], comes(31_200, 32_500))).toThrow(again);
});

test.each<[string, readonly (readonly Observation[])[]]>([
  ["the CONNECT may have waited for as long as it does", [SPLIT, HEAL, [LEFT], comes(30_200, 30_800)]],
  ["its node has no quorum yet", [SPLIT, HEAL.slice(0, 1), [LEFT], comes(30_200, 30_210)]],
  ["it was sent before that had one", [SPLIT, HEAL.slice(0, 1), [LEFT], comes(30_050, 30_060)]],
  ["another session", [SPLIT, HEAL, [LEFT], comes(31_200, 31_210, "other")]],
  [
    "the handshake may have been under way when he left",
    [SPLIT, [disconnected(22_500, "sub")], HEAL, comes(31_200, 31_210)],
  ],
  [
    "the handshake may have been under way when the outbox went",
    [SPLIT.slice(0, -2), [sent(29_500, "B"), given(29_600, "B")], HEAL, [LEFT], comes(31_200, 31_210)],
  ],
  [
    "his node has stopped since",
    [
      SPLIT,
      [
        seen(25_000, "stopped", { node: "B", how: "crash" }),
        ...started(26_000, "B"),
        quorum(26_000, "B", false),
      ],
      HEAL,
      [LEFT],
      comes(31_200, 31_210),
    ],
  ],
  ["its publisher says it again", [SPLIT, HEAL, [LEFT, sent(30_160, "A")], comes(31_200, 31_210)]],
  [
    "he has been at another node and back",
    [
      SPLIT,
      [connecting(23_000, "sub", "A"), connecting(23_500, "sub", "B"), connected(23_510, "sub", "B", "s")],
      HEAL,
      [LEFT],
      comes(31_200, 31_210),
    ],
  ],
  ["of three nodes not all have links", [started(0, "C"), SPLIT, HEAL, [LEFT], comes(31_200, 31_210)]],
  ["a blackout", [SPLIT, blackout(23_000, "A", "B"), started(24_000, "A", "B"), HEAL, comes(31_200, 31_210)]],
])("[P6] exactly once after a heal does not judge: %s", (_, parts) => {
  judge(...parts);
});
