import fc from "fast-check";
import { expect, test } from "vitest";
import { checkLinearizable, type Operation, type RegisterValue } from "../../src/checkers/linearizability.ts";
import { RetainedLinearizable } from "../../src/checkers/retained-linearizable.ts";
import type { Observation } from "../../src/observations.ts";
import { acked, check, end, published, seen, started } from "../support/history.ts";

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

const put = (at: number, payloadId: string, node = "A"): Observation =>
  published(at, `on-${node}`, node, { payloadId, retain: true });
const looked = (at: number, client: string, node: string, payloadId: string | null): Observation[] => [
  seen(at, "subscribeSent", { client, node, filter: "t" }),
  seen(at + 10, "retainedRead", { client, node, topic: "t", payloadId }),
];
const NODES = started(0, "A", "B", "C");

test("[P8] retained store accepts what is acknowledged elsewhere, a replica a moment behind, a deletion", () => {
  check(new RetainedLinearizable("replicated"), [
    ...NODES,
    put(20_000, "v1"),
    acked(20_100, "on-A", "v1"),
    ...looked(20_200, "r", "B", null),
    ...looked(23_000, "r", "B", "v1"),
    put(30_000, "-1"),
    acked(30_100, "on-A", "-1"),
    ...looked(33_000, "r", "C", null),
    end(60_000),
  ]);
});

test("[P8] retained store accepts reads of uncommitted writes on the writer's own node, and of a node after a fault", () => {
  check(new RetainedLinearizable("replicated"), [
    ...NODES,
    put(20_000, "v1"),
    ...looked(21_000, "r", "A", "v1"),
    ...looked(22_000, "q", "B", null),
    acked(30_000, "on-A", "v1"),
    seen(31_000, "disturbed", { nodes: ["C"] }),
    put(32_000, "v2"),
    acked(32_100, "on-A", "v2"),
    ...looked(60_000, "r", "C", "v1"),
    seen(61_000, "calmed", { nodes: ["C"] }),
    ...looked(62_000, "r", "C", "v1"),
    ...looked(72_000, "r", "C", "v2"),
  ]);
});

test("[P8] retained store promises nothing without a leader, and again some time after one is back", () => {
  const lease = (at: number, until: number) => seen(at, "lease", { node: "A", until });
  const written = [...NODES, lease(100, 25_000), put(20_000, "v1"), acked(20_100, "on-A", "v1")];
  check(new RetainedLinearizable("replicated"), [...written, ...looked(40_000, "r", "B", null)]);
  const back = [...written, lease(41_000, 90_000), ...looked(45_000, "r", "B", null)];
  check(new RetainedLinearizable("replicated"), back);
  const late = [...back, ...looked(52_000, "r", "B", null)];
  expect(() => check(new RetainedLinearizable("replicated"), late)).toThrow(/is older than write/);
});

test("[P8] with linearizable reads a replica that is a moment behind is a failure", () => {
  const history = [
    ...NODES,
    put(20_000, "v1"),
    acked(20_100, "on-A", "v1"),
    ...looked(20_200, "r", "B", null),
  ];
  expect(() => check(new RetainedLinearizable("replicated", { reads: "linearizable" }), history)).toThrow(
    /no order explains/,
  );
});

test.each<[string, Observation[]]>([
  [
    "an acknowledged value is lost",
    [put(20_000, "v1"), acked(20_100, "on-A", "v1"), ...looked(35_000, "r", "B", null)],
  ],
  [
    "a deleted value comes back",
    [
      put(20_000, "v1"),
      acked(20_100, "on-A", "v1"),
      put(21_000, "-1"),
      acked(21_100, "on-A", "-1"),
      ...looked(35_000, "r", "B", "v1"),
    ],
  ],
  [
    "the newest value is replaced by an older one",
    [
      put(20_000, "v1"),
      acked(20_100, "on-A", "v1"),
      put(21_000, "v2"),
      acked(21_100, "on-A", "v2"),
      ...looked(35_000, "r", "B", "v2"),
      ...looked(39_000, "r", "C", "v1"),
    ],
  ],
])("[P8] retained store bites: %s", (_name, history) => {
  expect(() => check(new RetainedLinearizable("replicated"), [...NODES, ...history])).toThrow(
    /is older than write/,
  );
});

test("[P8] retained store: after a blackout of all nodes each topic may be what it ever was", () => {
  const power = (at: number) => ["A", "B", "C"].map((node) => seen(at, "stopped", { node, how: "power" }));
  const history = [
    ...NODES,
    put(20_000, "v1"),
    acked(20_100, "on-A", "v1"),
    put(21_000, "v2"),
    acked(21_100, "on-A", "v2"),
    ...power(22_000),
    ...started(23_000, "A", "B", "C"),
    ...looked(40_000, "r", "B", "v1"),
  ];
  check(new RetainedLinearizable("replicated"), [...history, ...looked(45_000, "r", "C", "v1")]);
  const ghost = looked(45_000, "r", "C", "v3");
  expect(() => check(new RetainedLinearizable("replicated"), [...history, ...ghost])).toThrow(/nobody wrote/);
  const reads = "linearizable";
  const both = looked(45_000, "r", "C", "v2");
  expect(() => check(new RetainedLinearizable("replicated", { reads }), [...history, ...both])).toThrow(
    /no order explains/,
  );
});

test("[P8] retained store bites: a value that nobody wrote to that topic", () => {
  expect(() =>
    check(new RetainedLinearizable("replicated"), [...NODES, ...looked(1, "r", "A", "ghost")]),
  ).toThrow(/nobody wrote/);
});
