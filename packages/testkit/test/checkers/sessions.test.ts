import { expect, test } from "vitest";
import { DurableLoss } from "../../src/checkers/durable-loss.ts";
import { ExactlyOnce } from "../../src/checkers/exactly-once.ts";
import { NoPhantom } from "../../src/checkers/no-phantom.ts";
import { OneConnection } from "../../src/checkers/one-connection.ts";
import { SessionPresent } from "../../src/checkers/session-present.ts";
import type { Observation } from "../../src/observations.ts";
import {
  acked,
  blackout,
  check,
  connected,
  connecting,
  delivered,
  disconnected,
  end,
  published,
  quorate,
  type Rest,
  seen,
  started,
} from "../support/history.ts";

const crash = (at: number, node: string) => seen(at, "stopped", { node, how: "crash" });
const disturbed = (at: number, ...nodes: string[]) => seen(at, "disturbed", { nodes });
const calmed = (at: number, ...nodes: string[]) => seen(at, "calmed", { nodes });
const inDoubt = (at: number, node: string) => seen(at, "quorum", { node, isReached: false });
const subscribing = (at: number, client: string, node: string, filter = "t") =>
  seen(at, "subscribeSent", { client, node, filter, qos: 1 });
const suback = (at: number, client: string, node: string, filter = "t") =>
  seen(at, "subscribeAcked", { client, node, filter, qos: 1 });
const ackedBy = (at: number, client: string, node: string, payloadId: string) =>
  seen(at, "publishAcked", { client, node, payloadId, reasonCode: 0 });
const arrives = (
  at: number,
  client: string,
  node: string,
  n: number,
  more: Partial<Rest<"connectSent">> = {},
) => connecting(at, client, node, { connection: n, ...more });
const accepted = (
  at: number,
  client: string,
  node: string,
  n: number,
  isPresent: boolean,
  session = "sub-1",
) => connected(at, client, node, session, { connection: n, isPresent });

/** Three nodes with a quorum, a publisher on A, a session on B whose client has just left. */
const BEGIN: readonly Observation[] = [
  ...started(0, "A", "B", "C"),
  ...quorate(50, "A", "B", "C"),
  connecting(90, "pub", "A"),
  connected(100, "pub", "A"),
  connecting(90, "sub", "B"),
  connected(100, "sub", "B"),
  subscribing(150, "sub", "B"),
  suback(200, "sub", "B"),
  disconnected(10_000, "sub"),
];
const M1 = published(20_000, "pub", "A", { payloadId: "m1" });
const BACK = [arrives(30_000, "sub", "C", 2), accepted(30_100, "sub", "C", 2, true)];

test("[P5] durable loss accepts what comes on another node, though two others have died", () => {
  check(new DurableLoss("replicated"), [
    ...BEGIN,
    M1,
    ackedBy(20_010, "pub", "A", "m1"),
    crash(20_011, "A"),
    crash(20_012, "B"),
    ...BACK,
    delivered(30_200, "sub", "m1"),
    end(90_000),
  ]);
});

test.each([1, 2] as const)(
  "[P5] what was sent to one of two clusters with QoS %d and acknowledged by both together",
  (qos) => {
    const belongs = (at: number, node: string, to: string): Observation => seen(at, "belongs", { node, to });
    const sent = (at: number) => published(at, "pub", "A", { payloadId: "m1", qos });
    const history = [
      ...BEGIN,
      belongs(19_000, "A", "two"),
      belongs(19_000, "B", "one"),
      sent(20_000),
      belongs(21_000, "A", "one"),
      sent(25_000),
      ackedBy(25_010, "pub", "A", "m1"),
      ...BACK,
      end(90_000),
    ];
    const judge = () => check(new DurableLoss("replicated"), history);
    // Of QoS 2 the acknowledgement may be that of the cluster that took it; with QoS 1 it is published again.
    if (qos === 2) judge();
    else expect(judge).toThrow(/m1 of pub .* never came to sub-1/);
  },
);

