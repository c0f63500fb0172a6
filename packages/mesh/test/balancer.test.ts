import type { ClusterId, MonotonicMs, NodeId } from "@skein/kernel";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Balancer, type Candidate } from "../src/balancing/balancer.ts";

const id = (at: number): NodeId => at.toString(16).padStart(16, "0") as NodeId;
const [SELF, B, C] = [id(0), id(1), id(2)];
const CLUSTER = "5f0c7f4e-54a5-4d8d-a8a5-000000000001" as ClusterId;
const ms = (time: number): MonotonicMs => time as MonotonicMs;

function member(node: NodeId, changes: Partial<Candidate> = {}): Candidate {
  return { id: node, clients: 0, state: "alive", isLinked: true, cluster: CLUSTER, rttMs: 1, ...changes };
}

test("the node with the fewest clients serves, this node included", () => {
  const members = [member(SELF), member(B, { clients: 20 }), member(C, { clients: 10 })];
  expect(new Balancer(SELF).choose("mqtt", members, 30, ms(0))).toBe(C);
  expect(new Balancer(SELF).choose("mqtt", members, 5, ms(0))).toBe(SELF);
});

test("of nodes that are as good as equal the nearest serves: this one, then the one with the shortest round trip", () => {
  const members = [
    member(SELF),
    member(B, { clients: 100, rttMs: 8 }),
    member(C, { clients: 103, rttMs: 2 }),
  ];
  expect(new Balancer(SELF).choose("mqtt", members, 104, ms(0))).toBe(SELF);
  expect(new Balancer(SELF).choose("mqtt", members, 200, ms(0))).toBe(C);
});

test("a node whose round trip is not known serves only when those that are known are worse", () => {
  const members = [member(SELF), member(B, { rttMs: undefined }), member(C, { rttMs: 900 })];
  expect(new Balancer(SELF).choose("mqtt", members, 50, ms(0))).toBe(C);
});

test.each<[string, Partial<Candidate>]>([
  ["suspect", { state: "suspect" }],
  ["dead", { state: "dead" }],
  ["gone", { state: "left" }],
  ["not linked", { isLinked: false }],
  ["of no cluster yet", { cluster: undefined }],
  ["of another cluster", { cluster: "5f0c7f4e-54a5-4d8d-a8a5-000000000002" as ClusterId }],
])("a node that is %s serves nobody: this one does, whatever its load", (_, changes) => {
  expect(new Balancer(SELF).choose("mqtt", [member(SELF), member(B, changes)], 500, ms(0))).toBe(SELF);
});

test("the last node that is left serves all, however many; when another one is back it is chosen again", () => {
  const balancer = new Balancer(SELF);
  const alone = [member(SELF), member(B, { state: "dead" }), member(C, { state: "left" })];
  for (const members of [alone, [member(SELF)]])
    for (const clients of [0, 100, 10_000])
      expect(balancer.choose("mqtt", members, clients, ms(0))).toBe(SELF);
  expect(balancer.choose("mqtt", [member(SELF), member(B)], 10_000, ms(2))).toBe(B);
});

test("a node that could not be reached is left out for 5 s, for clients of that protocol", () => {
  const balancer = new Balancer(SELF);
  const members = [member(SELF), member(B)];
  expect(balancer.choose("mqtt", members, 50, ms(0))).toBe(B);
  balancer.failed("mqtt", B, ms(10));
  expect(balancer.choose("mqtt", members, 50, ms(20))).toBe(SELF);
  expect(balancer.choose("ws", members, 50, ms(20))).toBe(B);
  expect(balancer.choose("mqtt", members, 50, ms(5009))).toBe(SELF);
  expect(balancer.choose("mqtt", members, 50, ms(5010))).toBe(B);
});

test("counts that waver by one do not make the choice waver", () => {
  const balancer = new Balancer(SELF);
  const chosen = new Set<NodeId>();
  for (let at = 0; at < 20; at++) {
    const members = [
      member(SELF),
      member(B, { clients: 200 + (at % 2) }),
      member(C, { clients: 201 - (at % 2) }),
    ];
    chosen.add(balancer.choose("mqtt", members, 200 + (at % 2), ms(at * 10_000)));
  }
  expect([...chosen]).toEqual([SELF]);
});

test("a burst spreads evenly although what others say about their clients is a second old", () => {
  const burst = fc.record({
    nodes: fc.integer({ min: 2, max: 8 }),
    clients: fc.integer({ min: 50, max: 1000 }),
    everyMs: fc.integer({ min: 1, max: 20 }),
    delayMs: fc.integer({ min: 0, max: 250 }),
  });
  fc.assert(
    fc.property(burst, ({ nodes, clients, everyMs, delayMs }) => {
      const balancer = new Balancer(SELF);
      const serving = new Array<number>(nodes).fill(0);
      let [said, heard] = [[...serving], [...serving]];
      for (let now = 0; now < clients * everyMs; now += everyMs) {
        // All report once a second, and the reports are under way for a while.
        if (now % 1000 < everyMs) said = [...serving];
        if ((now - delayMs) % 1000 < everyMs && now >= delayMs) heard = said;
        const members = heard.map((count, at) => member(id(at), { clients: count, rttMs: at }));
        const at = Number.parseInt(balancer.choose("mqtt", members, serving[0] ?? 0, ms(now)), 16);
        serving[at] = (serving[at] ?? 0) + 1;
      }
      const [least, most] = [Math.min(...serving), Math.max(...serving)];
      expect(most - least).toBeLessThanOrEqual(3 + 0.06 * least + 250 / everyMs / nodes);
    }),
    { numRuns: 200 },
  );
});
