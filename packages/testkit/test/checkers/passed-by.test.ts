import { expect, test } from "vitest";
import { DurableLoss } from "../../src/checkers/durable-loss.ts";
import { PassedBy } from "../../src/checkers/passed-by.ts";
import { Wills } from "../../src/checkers/wills.ts";
import type { Observation, PassedSession } from "../../src/observations.ts";
import {
  acked,
  check,
  connected,
  connecting,
  delivered,
  disconnected,
  end,
  published,
  quorate,
  seen,
  started,
} from "../support/history.ts";

const QUEUED_MAX = 100;

const passes = (
  at: number,
  client: string,
  payloadId: string,
  queued: PassedSession["queued"] = QUEUED_MAX,
) => seen(at, "applied", { node: "A", index: 1, term: 1, hash: 0, passed: [{ client, payloadId, queued }] });
const sent = (at: number, qos: 1 | 2 = 1) => published(at, "pub", "A", { payloadId: "m1", qos });
const told = (at: number, reasonCode: number) =>
  seen(at, "publishAcked", { client: "pub", node: "A", payloadId: "m1", reasonCode });

/** A publisher on A; two kept sessions on B that want everything. */
const BEGIN: readonly Observation[] = [
  ...started(0, "A", "B"),
  ...quorate(50, "A", "B"),
  connecting(90, "pub", "A"),
  connected(100, "pub", "A"),
  ...["one", "two"].flatMap((client) => [
    connecting(90, client, "B"),
    connected(100, client, "B"),
    seen(150, "subscribeSent", { client, node: "B", filter: "#", qos: 1 }),
    seen(200, "subscribeAcked", { client, node: "B", filter: "#", qos: 1 }),
  ]),
];

test.each([0, 0x97])(
  "[P5] what passes a session by is owed to all others, whatever its publisher hears: 0x%i",
  (code) => {
    const history = [...BEGIN, sent(20_000), passes(20_005, "one", "m1"), told(20_010, code)];
    check(new DurableLoss("replicated"), [...history, delivered(20_020, "two", "m1"), end(90_000)]);
    expect(() => check(new DurableLoss("replicated"), [...history, end(90_000)])).toThrow(
      /never came to two-1/,
    );
    const uncounted = [...BEGIN, sent(20_000), told(20_010, 0), delivered(20_020, "two", "m1"), end(90_000)];
    expect(() => check(new DurableLoss("replicated"), uncounted)).toThrow(/never came to one-1/);
  },
);

test("[P9] a will that passes a session by is owed to all others", () => {
  const will = { topic: "will", payloadId: "will-1", qos: 1, retain: false, delaySeconds: 0 } as const;
  const history = [
    ...BEGIN,
    connecting(1000, "dev", "A", { will }),
    connected(1010, "dev", "A"),
    end(7000),
    disconnected(10_000, "dev"),
    passes(10_010, "one", "will-1"),
  ];
  check(new Wills("replicated"), [...history, delivered(10_020, "two", "will-1"), end(200_000)]);
  expect(() => check(new Wills("replicated"), [...history, end(200_000)])).toThrow(/two/);
});

test("nobody is passed by who has room; of one whose session is over nobody knows", () => {
  for (const queued of [QUEUED_MAX, undefined])
    check(new PassedBy(QUEUED_MAX), [...BEGIN, sent(20_000), passes(20_005, "one", "m1", queued)]);
  const early = [...BEGIN, sent(20_000), passes(20_005, "one", "m1", QUEUED_MAX - 1)];
  expect(() => check(new PassedBy(QUEUED_MAX), early)).toThrow(/m1 has passed one by, which is owed 99/);
});

test("a publisher that can be told is told; one of 3.x, of QoS 2, that has sent again, or that heard before, need not be", () => {
  const passed = passes(20_005, "one", "m1");
  expect(() => check(new PassedBy(QUEUED_MAX), [sent(20_000), passed, told(20_010, 0)])).toThrow(/not told/);
  check(new PassedBy(QUEUED_MAX), [sent(20_000), passed, told(20_010, 0x97)]);
  check(new PassedBy(QUEUED_MAX), [sent(20_000, 2), passed, told(20_010, 0)]);
  check(new PassedBy(QUEUED_MAX), [sent(20_000), passed, sent(20_008), acked(20_010, "pub", "m1")]);
  check(new PassedBy(QUEUED_MAX), [sent(20_000), told(20_003, 0), passed]);
  const restored = seen(20_006, "restored", { node: "A", index: 1, term: 1 });
  check(new PassedBy(QUEUED_MAX), [sent(20_000), passed, restored, told(20_010, 0)]);
  // Sent again after that, while a node that lags tells of the copy from before.
  check(new PassedBy(QUEUED_MAX), [sent(20_000), restored, sent(20_007), passed, told(20_010, 0)]);
  const untold = seen(20_010, "publishAcked", {
    client: "pub",
    payloadId: "m1",
    reasonCode: 0,
    isUntold: true,
  });
  check(new PassedBy(QUEUED_MAX), [sent(20_000), passed, untold]);
});

test("what a SUBSCRIBE does not get from the retained store was published before, and its publisher hears nothing of it", () => {
  const brought = (queued: number) => {
    const passed = [{ client: "one", payloadId: "m1", queued, isRetained: true }];
    return seen(20_005, "applied", { node: "A", index: 1, term: 1, hash: 0, passed });
  };
  check(new PassedBy(QUEUED_MAX), [sent(20_000), brought(QUEUED_MAX), told(20_010, 0)]);
  expect(() => check(new PassedBy(QUEUED_MAX), [sent(20_000), brought(QUEUED_MAX - 1)])).toThrow(/owed 99/);
});
