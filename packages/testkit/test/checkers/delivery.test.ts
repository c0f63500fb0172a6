import type { QoS } from "@skein/kernel";
import { expect, test } from "vitest";
import { AcknowledgedLoss } from "../../src/checkers/acknowledged-loss.ts";
import { ExactlyOnce } from "../../src/checkers/exactly-once.ts";
import { InterestConvergence } from "../../src/checkers/interest-convergence.ts";
import { Liveness } from "../../src/checkers/liveness.ts";
import { PublishOrder } from "../../src/checkers/publish-order.ts";
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
  healed,
  published,
  quorate,
  seen,
  started,
  subscribed,
} from "../support/history.ts";

/** Three nodes, a publisher on A, a subscriber on B, everything settled at 20 s. */
const BEGIN: readonly Observation[] = [
  ...started(0, "A", "B", "C"),
  connected(100, "pub", "A"),
  connected(100, "sub", "B"),
  subscribed(200, "sub", "t", 1),
];
const crash = (at: number, node: string) => seen(at, "stopped", { node, how: "crash" });
const belongs = (node: string, to: string) => seen(19_000, "belongs", { node, to });
const disturbed = (at: number, ...nodes: string[]) => seen(at, "disturbed", { nodes });
const calmed = (at: number, ...nodes: string[]) => seen(at, "calmed", { nodes });
const REPEATED = published(40_000, "pub", "A", { payloadId: "m1" });
const M1 = published(20_000, "pub", "A", { payloadId: "m1" });

test("[P5] acknowledged loss accepts delivery, whoever crashes after the acknowledgement", () => {
  check(new AcknowledgedLoss(), [
    ...BEGIN,
    M1,
    acked(20_010, "pub", "m1"),
    crash(20_011, "A"),
    delivered(20_500, "sub", "m1"),
    end(60_000),
  ]);
});

test.each<[string, readonly Observation[]]>([
  ["it was never acknowledged", [M1]],
  ["it was refused", [M1, acked(20_010, "pub", "m1", 0x97)]],
  [
    "its node is of another cluster",
    [belongs("A", "one"), belongs("B", "two"), M1, acked(20_010, "pub", "m1")],
  ],
  [
    "it unsubscribed",
    [M1, acked(20_010, "pub", "m1"), seen(20_011, "unsubscribeSent", { client: "sub", filter: "t" })],
  ],
  [
    "the SUBACK of what it gave up came late",
    [
      seen(15_000, "unsubscribeSent", { client: "sub", filter: "t" }),
      subscribed(15_001, "sub", "t"),
      M1,
      acked(20_010, "pub", "m1"),
    ],
  ],
  ["the subscriber left", [M1, acked(20_010, "pub", "m1"), disconnected(20_020, "sub")]],
  ["the subscriber's node died", [M1, acked(20_010, "pub", "m1"), crash(20_011, "B")]],
  [
    "the node was out of reach",
    [disturbed(19_000, "B"), M1, acked(20_010, "pub", "m1"), calmed(30_000, "B")],
  ],
  ["it was paused", [seen(19_000, "stopped", { node: "B", how: "pause" }), M1, acked(28_000, "pub", "m1")]],
  [
    "it came long ago, and its publisher has not heard of it",
    [
      disturbed(19_000, "B"),
      M1,
      delivered(20_100, "sub", "m1"),
      calmed(21_000, "B"),
      REPEATED,
      acked(40_010, "pub", "m1"),
    ],
  ],
  ["the publish was QoS 0", [published(20_000, "pub", "A", { payloadId: "m0", qos: 0 })]],
])("[P5] acknowledged loss owes nothing: %s", (_name, history) => {
  check(new AcknowledgedLoss(), [...BEGIN, ...history, end(90_000)]);
});