test.each<[string, readonly Observation[]]>([
  ["it was never acknowledged", [M1, ...BACK]],
  ["it was refused", [M1, acked(20_010, "pub", "m1", 0x97), ...BACK]],
  [
    "it was acknowledged without a quorum",
    [inDoubt(19_000, "A"), M1, ackedBy(20_010, "pub", "A", "m1"), ...quorate(20_020, "A"), ...BACK],
  ],
  [
    "it unsubscribed",
    [
      M1,
      ackedBy(20_010, "pub", "A", "m1"),
      ...BACK,
      seen(30_200, "unsubscribeSent", { client: "sub", filter: "#" }),
    ],
  ],
  [
    "Clean Start gave the session up",
    [
      M1,
      ackedBy(20_010, "pub", "A", "m1"),
      arrives(30_000, "sub", "C", 2, { isClean: true }),
      accepted(30_100, "sub", "C", 2, false, "sub-2"),
    ],
  ],
  [
    "the session may have expired",
    [
      arrives(11_000, "sub", "B", 2, { expirySeconds: 10 }),
      accepted(11_100, "sub", "B", 2, true),
      disconnected(12_000, "sub", { connection: 2 }),
      M1,
      ackedBy(20_010, "pub", "A", "m1"),
      arrives(30_000, "sub", "C", 3),
      accepted(30_100, "sub", "C", 3, false, "sub-2"),
    ],
  ],
  ["its client never comes back", [M1, ackedBy(20_010, "pub", "A", "m1")]],
  [
    "all nodes lost their power (replicated)",
    [
      M1,
      ackedBy(20_010, "pub", "A", "m1"),
      ...blackout(20_020, "A", "B", "C"),
      ...started(21_000, "A", "B", "C"),
      ...quorate(25_000, "A", "B", "C"),
      ...BACK,
    ],
  ],
])("[P5] durable loss owes nothing: %s", (_name, history) => {
  check(new DurableLoss("replicated"), [...BEGIN, ...history, end(100_000)]);
});

const LOST = [...BEGIN, M1, ackedBy(20_010, "pub", "A", "m1")];

test("[P5] durable loss bites: it never comes to a client that is back, at once or at the end", () => {
  const nothing = [...LOST, ...BACK, end(50_200)];
  expect(() => check(new DurableLoss("replicated"), nothing)).toThrow(/m1 of pub .* never came to sub-1/);
  const faulty = [...LOST, crash(20_011, "B"), disturbed(20_012, "A", "C"), ...BACK, end(40_000)];
  expect(() => check(new DurableLoss("replicated"), faulty)).toThrow(/never came to sub-1/);
});

test("[P5] durable loss bites: with a session that lost its subscription, though it was somebody else's delivery", () => {
  const history = [...LOST, ...BACK, delivered(30_200, "other", "m1"), end(60_000)];
  expect(() => check(new DurableLoss("replicated"), history)).toThrow(/never came to sub-1/);
});

test("[P6] exactly once holds across nodes: the same session elsewhere is the same session", () => {
  const publish = published(20_000, "pub", "A", { payloadId: "m", qos: 2 });
  const once = [...BEGIN, publish, ...BACK, delivered(30_200, "sub", "m", { qos: 2 })];
  check(new ExactlyOnce("replicated"), once);
  const again = [
    arrives(31_000, "sub", "A", 3),
    accepted(31_100, "sub", "A", 3, true),
    delivered(31_200, "sub", "m", { qos: 2, dup: true }),
  ];
  expect(() => check(new ExactlyOnce("replicated"), [...once, ...again])).toThrow(
    /for the 2. time in one session/,
  );
});

const ONCE = [
  ...BEGIN,
  published(20_000, "pub", "A", { payloadId: "m", qos: 2 }),
  ...BACK,
  delivered(30_200, "sub", "m", { qos: 2 }),
];
const AGAIN = [
  arrives(40_000, "sub", "A", 3),
  accepted(40_100, "sub", "A", 3, true),
  delivered(40_200, "sub", "m", { qos: 2, dup: true }),
];

test.each<[string, readonly Observation[]]>([
  ["its node could not tell the others that it had been sent", [inDoubt(30_300, "C"), ...AGAIN]],
  ["the node that took it lost its quorum before it acknowledged it", [inDoubt(30_300, "A"), ...AGAIN]],
])("[P6] exactly once accepts that a message comes again from the next node: %s", (_why, history) => {
  check(new ExactlyOnce("replicated"), [...ONCE, ...history]);
});

