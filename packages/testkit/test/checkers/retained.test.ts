import fc from "fast-check";
import { expect, test } from "vitest";
import { checkLinearizable, type Operation, type RegisterValue } from "../../src/checkers/linearizability.ts";
import { RetainedLinearizable } from "../../src/checkers/retained-linearizable.ts";
import type { Observation } from "../../src/observations.ts";
import { acked, blackout, check, end, published, seen, started } from "../support/history.ts";

const write = (value: RegisterValue, from: number, to: number): Operation => ({
  kind: "write",
  value,
  from,
  to,
});
const read = (value: RegisterValue, from: number, to: number): Operation => ({
  kind: "read",
  value,
  from,
  to,
});
const NEVER = Number.POSITIVE_INFINITY;

test.each<[string, Operation[]]>([
  ["nothing written", [read(null, 0, 1)]],
  ["written before", [write("a", 0, 1), read("a", 2, 3)]],
  ["a read during a write may see either", [write("a", 0, 10), read(null, 1, 2), read("a", 3, 4)]],
  [
    "concurrent writes in either order",
    [write("a", 0, 9), write("b", 1, 8), read("b", 10, 11), read("b", 12, 13)],
  ],
  ["deleted", [write("a", 0, 1), write(null, 2, 3), read(null, 4, 5)]],
  [
    "an unacknowledged write takes effect late",
    [write("a", 0, NEVER), write("b", 5, 6), read("b", 7, 8), read("a", 90, 91)],
  ],
  [
    "an unacknowledged deletion takes effect late",
    [write(null, 0, NEVER), write("b", 5, 6), read("b", 7, 8), read(null, 9, 10)],
  ],
  ["or never", [write("a", 0, NEVER), write(null, 1, NEVER), write("b", 5, 6), read("b", 7, 8)]],
  [
    "a write sent twice takes effect twice",
    [write("a", 0, NEVER), write("b", 1, 2), write("a", 3, 4), read("b", 3, 3.5), read("a", 5, 6)],
  ],
])("a register is linearizable: %s", (_name, history) => {
  expect(checkLinearizable(history, [null]).kind).toBe("linearizable");
});

test.each<[string, Operation[]]>([
  ["an acknowledged write is not seen", [write("a", 0, 1), read(null, 2, 3)]],
  ["an old value comes back", [write("a", 0, 1), write("b", 2, 3), read("a", 4, 5)]],
  ["a deleted value comes back", [write("a", 0, 1), write(null, 2, 3), read("a", 4, 5)]],
  [
    "two readers disagree about the order",
    [write("a", 0, 9), write("b", 0, 9), read("a", 10, 11), read("b", 12, 13)],
  ],
  ["a reader goes back in time", [write("a", 0, 10), read("a", 1, 2), read(null, 3, 4)]],
  ["read before it was written", [read("a", 0, 1), write("a", 2, 3)]],
  [
    "an unacknowledged write is undone",
    [write("a", 0, 1), write("b", 2, NEVER), read("b", 3, 4), read("a", 5, 6)],
  ],
  [
    "one deletion cannot delete twice",
    [write("a", 0, 1), write(null, 2, NEVER), read(null, 3, 4), write("b", 5, 6), read(null, 7, 8)],
  ],
])("a register is not linearizable: %s", (_name, history) => {
  expect(checkLinearizable(history, [null]).kind).toBe("violation");
});

test("histories made by a real register are linearizable; one wrong read at the end makes them not", () => {
  const step = fc.record({
    isWrite: fc.boolean(),
    early: fc.nat(30),
    late: fc.nat(30),
    isAcked: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      let value: RegisterValue = null;
      const history = steps.map(({ isWrite, early, late, isAcked }, i): Operation => {
        const at = i * 10;
        if (!isWrite) return read(value, at - early, at + late);
        value = i % 7 === 0 ? null : `v${i}`;
        return write(value, at - early, isAcked ? at + late : NEVER);
      });
      const after = steps.length * 10 + 100;
      const last = [write("z", after, after + 1), write("y", after + 2, after + 3)];
      expect(checkLinearizable([...history, ...last, read("y", after + 4, after + 5)], [null]).kind).toBe(
        "linearizable",
      );
      expect(checkLinearizable([...history, ...last, read("z", after + 4, after + 5)], [null]).kind).toBe(
        "violation",
      );
    }),
    { seed: 7, numRuns: 200 },
  );
});