test.each<[string, readonly Observation[]]>([
  ["acknowledged and never delivered", []],
  ["the publisher's node crashes after the acknowledgement", [crash(20_011, "A")]],
  ["delivered to somebody else only", [connected(20_020, "other", "C"), delivered(20_030, "other", "m1")]],
])("[P5] acknowledged loss bites: %s", (_name, history) => {
  const together = [belongs("A", "one"), belongs("B", "one"), belongs("C", "two")];
  const whole = [...BEGIN, ...together, M1, acked(20_010, "pub", "m1"), ...history, end(60_000)];
  expect(() => check(new AcknowledgedLoss(), whole)).toThrow(/m1 of pub .* never came to sub on B/);
});

/** The publisher keeps its session, so its QoS 2 message goes through the log; the subscriber's node is out of reach meanwhile. */
function loggedWhileAway(forMs: number, ...meanwhile: readonly Observation[]): readonly Observation[] {
  return [
    ...BEGIN.slice(0, 3),
    ...quorate(50, "A", "B", "C"),
    connecting(90, "pub", "A"),
    ...BEGIN.slice(3),
    disturbed(19_000, "B"),
    published(20_000, "pub", "A", { payloadId: "m1", qos: 2 }),
    acked(20_010, "pub", "m1"),
    ...meanwhile,
    calmed(20_000 + forMs, "B"),
    end(20_000 + forMs + 30_000),
  ];
}

test("[P5] acknowledged loss bites: what went through the log does not come to a member that is back", () => {
  expect(() => check(new AcknowledgedLoss(), loggedWhileAway(30_000))).toThrow(
    /m1 of pub .* never came to sub on B/,
  );
});

test.each<[string, readonly Observation[]]>([
  ["it was away for too long", loggedWhileAway(50_000)],
  [
    "too much went through the log",
    loggedWhileAway(
      30_000,
      ...Array.from({ length: 600 }, (_, i) =>
        published(21_000 + i, "pub", "A", { payloadId: `later${i}`, qos: 2 }),
      ),
    ),
  ],
  [
    "a disk has lost its last second",
    loggedWhileAway(30_000, seen(20_100, "stopped", { node: "C", how: "power" })),
  ],
  [
    "its node had no quorum",
    loggedWhileAway(30_000).map((each) =>
      each.kind === "quorum" && each.node === "A" ? { ...each, isReached: false } : each,
    ),
  ],
])("[P5] acknowledged loss owes nothing to who was away: %s", (_name, history) => {
  check(new AcknowledgedLoss(), history);
});

test("[P4] acknowledged loss bites: a node that has just started lets publishers in before it knows who wants what", () => {
  const publish = published(30_002, "new", "D", { payloadId: "m2" });
  const history = [
    ...started(30_000, "D"),
    connected(30_001, "new", "D"),
    publish,
    acked(30_010, "new", "m2"),
  ];
  expect(() => check(new AcknowledgedLoss(), [...BEGIN, ...history, end(60_000)])).toThrow(/m2 of new/);
});

test("[P4] interest convergence accepts arrival within 5 s, and faults as an excuse", () => {
  check(new InterestConvergence(), [...BEGIN, M1, delivered(24_000, "sub", "m1"), end(60_000)]);
  const left = seen(20_011, "unsubscribeSent", { client: "sub", filter: "#" });
  check(new InterestConvergence(), [...BEGIN, M1, left, end(60_000)]);
  check(new InterestConvergence(), [...BEGIN, M1, crash(20_001, "B"), end(60_000)]);
  check(new InterestConvergence(), [...BEGIN, M1, disturbed(20_001, "A"), end(60_000)]);
  check(new InterestConvergence(), [
    ...BEGIN,
    published(20_000, "pub", "A", { payloadId: "m0", qos: 0 }),
    end(60_000),
  ]);
});

test("[P4] interest convergence bites: published after SUBACK on another node, and never arrived", () => {
  const history = [...BEGIN, subscribed(19_999, "sub", "x/#", 0), end(0)];
  const publish = published(20_000, "pub", "A", { payloadId: "m0", qos: 0, topic: "x/1" });
  const checker = new InterestConvergence({ countsQos0: true });
  expect(() => check(checker, [...history, publish, end(60_000)])).toThrow(/m0 on "x\/1" .* SUBACK at 19999/);
  expect(() => check(new InterestConvergence(), [...BEGIN, M1, end(60_000)])).toThrow(/m1 on "t"/);
});