test("[P6] exactly once bites: the quorum is lost when the next node serves the client already, or after the acknowledgement", () => {
  const late = [...AGAIN.slice(0, 2), inDoubt(40_150, "C"), ...AGAIN.slice(2)];
  const acknowledged = [
    ackedBy(30_250, "pub", "A", "m"),
    inDoubt(30_300, "A"),
    ...quorate(39_000, "A"),
    ...AGAIN,
  ];
  for (const history of [late, acknowledged])
    expect(() => check(new ExactlyOnce("replicated"), [...ONCE, ...history])).toThrow(/2. time/);
});

test("[P6] exactly once bites: QoS 1 after a takeover without DUP", () => {
  const publish = published(20_000, "pub", "A", { payloadId: "m" });
  const history = [...BEGIN, publish, ...BACK, delivered(30_200, "sub", "m")];
  check(new ExactlyOnce("replicated"), [...history, delivered(31_200, "sub", "m", { dup: true })]);
  expect(() => check(new ExactlyOnce("replicated"), [...history, delivered(31_200, "sub", "m")])).toThrow(
    /2. time/,
  );
});

test("session present accepts the session anywhere, and a new one after Clean Start or expiry", () => {
  check(new SessionPresent("replicated"), [...BEGIN, ...BACK]);
  check(new SessionPresent("replicated"), [
    ...BEGIN,
    arrives(30_000, "sub", "C", 2, { isClean: true, expirySeconds: 5 }),
    accepted(30_100, "sub", "C", 2, false, "sub-2"),
    disconnected(31_000, "sub", { connection: 2 }),
    arrives(31_001 + 5000, "sub", "A", 3, { expirySeconds: 5 }),
    accepted(36_100, "sub", "A", 3, false, "sub-3"),
  ]);
});

test("session present counts the expiry of a session from when its node has missed the client", () => {
  const silent = [
    ...BEGIN,
    arrives(11_000, "sub", "B", 2, { expirySeconds: 5 }),
    accepted(11_100, "sub", "B", 2, true),
    disconnected(12_000, "sub", { connection: 2, how: "abandoned" }),
    seen(21_000, "connectionOver", { client: "sub", connection: 2, code: 0x8d }),
  ];
  const backAt = (at: number) => [arrives(at, "sub", "B", 3), accepted(at + 10, "sub", "B", 3, true)];
  // What a node that has started again tells of it is not when it was missed.
  const anew = [crash(13_000, "B"), ...started(13_500, "B"), ...quorate(13_600, "B")];
  check(new SessionPresent("replicated"), [
    ...silent.slice(0, -1),
    ...anew,
    ...silent.slice(-1),
    ...backAt(32_000),
  ]);
  check(new SessionPresent("replicated"), [...silent, ...backAt(25_000)]);
  expect(() => check(new SessionPresent("replicated"), [...silent, ...backAt(32_000)])).toThrow(
    /cannot be there/,
  );
});

test.each<[string, readonly Observation[]]>([
  ["the node had no quorum", [inDoubt(29_000, "C")]],
  ["its acknowledgement had been without a quorum", []],
])("session present excuses a session that is missing: %s", (_name, history) => {
  const begin = history.length > 0 ? BEGIN : BEGIN.filter(({ kind }) => kind !== "quorum");
  const back = [arrives(30_000, "sub", "C", 2), accepted(30_100, "sub", "C", 2, false, "sub-2")];
  check(new SessionPresent("replicated"), [...begin, ...history, ...back]);
});

/** It expires 20 s after 12 s, unless the mesh knows of the connection to C that lasts until 50 s. */
const PROLONGED: readonly Observation[] = [
  arrives(20_000, "sub", "C", 3, { expirySeconds: 20 }),
  accepted(20_100, "sub", "C", 3, true),
  disconnected(50_000, "sub", { connection: 3 }),
  arrives(52_000, "sub", "A", 4),
  accepted(52_100, "sub", "A", 4, false, "sub-2"),
];
const SHORT: readonly Observation[] = [
  ...BEGIN,
  arrives(11_000, "sub", "B", 2, { expirySeconds: 20 }),
  accepted(11_100, "sub", "B", 2, true),
  disconnected(12_000, "sub", { connection: 2 }),
];