/** By its definition: tries every order, and every choice of the writes that never returned. */
function isLinearizable(history: readonly Operation[], value: RegisterValue): boolean {
  if (history.every(({ to }) => to === NEVER)) return true;
  const firstReturn = Math.min(...history.map(({ to }) => to));
  return history.some((next, at) => {
    if (next.from > firstReturn || (next.kind === "read" && next.value !== value)) return false;
    return isLinearizable(history.toSpliced(at, 1), next.kind === "read" ? value : next.value);
  });
}

test("the search decides what the definition says, for histories small enough to try every order", () => {
  const operation = fc.record({
    kind: fc.constantFrom("read", "write"),
    value: fc.constantFrom(null, "a", "b", "c"),
    from: fc.nat(12),
    length: fc.nat(8),
    isAcked: fc.integer({ min: 0, max: 3 }),
  });
  let violations = 0;
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 7 }), (operations) => {
      const history = operations.map(({ kind, value, from, length, isAcked }): Operation => {
        const isOpen = kind === "write" && isAcked === 0;
        return { kind: kind as "read" | "write", value, from, to: isOpen ? NEVER : from + length };
      });
      const expected = isLinearizable(history, null);
      if (!expected) violations++;
      expect(checkLinearizable(history, [null]).kind === "linearizable").toBe(expected);
    }),
    { seed: 3, numRuns: 5000 },
  );
  expect(violations).toBeGreaterThan(1000);
});

test("hundreds of writes at the same time are decided, when few of them were read", () => {
  const waiting = Array.from({ length: 200 }, (_, i) => write(`w${i}`, i, 10_000 + i));
  const reads = Array.from({ length: 20 }, (_, i) => read(`w${i * 10}`, 2000 + i * 100, 2010 + i * 100));
  expect(checkLinearizable([...waiting, ...reads], [null]).kind).toBe("linearizable");
  const back = read("w10", 9000, 9010);
  expect(checkLinearizable([...waiting, ...reads, back], [null]).kind).toBe("violation");
});

const put = (at: number, payloadId: string, node = "A"): Observation =>
  published(at, `on-${node}`, node, { payloadId, retain: true });
const looked = (at: number, client: string, node: string, payloadId: string | null): Observation[] => [
  seen(at, "subscribeSent", { client, node, filter: "t" }),
  seen(at + 10, "retainedRead", { client, node, topic: "t", payloadId, askedAt: at }),
];
const NODES = [
  ...started(0, "A", "B", "C"),
  ...["A", "B", "C"].map((node) => seen(1, "restored", { node, index: 0, term: 0 })),
];

/** The node says that it answers without a quorum. */
const guessed = (at: number, client: string, node: string, payloadId: string | null): Observation[] => {
  const [asked, answered] = looked(at, client, node, payloadId) as [Observation, Observation];
  return [asked, seen(at + 5, "readUncertain", { node }), answered];
};

test("[P8] retained store accepts one order of all reads and writes on all nodes", () => {
  check(new RetainedLinearizable("replicated"), [
    ...NODES,
    put(20_000, "v1"),
    ...looked(20_010, "r", "B", null),
    ...looked(20_030, "r", "C", "v1"),
    ...looked(20_050, "r", "B", "v1"),
    acked(20_100, "on-A", "v1"),
    put(30_000, "-1"),
    acked(30_100, "on-A", "-1"),
    ...looked(30_100, "r", "C", null),
    end(60_000),
  ]);
});