/** A kept publisher whose QoS 2 messages go through the log. */
const KEEPING = [
  ...started(0, "A", "B", "C"),
  ...quorate(50, "A", "B"),
  connecting(100, "pub", "A", { expirySeconds: 60 }),
  connected(101, "pub", "A"),
  connected(100, "sub", "B"),
  subscribed(200, "sub", "t", 2),
  published(20_000, "pub", "A", { payloadId: "m2", qos: 2 }),
];

test("[P4] interest convergence gives what goes through the log 10 s, in which a node hears that there is no quorum", () => {
  check(new InterestConvergence(), [...KEEPING, delivered(29_000, "sub", "m2"), end(60_000)]);
  const without = seen(28_000, "quorum", { node: "B", isReached: false });
  check(new InterestConvergence(), [...KEEPING, without, end(60_000)]);
  expect(() => check(new InterestConvergence(), [...KEEPING, end(30_001)])).toThrow(/m2 on "t"/);
});

test("[P4] interest convergence waits for the log while a disk takes nothing and another voter is gone, not for one of both", () => {
  const full = seen(21_000, "disturbed", { nodes: ["C"] });
  const gone = seen(21_000, "stopped", { node: "D", how: "clean" });
  check(new InterestConvergence(), [...KEEPING, full, gone, end(60_000)]);
  for (const one of [full, gone])
    expect(() => check(new InterestConvergence(), [...KEEPING, one, end(60_000)])).toThrow(/m2 on "t"/);
});

test("[P6] exactly once accepts redelivery with DUP at QoS 1, repetition by the publisher, and a new session", () => {
  const again = published(21_000, "pub", "A", { payloadId: "m1" });
  check(new ExactlyOnce("replicated"), [
    ...BEGIN,
    M1,
    delivered(20_001, "sub", "m1"),
    delivered(20_002, "sub", "m1", { dup: true }),
    again,
    delivered(21_001, "sub", "m1"),
    connected(22_000, "sub", "C", "sub-2"),
    delivered(22_001, "sub", "m1"),
    delivered(22_002, "sub", "m1", { retain: true }),
  ]);
});

test.each<[string, 0 | 1 | 2]>([
  ["QoS 0", 0],
  ["QoS 1 without DUP", 1],
  ["QoS 2", 2],
])("[P6] exactly once bites: %s delivered twice in one session", (_name, qos) => {
  const publish = published(20_000, "pub", "A", { payloadId: "m", qos });
  const twice = [
    delivered(20_001, "sub", "m", { qos }),
    delivered(20_002, "sub", "m", { qos, dup: qos === 2 }),
  ];
  expect(() => check(new ExactlyOnce("replicated"), [...BEGIN, publish, ...twice])).toThrow(
    /for the 2. time/,
  );
});

/** `sub` gets `m` from `node`. */
function deliveredBy(node: string, at: number, qos: QoS): Observation {
  const packet = { topic: "t", payloadId: "m", qos, dup: false, retain: false };
  return seen(at, "delivered", { client: "sub", node, ...packet });
}

test("[P6] QoS 0 may come from each node that the client was connected to, once", () => {
  const from = (at: number, node: string) => deliveredBy(node, at, 0);
  const moved = [
    ...BEGIN,
    published(20_000, "pub", "A", { payloadId: "m", qos: 0 }),
    from(20_001, "B"),
    from(20_500, "C"),
  ];
  check(new ExactlyOnce("replicated"), moved);
  expect(() => check(new ExactlyOnce("replicated"), [...moved, from(20_501, "C")])).toThrow(
    /for the 2. time/,
  );
});

