import { expect, test } from "vitest";
import { type ConflictList, EarlyRetainedWrites } from "../../src/checkers/early-retained-writes.ts";
import { MergeUnion } from "../../src/checkers/merge-union.ts";
import { RetainedLinearizable } from "../../src/checkers/retained-linearizable.ts";
import { RetainedSurvivors } from "../../src/checkers/retained-survivors.ts";
import type { Observation } from "../../src/observations.ts";
import {
  acked,
  blackout,
  check,
  connecting,
  end,
  published,
  quorate,
  type Rest,
  seen,
  started,
} from "../support/history.ts";

const NODES = [...started(0, "A", "B", "C"), ...quorate(1, "A", "B", "C")];
const NOTHING: ConflictList = { isWhole: true, lost: [] };

const put = (at: number, payloadId: string, node: string, topic = "topic/1"): Observation =>
  published(at, `on-${node}`, node, { topic, payloadId, retain: true });
const done = (at: number, payloadId: string, node: string, more: Partial<Rest<"publishAcked">> = {}) =>
  seen(at, "publishAcked", { client: `on-${node}`, node, payloadId, reasonCode: 0, ...more });
/** Acknowledged without a quorum, and the client is told. */
const early = (at: number, payloadId: string, node: string): Observation =>
  done(at, payloadId, node, { isSafeHereOnly: true });
const damaged = (at: number, node: string, how: "power" | "disk"): Observation =>
  seen(at, "damaged", { node, how });

/** "old" is safe with the mesh; later C, alone, takes "new". */
const LOST = [put(1000, "old", "A"), done(1100, "old", "A"), put(5000, "new", "C"), early(5100, "new", "C")];

function judged(history: readonly Observation[], value: string | undefined): () => void {
  const checker = new RetainedSurvivors();
  for (const observation of history) checker.observe(observation);
  return () => checker.judge([new Map(value === undefined ? [] : [["topic/1", value]])]);
}

function missing(
  history: readonly Observation[],
  served: string | undefined,
  lists: readonly ConflictList[] = [NOTHING],
  durability: "replicated" | "disk" = "replicated",
): string | undefined {
  const checker = new EarlyRetainedWrites(durability);
  for (const observation of [...NODES, ...history]) checker.observe(observation);
  return checker.missing(new Map(served === undefined ? [] : [["topic/1", served]]), lists);
}

test.each<[string, Observation[], string | undefined, ConflictList[]]>([
  ["it is served", LOST, "new", [NOTHING]],
  [
    "it is listed by one of the nodes",
    LOST,
    "old",
    [NOTHING, { isWhole: true, lost: [{ topic: "topic/1", payloadId: "new" }] }],
  ],
  ["what a list had was dropped", LOST, "old", [{ isWhole: false, lost: [] }]],
  [
    "a later write has replaced it",
    [...LOST, put(6000, "newer", "A"), done(6100, "newer", "A")],
    "newer",
    [NOTHING],
  ],
  [
    "a write that was under way has come behind it",
    [put(1000, "old", "A"), put(5000, "new", "C"), done(5050, "old", "A"), early(5100, "new", "C")],
    "old",
    [NOTHING],
  ],
  [
    "a write that nobody acknowledged has come behind it",
    [put(1000, "old", "A"), put(5000, "new", "C"), early(5100, "new", "C")],
    "old",
    [NOTHING],
  ],
  ["the older write was sent once more", [...LOST, put(7000, "old", "A")], "old", [NOTHING]],
  ["it was deleted later", [...LOST, put(6000, "-1", "A"), done(6100, "-1", "A")], undefined, [NOTHING]],
  [
    "it was a deletion",
    [...LOST.slice(0, 2), put(5000, "-1", "C"), early(5100, "-1", "C")],
    "old",
    [NOTHING],
  ],
  [
    "it was sent again, and is safe with the mesh: other rules hold",
    [...LOST, put(6000, "new", "A"), done(6100, "new", "A")],
    "old",
    [NOTHING],
  ],
  [
    "a will has come behind it",
    [
      ...LOST,
      connecting(100, "mortal", "A", {
        will: { topic: "topic/1", payloadId: "gone", qos: 1, retain: true, delaySeconds: 0 },
      }),
    ],
    "gone",
    [NOTHING],
  ],
  [
    "the older write was acknowledged while there were two clusters, and came into this one later",
    [
      seen(10, "belongs", { node: "A", to: "one" }),
      seen(10, "belongs", { node: "C", to: "two" }),
      ...LOST,
      seen(9000, "belongs", { node: "C", to: "one" }),
    ],
    "old",
    [NOTHING],
  ],
])("[P8] a retained write without a quorum is not lost in silence: %s", (_, history, served, lists) => {
  expect(missing(history, served, lists)).toBeUndefined();
});