test("session present takes no connection to a node without a quorum for one that prolongs a session, until that has one", () => {
  check(new SessionPresent("replicated"), [...SHORT, inDoubt(13_000, "C"), ...PROLONGED]);
  expect(() => check(new SessionPresent("replicated"), [...SHORT, ...PROLONGED])).toThrow(/no session on A/);
  const subscribedMeanwhile = [
    ...PROLONGED.slice(0, 2),
    ...quorate(21_000, "C"),
    subscribing(22_000, "sub", "C", "u"),
    suback(22_100, "sub", "C", "u"),
    ...PROLONGED.slice(2),
  ];
  expect(() =>
    check(new SessionPresent("replicated"), [...SHORT, inDoubt(13_000, "C"), ...subscribedMeanwhile]),
  ).toThrow(/no session on A/);
});

test("session present bites: an acknowledged session is not there", () => {
  const back = [arrives(30_000, "sub", "C", 2), accepted(30_100, "sub", "C", 2, false, "sub-2")];
  expect(() => check(new SessionPresent("replicated"), [...BEGIN, ...back])).toThrow(/no session on C/);
});

test.each<[string, readonly Observation[]]>([
  ["Clean Start", [arrives(30_000, "sub", "C", 2, { isClean: true }), accepted(30_100, "sub", "C", 2, true)]],
  ["there never was one", [arrives(30_000, "new", "C", 1), accepted(30_100, "new", "C", 1, true)]],
  [
    "it ended with its connection",
    [
      arrives(11_000, "sub", "B", 2, { expirySeconds: 0 }),
      accepted(11_100, "sub", "B", 2, true),
      disconnected(12_000, "sub", { connection: 2, how: "left" }),
      seen(12_010, "connectionOver", { client: "sub", connection: 2, code: undefined }),
      arrives(30_000, "sub", "C", 3),
      accepted(30_100, "sub", "C", 3, true),
    ],
  ],
  [
    "it has expired",
    [
      arrives(11_000, "sub", "B", 2, { expirySeconds: 20 }),
      accepted(11_100, "sub", "B", 2, true),
      disconnected(12_000, "sub", { connection: 2, how: "lost" }),
      arrives(100_000, "sub", "C", 3),
      accepted(100_100, "sub", "C", 3, true),
    ],
  ],
])("session present bites: a session that cannot be there (%s)", (_name, history) => {
  expect(() => check(new SessionPresent("replicated"), [...BEGIN, ...history])).toThrow(/cannot be there/);
});

const ABANDONED = [
  ...BEGIN,
  ...BACK,
  disconnected(40_000, "sub", { connection: 2, how: "abandoned" }),
  arrives(40_010, "sub", "A", 3),
  accepted(40_020, "sub", "A", 3, true),
];
const over = (at: number) => seen(at, "connectionOver", { client: "sub", connection: 2, code: 0x8e });

test("[P9] one connection accepts an older one that ends soon, or with its node", () => {
  check(new OneConnection(), [...ABANDONED, over(40_500), end(60_000)]);
  check(new OneConnection(), [...ABANDONED, crash(41_000, "C"), end(60_000)]);
  check(new OneConnection(), [...ABANDONED, disturbed(41_000, "C"), end(60_000)]);
  check(new OneConnection(), [
    ...ABANDONED,
    disturbed(41_000, "C"),
    calmed(60_000, "C"),
    over(62_000),
    end(80_000),
  ]);
  check(new OneConnection(), [...ABANDONED, inDoubt(41_000, "C"), end(60_000)]);
});

test("[P9] one connection owes nothing between two clusters, nor in the first moments after they have become one", () => {
  const belongs = (at: number, node: string, to: string) => seen(at, "belongs", { node, cluster: to, to });
  const apart = [belongs(0, "A", "one"), belongs(0, "C", "two"), ...ABANDONED];
  check(new OneConnection(), [...apart, end(60_000)]);
  const together = [...apart, belongs(60_000, "C", "one")];
  check(new OneConnection(), [...together, end(64_000)]);
  expect(() => check(new OneConnection(), [...together, end(66_000)])).toThrow(/connection 2 on C/);
});