test.each<[string, Observation[]]>([
  [
    "a replica that is a moment behind",
    [put(20_000, "v1"), acked(20_100, "on-A", "v1"), ...looked(20_200, "r", "B", null)],
  ],
  [
    "an uncommitted write is shown, and then what was before it",
    [put(20_000, "v1"), ...looked(20_100, "r", "A", "v1"), ...looked(20_200, "r", "B", null)],
  ],
  [
    "a deleted value comes back",
    [
      put(20_000, "v1"),
      acked(20_100, "on-A", "v1"),
      put(21_000, "-1"),
      acked(21_100, "on-A", "-1"),
      ...looked(21_200, "r", "B", "v1"),
    ],
  ],
  [
    "a node that guessed earlier, or another one that guesses, excuses nobody",
    [
      put(20_000, "v1"),
      acked(20_100, "on-A", "v1"),
      ...guessed(20_200, "q", "B", null),
      seen(21_000, "readUncertain", { node: "C" }),
      ...looked(21_000, "r", "B", null),
    ],
  ],
])("[P8] retained store bites: %s", (_name, history) => {
  expect(() => check(new RetainedLinearizable("replicated"), [...NODES, ...history])).toThrow(
    /no order explains/,
  );
});

test("[P8] a read asked while there were two clusters and answered when there is one is not judged; the next one is", () => {
  const belongs = (at: number, node: string, to: string): Observation => seen(at, "belongs", { node, to });
  const [asked] = looked(20_450, "slow", "B", null);
  const history = [
    ...NODES,
    ...["A", "B"].map((node) => belongs(10, node, "one")),
    belongs(10, "C", "two"),
    put(20_000, "v1"),
    acked(20_100, "on-A", "v1"),
    put(20_400, "v2"),
    acked(20_460, "on-A", "v2"),
    asked as Observation,
    belongs(20_500, "C", "one"),
    seen(20_700, "retainedRead", { client: "slow", node: "B", topic: "t", payloadId: "v1", askedAt: 20_450 }),
    ...looked(20_800, "r", "C", "v2"),
  ];
  check(new RetainedLinearizable("replicated"), [...history, end(60_000)]);
  const back = [...history, ...looked(20_900, "r", "A", "v1"), end(60_000)];
  expect(() => check(new RetainedLinearizable("replicated"), back)).toThrow(/no order explains/);
});

test("[P8] without a quorum: accepts a replica a moment behind, and what its own node has not committed", () => {
  check(new RetainedLinearizable("replicated"), [
    ...NODES,
    put(20_000, "v1"),
    ...guessed(21_000, "r", "A", "v1"),
    ...guessed(22_000, "q", "B", null),
    acked(30_000, "on-A", "v1"),
    ...guessed(30_200, "q", "B", null),
    seen(31_000, "disturbed", { nodes: ["C"] }),
    put(32_000, "v2"),
    acked(32_100, "on-A", "v2"),
    ...guessed(60_000, "r", "C", "v1"),
    seen(61_000, "calmed", { nodes: ["C"] }),
    ...guessed(62_000, "r", "C", "v1"),
    ...guessed(72_000, "r", "C", "v2"),
  ]);
});

test("[P8] without a quorum: a node that has just come may have no state yet, one that had it may not", () => {
  const written = [...NODES, put(20_000, "v1"), acked(20_100, "on-A", "v1"), ...started(21_000, "D")];
  check(new RetainedLinearizable("replicated"), [...written, ...guessed(40_000, "r", "D", null)]);
  const joined = [...written, seen(30_000, "restored", { node: "D", index: 9, term: 1 })];
  const late = [...joined, ...guessed(40_000, "r", "D", null)];
  expect(() => check(new RetainedLinearizable("replicated"), late)).toThrow(/is older than write/);
});

test("[P8] without a quorum: nothing is promised without a leader, and again some time after one is back", () => {
  const lease = (at: number, until: number) => seen(at, "lease", { node: "A", until });
  const written = [...NODES, lease(100, 25_000), put(20_000, "v1"), acked(20_100, "on-A", "v1")];
  check(new RetainedLinearizable("replicated"), [...written, ...guessed(40_000, "r", "B", null)]);
  const back = [...written, lease(41_000, 90_000), ...guessed(45_000, "r", "B", null)];
  check(new RetainedLinearizable("replicated"), back);
  const late = [...back, ...guessed(52_000, "r", "B", null)];
  expect(() => check(new RetainedLinearizable("replicated"), late)).toThrow(/is older than write/);
});