test.each<[string, Observation[], string | undefined]>([
  ["what was safe before is served", LOST, "old"],
  ["nothing is served", LOST, undefined],
  [
    "what another node took before, without a quorum as well, is served",
    [put(1000, "old", "A"), early(1100, "old", "A"), ...LOST.slice(2)],
    "old",
  ],
  [
    "there was another write in between, which is not served either",
    [...LOST, put(6000, "newer", "A"), early(6100, "newer", "A")],
    "old",
  ],
  [
    "a 3.1.1 client, which nobody told, of a node without a quorum",
    [
      ...LOST.slice(0, 2),
      seen(4000, "quorum", { node: "C", isReached: false }),
      put(5000, "new", "C"),
      done(5100, "new", "C", { isUntold: true }),
    ],
    "old",
  ],
])("[P8] a retained write without a quorum is lost: %s", (_, history, served) => {
  expect(missing(history, served)).toMatch(/^new, which C acknowledged without a quorum at 5100 ms/);
});

test.each<[string, Observation[]]>([
  ["its machine lost its power before it was flushed", [damaged(6000, "C", "power")]],
  [
    "its disk stalled, and its machine lost its power at last",
    [seen(5050, "disturbed", { nodes: ["C"] }), damaged(60_000, "C", "power")],
  ],
  [
    "its process had died, and the machine lost its power at last",
    [seen(5200, "stopped", { node: "C", how: "crash" }), damaged(60_000, "C", "power")],
  ],
  ["its disk was damaged", [damaged(60_000, "C", "disk")]],
  ["another node runs there now", [seen(60_000, "vanished", { node: "C" })]],
  ["it has left", [seen(60_000, "removed", { node: "C" })]],
  ["its disk was copied", [seen(60_000, "copied", { node: "C (copy)", of: "C" })]],
  ["all machines lost their power", blackout(60_000, "A", "B", "C")],
])("[P8] nothing is asked of a disk that may have lost it: %s", (_, faults) => {
  expect(missing([...LOST, ...faults], "old")).toBeUndefined();
});

test("[P8] what a node took behind it, acknowledged or not, is listed for it; what another node took is not", () => {
  const lists: readonly ConflictList[] = [{ isWhole: true, lost: [{ topic: "topic/1", payloadId: "last" }] }];
  const crash = seen(6100, "stopped", { node: "C", how: "crash" });
  expect(missing([...LOST, put(6000, "last", "C"), early(6050, "last", "C")], "old", lists)).toBeUndefined();
  expect(missing([...LOST, put(6000, "last", "C"), crash], "old", lists)).toBeUndefined();
  expect(missing([...LOST, put(6000, "last", "A"), crash], "old", lists)).toBeDefined();
  expect(missing([...LOST, put(6000, "last", "C"), done(6050, "last", "C")], "old", lists)).toBeDefined();
  expect(missing([put(900, "last", "C"), ...LOST], "old", lists)).toBeDefined();
});

test("[P8] behind it is what its node may have taken later: what one client sent later or again, and what others had under way", () => {
  const listing = (payloadId: string): readonly ConflictList[] => [
    { isWhole: true, lost: [{ topic: "topic/1", payloadId }] },
  ];
  // After a CONNECT a client sends at one moment what has waited.
  const together = [put(5000, "last", "C"), early(5100, "last", "C")];
  expect(missing([...LOST, ...together], "old", listing("last"))).toBeUndefined();
  expect(missing([...LOST.slice(0, 2), ...together, ...LOST.slice(2)], "old", listing("last"))).toBeDefined();

  const again = [put(900, "last", "C"), ...LOST, put(6000, "last", "C")];
  expect(missing([...again, early(6100, "last", "C")], "old", listing("last"))).toBeUndefined();
  // The answer of C to what it was sent first was lost, and A, alone as well, has given one.
  const elsewhere = [...LOST, put(6000, "last", "C"), put(6200, "last", "A"), early(6300, "last", "A")];
  expect(missing(elsewhere, "old", listing("last"))).toBeUndefined();

  const its = published(4900, "other", "C", { topic: "topic/1", payloadId: "its", retain: true });
  const itsEarly = (at: number): Observation =>
    seen(at, "publishAcked", {
      client: "other",
      node: "C",
      payloadId: "its",
      reasonCode: 0,
      isSafeHereOnly: true,
    });
  expect(missing([its, ...LOST, itsEarly(5150)], "old", listing("its"))).toBeUndefined();
  expect(missing([its, itsEarly(4950), ...LOST], "old", listing("its"))).toBeDefined();
});