test("[P6] exactly once is not asked for where the node that had it first has lost the quorum since", () => {
  const history = (lost: string) => [
    ...BEGIN,
    ...quorate(300, "A", "B", "C"),
    published(20_000, "pub", "A", { payloadId: "m", qos: 2 }),
    published(21_000, "pub", "C", { payloadId: "m", qos: 2 }),
    delivered(21_010, "sub", "m", { qos: 2 }),
    acked(21_020, "pub", "m"),
    seen(22_000, "quorum", { node: lost, isReached: false }),
    delivered(25_000, "sub", "m", { qos: 2 }),
  ];
  check(new ExactlyOnce("replicated"), history("A"));
  expect(() => check(new ExactlyOnce("replicated"), history("C"))).toThrow(/for the 2. time/);
});

test("[P6] what was sent with DUP to a node that has put it into the log comes once in a connection, whatever the first node had", () => {
  const lost = (node: string) => seen(20_001, "quorum", { node, isReached: false });
  const history = (connects: number, node: string, ...more: readonly Observation[]) => [
    ...BEGIN,
    ...quorate(300, "A", "B", "C"),
    connecting(400, "pub", "A"),
    connecting(400, "sub", "B"),
    published(20_000, "pub", "A", { payloadId: "m", qos: 2 }),
    lost("A"),
    ...Array.from({ length: connects }, () => connecting(20_500, "pub", node, { connection: 2 })),
    published(21_000, "pub", node, { payloadId: "m", qos: 2 }),
    delivered(21_010, "sub", "m", { qos: 2 }),
    ...more,
    acked(21_020, "pub", "m"),
    delivered(25_000, "sub", "m", { qos: 2 }),
  ];
  const judge = (observations: readonly Observation[]) => check(new ExactlyOnce("replicated"), observations);
  expect(() => judge(history(1, "C"))).toThrow(/m \(QoS 2\) twice in one connection/);
  // What the first node has brought meanwhile waited for the connection between the two.
  judge(history(2, "C"));
  judge(history(1, "A"));
  judge(history(1, "C", lost("C")));
  judge(history(1, "C", connecting(21_015, "sub", "C", { connection: 2 })));
});

test("[P6] a node without a quorum sends a kept session once what the log had before, as long as it has none and its disk is whole", () => {
  const from = (at: number, node: string) => deliveredBy(node, at, 2);
  const quorum = (at: number, isReached: boolean) => seen(at, "quorum", { node: "B", isReached });
  const begin = [
    ...BEGIN,
    ...quorate(300, "A", "B", "C"),
    published(20_000, "pub", "A", { payloadId: "m", qos: 2 }),
    acked(20_010, "pub", "m"),
    quorum(21_000, false),
    connecting(21_500, "sub", "B", { connection: 2 }),
    from(22_000, "B"),
  ];
  const damaged = seen(23_000, "damaged", { node: "B", how: "power" });
  // There the handshake may have gone on to its end.
  const elsewhere = [connected(23_000, "sub", "C", "sub-1"), connected(24_000, "sub", "B", "sub-1")];
  for (const between of [[quorum(23_000, true), quorum(24_000, false)], [damaged], elsewhere])
    check(new ExactlyOnce("replicated"), [...begin, ...between, from(25_000, "B")]);
  expect(() =>
    check(new ExactlyOnce("replicated"), [...begin, crash(23_000, "B"), from(25_000, "B")]),
  ).toThrow(/again at 25000 ms from B/);
});

test("[P6] of two nodes the one with a quorum sends nobody again what the other has sent him, once that is heard again when he comes", () => {
  const history = (nodes: readonly string[], ...heal: readonly Observation[]) => [
    ...started(0, ...nodes),
    ...quorate(300, ...nodes),
    connected(400, "pub", "A"),
    published(20_000, "pub", "A", { payloadId: "m", qos: 2 }),
    acked(20_010, "pub", "m"),
    seen(21_000, "quorum", { node: "B", isReached: false }),
    connecting(21_500, "sub", "B"),
    connected(21_501, "sub", "B"),
    deliveredBy("B", 22_000, 2),
    ...heal,
    connecting(30_000, "sub", "A", { connection: 2 }),
    connected(30_500, "sub", "A", "sub-1", { isPresent: true, connection: 2 }),
    deliveredBy("A", 30_501, 2),
  ];
  const isBack = seen(29_900, "quorum", { node: "B", isReached: true });
  const isHeardNoMore = disturbed(29_950, "A", "B");
  const judge = (observations: readonly Observation[]) => check(new ExactlyOnce("replicated"), observations);
  expect(() => judge(history(["A", "B"], isBack))).toThrow(/for the 2. time/);
  judge(history(["A", "B"]));
  judge(history(["A", "B"], isBack, isHeardNoMore));
  // It may have no link to the one that he comes to yet.
  judge(history(["A", "B", "C"], isBack));
});