test.each<[string, Observation[]]>([
  [
    "an acknowledged value is lost",
    [put(20_000, "v1"), acked(20_100, "on-A", "v1"), ...guessed(35_000, "r", "B", null)],
  ],
  [
    "a deleted value comes back",
    [
      put(20_000, "v1"),
      acked(20_100, "on-A", "v1"),
      put(21_000, "-1"),
      acked(21_100, "on-A", "-1"),
      ...guessed(35_000, "r", "B", "v1"),
    ],
  ],
  [
    "the newest value is replaced by an older one",
    [
      put(20_000, "v1"),
      acked(20_100, "on-A", "v1"),
      put(21_000, "v2"),
      acked(21_100, "on-A", "v2"),
      ...guessed(35_000, "r", "B", "v2"),
      ...guessed(39_000, "r", "C", "v1"),
    ],
  ],
])("[P8] without a quorum: bites: %s", (_name, history) => {
  expect(() => check(new RetainedLinearizable("replicated"), [...NODES, ...history])).toThrow(
    /is older than write/,
  );
});

test("[P8] retained store bites: a healthy mesh whose nodes say again and again that no quorum answers", () => {
  const lease = seen(100, "lease", { node: "A", until: 900_000 });
  const reads = (count: number): Observation[] =>
    Array.from({ length: 40 }, (_, i) => {
      const at = 30_000 + i * 1000;
      return i < count ? guessed(at, "r", "B", null) : looked(at, "r", "B", null);
    }).flat();
  check(new RetainedLinearizable("replicated"), [...NODES, lease, ...reads(20)]);
  const often = [...NODES, lease, ...reads(21)];
  expect(() => check(new RetainedLinearizable("replicated"), often)).toThrow(
    /21 of 40 reads on a healthy mesh/,
  );
  const stopped = seen(29_000, "stopped", { node: "C", how: "crash" });
  check(new RetainedLinearizable("replicated"), [...NODES, lease, stopped, ...reads(21)]);
  // What is asked at one moment is one read.
  const atOnce = Array.from({ length: 40 }, () => guessed(75_000, "r", "B", null)).flat();
  check(new RetainedLinearizable("replicated"), [...NODES, lease, ...reads(19), ...atOnce]);
});

test("[P8] retained store: after a blackout of all nodes each topic may be what it ever was", () => {
  const history = [
    ...NODES,
    put(20_000, "v1"),
    acked(20_100, "on-A", "v1"),
    put(21_000, "v2"),
    acked(21_100, "on-A", "v2"),
    ...blackout(22_000, "A", "B", "C"),
    ...started(23_000, "A", "B", "C"),
    ...looked(40_000, "r", "B", "v1"),
  ];
  check(new RetainedLinearizable("replicated"), [...history, ...looked(45_000, "r", "C", "v1")]);
  const ghost = looked(45_000, "r", "C", "v3");
  expect(() => check(new RetainedLinearizable("replicated"), [...history, ...ghost])).toThrow(/nobody wrote/);
  const both = looked(45_000, "r", "C", "v2");
  expect(() => check(new RetainedLinearizable("replicated"), [...history, ...both])).toThrow(
    /no order explains/,
  );
});

test("[P8] retained store: what one node acknowledged alone before a blackout may come out of its outbox at any time behind it", () => {
  const early = {
    client: "on-A",
    node: "A",
    payloadId: "early",
    reasonCode: 0,
    isSafeHereOnly: true,
  } as const;
  const history = (acknowledgement: Observation): Observation[] => [
    ...NODES,
    put(20_000, "v1"),
    acked(20_100, "on-A", "v1"),
    put(21_000, "early"),
    acknowledgement,
    ...blackout(22_000, "A", "B", "C"),
    ...started(23_000, "A", "B", "C"),
    ...looked(40_000, "r", "B", "v1"),
    ...looked(45_000, "r", "C", "early"),
  ];
  check(new RetainedLinearizable("replicated"), history(seen(21_100, "publishAcked", early)));
  expect(() =>
    check(new RetainedLinearizable("replicated"), history(acked(21_100, "on-A", "early"))),
  ).toThrow(/no order explains/);
});

test("[P8] retained store bites: a value that nobody wrote to that topic", () => {
  expect(() =>
    check(new RetainedLinearizable("replicated"), [...NODES, ...looked(1, "r", "A", "ghost")]),
  ).toThrow(/nobody wrote/);
});