test("[P8] a power cut excuses nothing on the other nodes, after the flush, or with durability disk", () => {
  expect(missing([...LOST, damaged(5200, "A", "power"), damaged(5200, "A", "disk")], "old")).toBeDefined();
  expect(missing([...LOST, damaged(8000, "C", "power")], "old")).toBeDefined();
  expect(missing([...LOST, damaged(5200, "C", "power")], "old", [NOTHING], "disk")).toBeDefined();
});

const looked = (at: number, payloadId: string | null): Observation[] => [
  seen(at + 10, "retainedRead", { client: "r", node: "B", topic: "topic/1", payloadId, askedAt: at }),
];
/** A 3.1.1 client of a node that lost its quorum, and has it again when it acknowledges. */
const UNTOLD = [
  seen(4000, "quorum", { node: "C", isReached: false }),
  put(5000, "new", "C"),
  seen(5050, "quorum", { node: "C", isReached: true }),
  done(5100, "new", "C", { isUntold: true }),
];

test.each([
  ["told", LOST],
  ["not told", [...LOST.slice(0, 2), ...UNTOLD]],
])(
  "[P8] a write that was acknowledged without a quorum takes effect late, or never: the client is %s",
  (_, history) => {
    check(new RetainedLinearizable("replicated"), [
      ...NODES,
      ...history,
      ...looked(6000, "old"),
      ...looked(7000, "new"),
      end(60_000),
    ]);
    const back = [...looked(7000, "new"), ...looked(8000, "old"), end(60_000)];
    expect(() => check(new RetainedLinearizable("replicated"), [...NODES, ...history, ...back])).toThrow(
      /no order explains/,
    );
  },
);

test("[P8] a 3.1.1 client of a node that has had its quorum all the time is told the truth", () => {
  const history = [put(5000, "new", "C"), done(5100, "new", "C", { isUntold: true }), ...looked(6000, null)];
  expect(() => check(new RetainedLinearizable("replicated"), [...NODES, ...history, end(60_000)])).toThrow(
    /no order explains/,
  );
});

test("[P8] acknowledged without a quorum a write may be the last word or not, and replaces nothing", () => {
  for (const value of ["old", "new"]) expect(judged(LOST, value)).not.toThrow();
  expect(judged(LOST, undefined)).toThrow(/may be old or new/);
  expect(judged([...LOST.slice(0, 3), acked(5100, "on-C", "new")], "old")).toThrow(/may be new/);
});

/** C has lost its disk, or is new: when "new" is sent to it, it belongs to no cluster. */
test("[P8] a write that is under way when there are two clusters replaces nothing in the other one", () => {
  const belongs = (at: number, node: string, to: string) => seen(at, "belongs", { node, to });
  const united = belongs(9000, "C", "one");
  const split = [
    belongs(10, "A", "one"),
    ...LOST.slice(0, 3),
    belongs(5050, "C", "two"),
    done(5100, "new", "C"),
  ];
  for (const value of ["old", "new"]) expect(judged([...split, united], value)).not.toThrow();
  expect(judged([...split, united], undefined)).toThrow(/may be old or new/);

  // Once there is one cluster the next word is the last one again, of C as of anybody.
  const next = [put(9500, "next", "C"), done(9600, "next", "C")];
  for (const value of ["old", "new"])
    expect(judged([...split, united, ...next], value)).toThrow(/may be next/);
  // Where C has joined the cluster of A, its write has replaced the older one.
  const joined = [...split.slice(0, -2), belongs(5050, "C", "one"), done(5100, "new", "C")];
  expect(judged(joined, "old")).toThrow(/may be new/);
});

test("[P8] after its cluster's cut a node may acknowledge what is safe with it alone", () => {
  const clusters = {
    kind: "dissolve",
    isApplied: true,
    other: "",
    cut: 0,
    chunk: 0,
    topics: [],
    conflicts: [],
    owed: [],
    mayLack: false,
  } as const;
  const cut = seen(2000, "applied", { node: "C", cluster: "lost", index: 1, term: 1, hash: 0, clusters });
  const history = (acknowledgement: Observation) => [...NODES, cut, put(5000, "new", "C"), acknowledgement];
  check(new MergeUnion("replicated"), history(early(5100, "new", "C")));
  expect(() => check(new MergeUnion("replicated"), history(done(5100, "new", "C")))).toThrow(
    /after its cluster's cut/,
  );
});
