/** The parts of sim:compose that need no container: the file, the judge, the curve of clients, the plots. */

import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Holding, longestOverlapMs } from "../../test/containers/support/holder-watch.ts";
import { longestSilence } from "./address-probe.ts";
import type { ClientEvent, ClientPlan } from "./client-events.ts";
import { returnsAfter, shareBack } from "./clients-back.ts";
import { composeFile, NODES } from "./compose-file.ts";
import { broken, type FaultWindow, type Hearing, judge, type Tally } from "./judge.ts";
import { boxes, curves, quantile } from "./plots.ts";
import { passedLimits, passedOverlap } from "./promises.ts";

const PLAN = {
  room: "hall",
  node: undefined,
  host: "vip",
  keepalive: 30,
  version: 5,
  isRetained: false,
} as const;
const publisher = (qos: 0 | 1 | 2): ClientPlan => ({
  ...PLAN,
  id: "p",
  role: "publisher",
  isDurable: false,
  qos,
});
const subscriber: ClientPlan = { ...PLAN, id: "s", role: "subscriber", isDurable: false, qos: 0, node: "b" };

/** Both are up from 0 on; messages 1, 2, 3 are sent at 10, 20 and 30 s and acknowledged 10 ms later. */
const CALM: readonly ClientEvent[] = [
  { t: 0, c: "p", e: "up" },
  { t: 0, c: "s", e: "up" },
  ...[1, 2, 3].flatMap((s): ClientEvent[] => [
    { t: s * 10_000, c: "p", e: "sent", s },
    { t: s * 10_000 + 10, c: "p", e: "acked", s },
  ]),
];
const got = (t: number, s: number): ClientEvent => ({ t, c: "s", e: "got", p: "p", s });

function tallies(
  qos: 0 | 1 | 2,
  more: readonly ClientEvent[],
  faults: readonly FaultWindow[] = [],
  reader = subscriber,
  nodeOf: Hearing["nodeOf"] = ({ node }) => node ?? "a",
): readonly Tally[] {
  const events = [...CALM, ...more].sort((a, b) => a.t - b.t);
  return judge({ plans: [publisher(qos), reader], events, faults, nodeOf });
}

test("docker-compose.yml is what its program writes", () => {
  const file = readFileSync(join(import.meta.dirname, "docker-compose.yml"), "utf8");
  expect(file).toBe(composeFile(NODES));
  expect(file.match(/<<: \*node/g)).toHaveLength(20);
});

for (const words of [["docker-compose"], ["docker", "compose"]]) {
  const [program = "", ...first] = words;
  const run = (...args: readonly string[]) =>
    spawnSync(program, [...first, ...args], {
      cwd: import.meta.dirname,
      encoding: "utf8",
      env: { ...process.env, SKEIN_MESH_KEY: "0".repeat(64) },
    });
  test.skipIf(run("version").status !== 0)(`${words.join(" ")} takes docker-compose.yml as it is`, () => {
    const { status, stderr } = run("config", "-q");
    expect(status, stderr).toBe(0);
  });
}

test("a message that arrived once and in order is no fault", () => {
  const all = tallies(1, [got(10_005, 1), got(20_005, 2), got(30_005, 3)]);
  expect(all).toMatchObject([{ class: "steady", qos: 1, pairs: 3, lost: 0, duplicated: 0, reordered: 0 }]);
  expect(broken(all)).toEqual([]);
});

test("a loss between two that stayed connected breaks P5 at QoS 1, not at QoS 0", () => {
  const heard = [got(10_005, 1), got(30_005, 3)];
  expect(broken(tallies(1, heard))).toEqual(["P5: 1 of QoS 1 lost (steady)"]);
  expect(broken(tallies(0, heard))).toEqual([]);
  expect(tallies(0, heard)).toMatchObject([{ lost: 1 }]);
});

test("QoS 2 twice breaks P6, QoS 1 twice does not; a late first arrival breaks P7", () => {
  const twice = [got(10_005, 1), got(10_006, 1), got(20_005, 2), got(30_005, 3)];
  expect(broken(tallies(2, twice))).toEqual(["P6: 1 of QoS 2 twice (steady)"]);
  expect(broken(tallies(1, twice))).toEqual([]);
  const late = [got(10_005, 1), got(30_005, 3), got(30_006, 2)];
  expect(broken(tallies(1, late))).toEqual(["P7: 1 of QoS 1 out of order (steady)"]);
});

test("what was never acknowledged is nobody's loss", () => {
  const events: ClientEvent[] = [{ t: 40_000, c: "p", e: "sent", s: 4 }];
  expect(tallies(1, [got(1, 1), got(2, 2), got(3, 3), ...events])).toMatchObject([{ pairs: 3, lost: 0 }]);
});