test("[P6] exactly once across a power cut of all nodes is for `disk` to keep, and of what comes after it for both", () => {
  const of = (at: number, payloadId: string) => [
    published(at, "pub", "A", { payloadId, qos: 2 }),
    delivered(at + 1, "sub", payloadId, { qos: 2 }),
  ];
  const again = (at: number, payloadId: string) => delivered(at, "sub", payloadId, { qos: 2, dup: true });
  const cut = [
    ...BEGIN,
    ...of(20_000, "m"),
    ...blackout(21_000, "A", "B", "C"),
    ...started(22_000, "A", "B", "C"),
    again(23_000, "m"),
  ];
  check(new ExactlyOnce("replicated"), cut);
  expect(() => check(new ExactlyOnce("disk"), cut)).toThrow(/for the 2. time/);
  const after = [...cut, ...of(24_000, "n"), again(24_002, "n")];
  expect(() => check(new ExactlyOnce("replicated"), after)).toThrow(/got n .* for the 2. time/);
});

test("[P6] exactly once bites: QoS 2 delivered again because the publisher repeated it, and a phantom", () => {
  const publish = published(20_000, "pub", "A", { payloadId: "m", qos: 2 });
  const twice = [
    delivered(20_001, "sub", "m", { qos: 2 }),
    publish,
    delivered(20_002, "sub", "m", { qos: 2 }),
  ];
  expect(() => check(new ExactlyOnce("replicated"), [...BEGIN, publish, ...twice])).toThrow(/sent 2 times/);
  expect(() => check(new ExactlyOnce("replicated"), [delivered(1, "sub", "ghost")])).toThrow(
    /nobody published/,
  );
});

const ONE = published(20_000, "pub", "A", { payloadId: "one" });
const TWO = published(20_010, "pub", "A", { payloadId: "two" });

test("[P7] publish order accepts order, late duplicates, and overtaking of what a lost session left behind", () => {
  check(new PublishOrder("replicated"), [
    ...BEGIN,
    ONE,
    TWO,
    delivered(20_020, "sub", "one"),
    delivered(20_021, "sub", "two"),
    delivered(20_022, "sub", "one", { dup: true }),
  ]);
  const other = connected(20_005, "pub", "C", "pub-2");
  check(new PublishOrder("replicated"), [
    ...BEGIN,
    ONE,
    other,
    TWO,
    delivered(20_020, "sub", "two"),
    delivered(20_021, "sub", "one"),
  ]);
});

test("[P7] a session that a node without a quorum has not heard of goes on at the next one", () => {
  const history = (hasQuorum: boolean) => [
    ...BEGIN,
    ...quorate(300, "A", "B", "C"),
    ONE,
    acked(20_003, "pub", "one"),
    TWO,
    acked(20_013, "pub", "two"),
    delivered(20_020, "sub", "one"),
    seen(21_000, "quorum", { node: "C", isReached: hasQuorum }),
    connecting(22_000, "sub", "C", { connection: 2 }),
    connected(22_001, "sub", "C", "sub-2", { connection: 2, isPresent: false }),
    delivered(22_010, "sub", "two"),
    connecting(22_012, "sub", "B", { connection: 3 }),
    connected(22_013, "sub", "B", "sub-2", { connection: 3, isPresent: true }),
    delivered(22_020, "sub", "one", { dup: true }),
  ];
  check(new PublishOrder("replicated"), history(false));
  expect(() => check(new PublishOrder("replicated"), history(true))).toThrow(/one of pub .* after two/);
});