test("[P9] one connection waits for a node whose replica is behind what the newer one's node had applied, and no longer", () => {
  const restored = (at: number, node: string, index: number) =>
    seen(at, "restored", { node, index, term: 1 });
  const behind = [restored(0, "A", 100), restored(0, "C", 99), ...ABANDONED];
  check(new OneConnection(), [...behind, ...[45, 50, 55].map((s) => end(s * 1000)), end(60_000)]);
  const filled = [...behind, end(50_000), restored(50_500, "C", 100)];
  check(new OneConnection(), [...filled, end(54_000)]);
  expect(() => check(new OneConnection(), [...filled, end(56_000)])).toThrow(/connection 2 on C/);
});

test("[P9] one connection bites: two nodes serve one client", () => {
  expect(() => check(new OneConnection(), [...ABANDONED, end(46_000)])).toThrow(
    /connection 2 on C .* 3 on A/,
  );
});

const OLD = [...BEGIN, M1, ackedBy(20_010, "pub", "A", "m1")];

test("no phantom accepts what a session is owed, and retained replays", () => {
  check(new NoPhantom("replicated"), [
    ...OLD,
    ...BACK,
    delivered(30_200, "sub", "m1"),
    arrives(40_000, "sub", "A", 3, { isClean: true }),
    accepted(40_010, "sub", "A", 3, false, "sub-2"),
    subscribing(40_020, "sub", "A"),
    delivered(40_030, "sub", "m1", { retain: true }),
  ]);
});

test("no phantom accepts that a session is found again which a node without a quorum did not have", () => {
  check(new NoPhantom("replicated"), [
    ...OLD,
    inDoubt(29_000, "C"),
    arrives(30_000, "sub", "C", 2, { expirySeconds: 60 }),
    accepted(30_010, "sub", "C", 2, false, "sub-2"),
    arrives(40_000, "sub", "A", 3, { expirySeconds: 60 }),
    accepted(40_010, "sub", "A", 3, true, "sub-2"),
    delivered(40_030, "sub", "m1"),
  ]);
});

test("no phantom accepts that a node without a quorum serves the session as it was before a clean start elsewhere", () => {
  const anew = [
    ...OLD,
    arrives(40_000, "sub", "A", 3, { isClean: true }),
    accepted(40_010, "sub", "A", 3, false, "sub-2"),
    subscribing(40_020, "sub", "A"),
    disconnected(41_000, "sub", { connection: 3 }),
  ];
  const back = (node: string) => [
    arrives(43_000, "sub", node, 4),
    accepted(43_010, "sub", node, 4, true, "sub-2"),
    delivered(43_030, "sub", "m1"),
  ];
  check(new NoPhantom("replicated"), [...anew, inDoubt(42_000, "C"), ...back("C")]);
  expect(() => check(new NoPhantom("replicated"), [...anew, inDoubt(42_000, "C"), ...back("B")])).toThrow(
    /before its session/,
  );
});

test("no phantom bites: a message of the session before it, of nobody's subscription, or expired", () => {
  const anew = [
    arrives(40_000, "sub", "A", 3, { isClean: true }),
    accepted(40_010, "sub", "A", 3, false, "sub-2"),
    subscribing(40_020, "sub", "A"),
  ];
  const phantom = () => new NoPhantom("replicated");
  expect(() => check(phantom(), [...OLD, ...anew, delivered(41_000, "sub", "m1")])).toThrow(
    /before its session/,
  );
  const strange = seen(41_000, "delivered", {
    client: "sub",
    topic: "x",
    payloadId: "m1",
    qos: 1,
    dup: false,
    retain: false,
  });
  expect(() => check(phantom(), [...OLD, ...BACK, strange])).toThrow(/never subscribed/);
  const brief = published(20_000, "pub", "A", { payloadId: "m2", expirySeconds: 5 });
  const expired = [
    ...BEGIN,
    brief,
    ackedBy(20_010, "pub", "A", "m2"),
    ...BACK,
    delivered(30_200, "sub", "m2"),
  ];
  expect(() => check(phantom(), expired)).toThrow(/had expired/);
});