test("a subscriber that was away is counted apart, with a durable session or without", () => {
  const away: ClientEvent[] = [
    { t: 19_000, c: "s", e: "down" },
    { t: 25_000, c: "s", e: "up" },
  ];
  const heard = [got(10_005, 1), got(30_005, 3), ...away];
  expect(tallies(1, heard)).toMatchObject([
    { class: "steady", lost: 0 },
    { class: "away", pairs: 1, lost: 1 },
  ]);
  const durable = tallies(1, heard, [], { ...subscriber, isDurable: true });
  expect(durable).toMatchObject([{ class: "durable", pairs: 3, lost: 1 }]);
  expect(broken(durable)).toEqual(["P5: 1 of QoS 1 lost (durable)"]);
});

test("a fault hides what is on its far side and nothing else", () => {
  const heard = [got(10_005, 1), got(30_005, 3)];
  const window = { name: "x", fromMs: 18_000, untilMs: 22_000, hidden: [], parts: undefined };
  const classes = (fault: Partial<FaultWindow>): string[] =>
    tallies(1, heard, [{ ...window, ...fault }]).map((tally) => `${tally.class} ${tally.lost}`);
  expect(classes({ hidden: ["b"] })).toEqual(["steady 0", "hidden 1"]);
  expect(classes({ hidden: ["c"] })).toEqual(["steady 1"]);
  const parts = (a: number, b: number, room: number): ReadonlyMap<string, number> =>
    new Map([
      ["a", a],
      ["b", b],
      ["hall", room],
    ]);
  expect(classes({ parts: parts(0, 1, 0) })).toEqual(["steady 0", "hidden 1"]);
  expect(classes({ parts: parts(1, 1, 1) })).toEqual(["steady 1"]);
  expect(classes({ parts: parts(1, 1, 0) })).toEqual(["steady 0", "hidden 1"]);
});

/** Message 2 was sent at 20 s on a connection that ended, and again on one that began at 24 s and had the acknowledgement at 25 s. */
const MOVED: readonly ClientEvent[] = [
  { t: 22_000, c: "p", e: "down" },
  { t: 24_000, c: "p", e: "up" },
  { t: 25_000, c: "p", e: "acked", s: 2 },
];
const movedTallies = (
  qos: 1 | 2,
  heard: readonly ClientEvent[],
  faults: readonly FaultWindow[] = [],
): readonly Tally[] => {
  const calm = CALM.filter((event) => !(event.e === "acked" && event.s === 2));
  const events = [...calm, ...MOVED, ...heard].sort((a, b) => a.t - b.t);
  // It was on node a, and moved to node c.
  const nodeOf: Hearing["nodeOf"] = ({ node }, atMs) => node ?? (atMs < 24_000 ? "a" : "c");
  return judge({ plans: [publisher(qos), subscriber], events, faults, nodeOf });
};
const WINDOW = { name: "x", fromMs: 19_000, untilMs: 35_000, hidden: [], parts: undefined };

test("a publisher that moved before the acknowledgement owes no subscriber less: what the second node acknowledged is not lost", () => {
  const dead = [{ ...WINDOW, untilMs: 26_000, hidden: ["a"] }];
  const lost = movedTallies(1, [got(10_005, 1), got(30_005, 3)], dead);
  expect(lost).toMatchObject([
    { class: "steady", pairs: 2, lost: 0 },
    { class: "moved", pairs: 1, lost: 1, examples: [{ what: "p 2 to s 0 times", sentMs: 20_000 }] },
  ]);
  expect(broken(lost)).toEqual(["P5: 1 of QoS 1 lost (moved)"]);
  expect(broken(movedTallies(2, [got(10_005, 1), got(30_005, 3)], dead))).toHaveLength(1);
});

test("a publisher that moved: twice is its own doing at any QoS, late is not", () => {
  const twice = [got(10_005, 1), got(20_005, 2), got(24_900, 2), got(30_005, 3)];
  expect(movedTallies(2, twice)).toMatchObject([{}, { class: "moved", duplicated: 0, repeated: 1 }]);
  expect(broken(movedTallies(2, twice))).toEqual([]);
  const late = [got(10_005, 1), got(30_005, 3), got(30_006, 2)];
  expect(broken(movedTallies(1, late))).toEqual(["P7: 1 of QoS 1 out of order (moved)"]);
});