test("[P7] a node without a quorum serves the session as it has it", () => {
  const history = (hasQuorum: boolean) => [
    ...BEGIN,
    ...quorate(300, "A", "B", "C"),
    ONE,
    TWO,
    delivered(20_020, "sub", "two"),
    seen(21_000, "quorum", { node: "C", isReached: hasQuorum }),
    connecting(22_000, "sub", "C", { connection: 2 }),
    connected(22_001, "sub", "C", "sub-1", { connection: 2, isPresent: true }),
    delivered(22_010, "sub", "one"),
    connecting(23_000, "sub", "B", { connection: 3 }),
    connected(23_001, "sub", "B", "sub-1", { connection: 3, isPresent: true }),
    delivered(23_010, "sub", "one", { dup: true }),
  ];
  check(new PublishOrder("replicated"), history(false));
  expect(() => check(new PublishOrder("replicated"), history(true))).toThrow(/one of pub .* after two/);
});

test("[P7] QoS 0 keeps its order on each way, from the publisher's node to the subscriber's", () => {
  const history = (node: string) => [
    ...BEGIN,
    published(20_000, "pub", "A", { payloadId: "one", qos: 0 }),
    published(20_010, "pub", node, { payloadId: "two", qos: 0 }),
    delivered(20_020, "sub", "two", { qos: 0 }),
    delivered(20_030, "sub", "one", { qos: 0 }),
  ];
  check(new PublishOrder("replicated"), history("C"));
  expect(() => check(new PublishOrder("replicated"), history("A"))).toThrow(/one of pub .* after two/);
});

test("[P7] publish order bites: a first delivery out of order, also across sessions if it was acknowledged before", () => {
  const swapped = [delivered(20_020, "sub", "two"), delivered(20_021, "sub", "one")];
  expect(() => check(new PublishOrder("replicated"), [...BEGIN, ONE, TWO, ...swapped])).toThrow(
    /one of pub .* after two/,
  );
  const moved = [ONE, acked(20_003, "pub", "one"), connected(20_005, "pub", "C", "pub-2"), TWO, ...swapped];
  expect(() => check(new PublishOrder("replicated"), [...BEGIN, ...moved])).toThrow(/one of pub/);
});

test("[P7] what has expired may come late with DUP, and only then", () => {
  const mayExpire = published(20_000, "pub", "A", { payloadId: "one", expirySeconds: 4 });
  const late = (dup: boolean) => [
    ...BEGIN,
    mayExpire,
    TWO,
    delivered(25_000, "sub", "two"),
    delivered(25_020, "sub", "one", { dup }),
  ];
  check(new PublishOrder("replicated"), late(true));
  expect(() => check(new PublishOrder("replicated"), late(false))).toThrow(/one of pub .* after two/);
});

const leader = (at: number) => seen(at, "leader", { node: "A", term: 3 });

test("liveness accepts a leader within 10 s and acknowledgements within 20 s of healing", () => {
  const lost = published(21_000, "gone", "B", { payloadId: "m2" });
  check(new Liveness(), [
    ...BEGIN,
    connected(20_000, "gone", "B"),
    M1,
    lost,
    disconnected(22_000, "gone"),
    healed(40_000),
    leader(49_000),
    acked(59_000, "pub", "m1"),
    end(90_000),
  ]);
});

test("liveness bites: no leader", () => {
  expect(() => check(new Liveness(), [...BEGIN, leader(1000), healed(40_000), end(50_001)])).toThrow(
    /no leader/,
  );
});

test("liveness bites: a held publish is not acknowledged, also after its client came back to its session", () => {
  const healing = [healed(40_000), leader(41_000)];
  expect(() => check(new Liveness(), [...BEGIN, M1, ...healing, end(60_001)])).toThrow(/m1 of pub/);
  const back = [disconnected(42_000, "pub"), end(62_001), connected(63_000, "pub", "C"), end(83_001)];
  expect(() => check(new Liveness(), [...BEGIN, M1, ...healing, ...back])).toThrow(/m1 of pub/);
});