test("a publisher that moved to a node that a fault hides, or to the far side of a split, is judged no more than before", () => {
  const heard = [got(10_005, 1), got(30_005, 3)];
  const classes = (fault: Partial<FaultWindow>): string[] =>
    movedTallies(1, heard, [{ ...WINDOW, untilMs: 26_000, ...fault }]).map(
      (tally) => `${tally.class} ${tally.lost}`,
    );
  expect(classes({ hidden: ["c"] })).toEqual(["steady 0", "hidden 1"]);
  const parts = (c: number, b: number): ReadonlyMap<string, number> =>
    new Map([
      ["a", 0],
      ["b", b],
      ["c", c],
      ["hall", 1],
    ]);
  expect(classes({ parts: parts(1, 0) })).toEqual(["steady 0", "hidden 1"]);
  expect(classes({ parts: parts(1, 1) })).toEqual(["steady 0", "moved 1"]);
});

test("a publisher that is never acknowledged is promised nothing, moved or not", () => {
  const events = [{ t: 40_000, c: "p", e: "sent", s: 4 } as const, ...MOVED.slice(0, 2)];
  expect(tallies(1, [got(1, 1), got(2, 2), got(3, 3), ...events])).toMatchObject([{ pairs: 3, lost: 0 }]);
});

test("a durable session hears in order, unless a split sent the one or the other ahead", () => {
  const durable: ClientPlan = { ...subscriber, isDurable: true };
  const late = [got(10_005, 1), got(30_005, 3), got(30_006, 2)];
  for (const qos of [1, 2] as const) {
    const all = tallies(qos, late, [], durable);
    expect(all).toMatchObject([{ class: "durable", pairs: 3, lost: 0, reordered: 1 }]);
    expect(broken(all)).toEqual([`P7: 1 of QoS ${qos} out of order (durable)`]);
  }
  expect(broken(tallies(0, late, [], durable)), "QoS 0 is not promised").toEqual([]);
  const parts: ReadonlyMap<string, number> = new Map([["a", 0]]);
  const split = (fromMs: number, untilMs: number): readonly FaultWindow[] => [
    { ...WINDOW, fromMs, untilMs, parts },
  ];
  const both = (faults: readonly FaultWindow[]) => {
    const all = tallies(1, late, faults, durable);
    const shown = all.map(({ class: pairs, pairs: number, reordered }) => `${pairs} ${number} ${reordered}`);
    return [...shown, ...broken(all)];
  };
  expect(both(split(19_000, 22_000)), "the late one was under way in it").toEqual([
    "durable 2 0",
    "split 1 1",
  ]);
  expect(both(split(29_000, 32_000)), "the one before it was").toEqual(["durable 2 0", "split 1 1"]);
  expect(both(split(1000, 8000)), "neither was").toEqual([
    "durable 3 1",
    "P7: 1 of QoS 1 out of order (durable)",
  ]);
  expect(both([{ ...WINDOW, hidden: ["a", "b"] }]), "other faults excuse nothing").toHaveLength(2);
});

test("a split does not hide one that was overtaken outside of it as well", () => {
  const durable: ClientPlan = { ...subscriber, isDurable: true };
  const sent = [
    { t: 40_000, c: "p", e: "sent", s: 4 },
    { t: 40_010, c: "p", e: "acked", s: 4 },
  ] as const;
  const heard = [got(10_005, 1), got(30_005, 3), got(40_005, 4), got(40_006, 2), ...sent];
  const split = { ...WINDOW, fromMs: 38_000, untilMs: 41_000, parts: new Map([["a", 0]]) };
  expect(broken(tallies(1, heard, [split], durable))).toEqual(["P7: 1 of QoS 1 out of order (durable)"]);
});

test("in a split a durable session loses nothing; what comes twice or late there is the known gap", () => {
  const durable: ClientPlan = { ...subscriber, isDurable: true };
  const split = { ...WINDOW, fromMs: 0, untilMs: 60_000, parts: new Map([["a", 0]]) };
  const heard = [got(20_005, 2), got(20_006, 1), got(20_007, 1)];
  const all = tallies(2, heard, [split], durable);
  expect(all).toMatchObject([{ class: "split", pairs: 3, lost: 1, duplicated: 1, reordered: 1 }]);
  expect(broken(all)).toEqual(["P5: 1 of QoS 2 lost (split)"]);
  const twice = tallies(2, [got(1, 1), got(2, 1), got(3, 2), got(4, 3)], [], durable);
  expect(broken(twice)).toEqual(["P6: 1 of QoS 2 twice (durable)"]);
});

test("two who hold the address at once count if they hear each other: in one part of a split, and from its end on", () => {
  const held = (...turns: readonly (readonly [number, string])[]): Holding[] =>
    turns.map(([fromMs, names]) => ({ fromMs, holders: names.split("+").filter((name) => name !== "") }));
  expect(longestOverlapMs(held([0, "a"], [10, "a+b"], [15, "b"], [20, "a+b+c"]), 22)).toBe(5);
  const splitOf = (b: number) => (name: string, atMs: number) =>
    atMs >= 10 && atMs < 50 && name === "b" ? b : 0;
  const holdings = held([0, "a"], [20, "a+b"], [53, "a"]);
  expect(longestOverlapMs(holdings, 100, splitOf(1), [10, 50]), "three from the heal on").toBe(3);
  expect(longestOverlapMs(holdings, 100, splitOf(0), [10, 50]), "in the same part").toBe(33);
  expect(longestOverlapMs(held([0, ""], [5, "a+b"], [6, "a+c"], [9, ""]), 100), "whoever they are").toBe(4);
  expect(passedOverlap(2600)).toEqual([]);
  expect(passedOverlap(2700)).toEqual(["P1: two nodes that hear each other held the address for 2.7 s"]);
});

test("clients are back when they connect again; who kept its connection does not count", () => {
  const events: ClientEvent[] = [
    { t: 0, c: "a", e: "up" },
    { t: 0, c: "b", e: "up" },
    { t: 0, c: "c", e: "up" },
    { t: 1500, c: "a", e: "down" },
    { t: 2000, c: "a", e: "up" },
    { t: 1600, c: "b", e: "down" },
  ];
  const sorted = events.toSorted((x, y) => x.t - y.t);
  expect(returnsAfter(sorted, new Set(["a", "b", "c"]), 1000, 9000)).toEqual([
    { client: "a", lostMs: 500, backMs: 1000 },
    { client: "b", lostMs: 600, backMs: undefined },
  ]);
  expect(shareBack([1000, undefined])).toEqual([
    [0, 0],
    [1, 0],
    [1, 50],
  ]);
});

test("the longest silence of the address counts from the fault, and is that of the outage, not of the wait for it", () => {
  expect(longestSilence([900, 1100, 4000, 4100], 1000, 8000)).toBe(2900);
  expect(longestSilence([900, 1100, 6000, 6700, 6800], 1000, 8000)).toBe(4900);
  expect(longestSilence([1010, 1110, 12_000], 1000, 8000), "another outage").toBe(10_890);
  expect(longestSilence([1100, 9900, 30_000], 9950, 8000)).toBe(20_050);
});

test("limits of P1 and P2: five and ten seconds after a fault, one and six in a planned move; not back is too late", () => {
  const returned = (backMs?: number) => ({ client: "c", lostMs: 0, backMs });
  const impact = { name: "x", kind: "kill", addressMs: [5000], returns: [returned(10_000)] } as const;
  expect(passedLimits([impact])).toEqual([]);
  expect(passedLimits([{ ...impact, addressMs: [3000, 5601] }])).toEqual(["P1: x: no answer for 5.6 s"]);
  expect(passedLimits([{ ...impact, kind: "rolling", returns: [] }])).toEqual(["P1: x: no answer for 5.0 s"]);
  const returns = [returned(10_001), returned(1), returned()];
  expect(passedLimits([{ ...impact, returns }])).toEqual([
    "P2: x: 2 of 3 clients later than 10.0 s (c noticed after 0.0 s, back after 10.0 s; c noticed after 0.0 s, not back)",
  ]);
  expect(passedLimits([{ ...impact, kind: "split", addressMs: [9000] }])).toEqual([
    "P1: x: no answer for 9.0 s",
  ]);
});

test("quartiles lie between the samples, and plots are well-formed", () => {
  expect([0, 0.25, 0.5, 1].map((share) => quantile([1, 2, 3, 4, 5], share))).toEqual([1, 2, 3, 5]);
  expect(quantile([1, 2], 0.5)).toBe(1.5);
  expect(quantile([], 0.5)).toBeUndefined();
  const axes = { title: "a < b & c", x: "s", y: "ms" };
  for (const picture of [
    boxes(axes, [{ name: "k", samples: [3, 1, 2] }]),
    curves(
      axes,
      [
        {
          name: "l",
          points: [
            [0, 1],
            [2, 3],
          ],
        },
      ],
      [1],
    ),
  ]) {
    expect(picture).not.toMatch(/NaN|undefined|Infinity/);
    expect(picture).toContain("a &lt; b &amp; c");
    execFileSync(
      "python3",
      ["-c", "import sys, xml.dom.minidom as m; m.parseString(sys.stdin.buffer.read())"],
      {
        input: picture,
      },
    );
  }
});
