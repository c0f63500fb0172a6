/** Who wants what: folding, versions, repair, and the SUBACK barrier. */

import { filterCovers, filterMatches, type Incarnation, type NodeId, seededPrng } from "@skein/kernel";
import fc from "fast-check";
import { expect, test } from "vitest";
import { FoldedFilters } from "../src/interest/covering.ts";
import { LocalInterest } from "../src/interest/local-interest.ts";
import { RemoteRows, RowsTransfer } from "../src/interest/rows.ts";
import { type Awaited, type SimNode, World } from "./support/world.ts";

const FILTERS = [
  ...["#", "+", "a", "a/#", "a/+", "a/b", "a/+/#", "a/b/#", "+/b", "+/+", "a/b/c", "b", "b/#", "+/b/#"],
  ...["$SYS/#", "$SYS/x", "$share/g/a/b", "$share/g/#", "$share/h/a/b"],
];
const TOPICS = ["a", "b", "a/b", "a/c", "a/b/c", "x/b", "x", "a/b/c/d", "$SYS/x", "$SYS", "b/b"];

function matchesAny(filters: Iterable<string>, topic: string): boolean {
  return [...filters].some((filter) => !filter.startsWith("$share/") && filterMatches(filter, topic));
}

test("the folded set asks for exactly the topics that all held filters ask for, and for nothing twice", () => {
  const steps = fc.array(fc.constantFrom(...FILTERS), { maxLength: 60 });
  fc.assert(
    fc.property(steps, (toggles) => {
      const folded = new FoldedFilters();
      const held = new Set<string>();
      const told = new Set<string>();
      for (const filter of toggles) {
        const isRemoval = held.delete(filter);
        if (!isRemoval) held.add(filter);
        const change = isRemoval ? folded.remove(filter) : folded.add(filter);
        for (const one of change.removed) expect(told.delete(one)).toBe(true);
        for (const one of change.added) {
          expect(told.has(one)).toBe(false);
          told.add(one);
        }
        expect(new Set(folded.advertised)).toEqual(told);
        for (const topic of TOPICS) expect(matchesAny(told, topic)).toBe(matchesAny(held, topic));
        expect(sharedOf(told)).toEqual(sharedOf(held));
        for (const one of held) expect(told.has(folded.representativeOf(one))).toBe(true);
        for (const outer of told) for (const inner of told) expect(isFoldable(outer, inner)).toBe(false);
      }
    }),
    { numRuns: 500 },
  );
});

function sharedOf(filters: Iterable<string>): string[] {
  return [...filters].filter((filter) => filter.startsWith("$share/")).sort();
}

function isFoldable(outer: string, inner: string): boolean {
  if (outer === inner || sharedOf([outer, inner]).length > 0) return false;
  return filterCovers(outer, inner);
}

test("a/# hides a/b, and when it goes a/b is back in the same step", () => {
  const interest = new LocalInterest();
  expect(interest.add("a/b")).toEqual({ from: 0, to: 1, added: ["a/b"], removed: [] });
  expect(interest.add("a/b")).toBeUndefined();
  expect(interest.add("a/#")).toEqual({ from: 1, to: 2, added: ["a/#"], removed: ["a/b"] });
  expect(interest.add("a/c")).toBeUndefined();
  expect(interest.versionOf("a/c")).toBe(2);
  const unhidden = interest.remove("a/#");
  expect(unhidden).toMatchObject({ from: 2, to: 3, removed: ["a/#"] });
  expect(new Set(unhidden?.added)).toEqual(new Set(["a/b", "a/c"]));
  expect(interest.remove("a/b")).toBeUndefined();
  expect(interest.remove("a/b")).toEqual({ from: 3, to: 4, added: [], removed: ["a/b"] });
});

test("ten thousand filters below ten thousand wildcards fold in reasonable time", () => {
  const folded = new FoldedFilters();
  for (let at = 0; at < 5000; at++) folded.add(`site/${at}/state`);
  for (let at = 0; at < 5000; at++) folded.add(`site/${at}/+`);
  expect(folded.size).toBe(5000);
  folded.add("site/#");
  expect(folded.size).toBe(1);
  folded.remove("site/#");
  expect(folded.size).toBe(5000);
});

/** CPU time that 2,500 wildcards take beside `others` filters that they do not cover, in ms. */
function foldingMs(others: number): number {
  const folded = new FoldedFilters();
  for (let at = 0; at < others; at++) folded.add(`site/a/${at}/state`);
  const before = process.cpuUsage();
  for (let at = 0; at < 2500; at++) folded.add(`site/b/${at}/+`);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

test("a wildcard looks at those that begin like it, not at all filters: beside 40,000 others it costs about the same", () => {
  foldingMs(0);
  expect(foldingMs(40_000)).toBeLessThan(6 * foldingMs(0) + 100);
});

test("deltas and full sets, lost, late and repeated, end in the writer's set: gaps are noticed", () => {
  const node = "0000000000000001" as NodeId;
  const incarnation = 1 as Incarnation;
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(...FILTERS), fc.integer({ min: 0, max: 9 }))), (steps) => {
      const writer = new LocalInterest();
      const held = new Set<string>();
      const mirror = new Set<string>();
      const rows = new RemoteRows((_, filter, isWanted) => {
        if (isWanted === mirror.has(filter)) throw new Error("told twice");
        if (isWanted) mirror.add(filter);
        else mirror.delete(filter);
      });
      const pull = (): void => rows.replace(node, incarnation, writer.version, new Set(writer.advertised));
      for (const [filter, luck] of steps) {
        const isRemoval = held.delete(filter);
        if (!isRemoval) held.add(filter);
        const change = isRemoval ? writer.remove(filter) : writer.add(filter);
        if (change === undefined || luck === 0) continue;
        const result = rows.applyDelta(node, { incarnation, ...change });
        if (luck === 1) expect(rows.applyDelta(node, { incarnation, ...change })).not.toBe("applied");
        if (result === "gap") pull();
        expect(mirror).toEqual(new Set(writer.advertised));
      }
      pull();
      expect(mirror).toEqual(new Set(writer.advertised));
      rows.drop(node);
      expect(mirror.size).toBe(0);
    }),
  );
});

test("rows of a past incarnation never replace those of the present one", () => {
  const node = "0000000000000001" as NodeId;
  const rows = new RemoteRows(() => {});
  rows.replace(node, 2 as Incarnation, 1, new Set(["new"]));
  rows.replace(node, 1 as Incarnation, 99, new Set(["old"]));
  expect([...rows.filtersOf(node)]).toEqual(["new"]);
  expect(rows.versionOf(node, 2 as Incarnation)).toBe(1);
  expect(rows.versionOf(node, 1 as Incarnation)).toBe(0);
});

test("a transfer takes its parts in order only", () => {
  const part = (isFirst: boolean, isLast: boolean, version: number, filter: string) => {
    const node = "0000000000000001" as NodeId;
    return { node, incarnation: 1 as Incarnation, version, isFirst, isLast, filters: [filter] };
  };
  const transfer = new RowsTransfer();
  expect(transfer.add(part(false, true, 1, "a"))).toBe("broken");
  expect(transfer.add(part(true, false, 1, "a"))).toBeUndefined();
  expect(transfer.add(part(false, false, 2, "b"))).toBe("broken");
  expect(transfer.add(part(true, false, 3, "c"))).toBeUndefined();
  expect(transfer.add(part(false, true, 3, "d"))).toEqual(new Set(["c", "d"]));
});

function settle(world: World, awaited: readonly Awaited[], limitMs = 5000): number {
  return world.clock.runUntil(
    () => awaited.every((one) => one.isComplete),
    limitMs,
    "all completions settled",
  );
}

test.each(Array.from({ length: 20 }, (_, at) => at + 1))(
  "P4: what is published anywhere after SUBACK arrives, through joins, cuts and changes of interest (seed %i)",
  (seed) => {
    const world = new World(seed);
    const random = seededPrng(seed);
    const nodes = world.formed(3);
    const wanted = ["a/#", "a/b", "+/b", "a/+", "c"];
    for (let round = 0; round < 40; round++) {
      const node = nodes[random.below(nodes.length)]!;
      const filter = wanted[random.below(wanted.length)]!;
      if (node.filters.has(filter) && random.below(2) === 0) node.unsubscribe(filter);
      else settle(world, [node.subscribe(filter)]);
      if (round === 20) {
        nodes.push(world.start(4));
        world.untilFormed();
        world.clock.run(100);
      }
      expectRouted(world, nodes, `${round}`);
      if (random.below(6) === 0) {
        world.network.cut(nodes[0]!.host, nodes[1 + random.below(2)]!.host);
        world.clock.run(1000);
        world.untilFormed();
      }
    }
    expect(nodes.reduce((sum, one) => sum + one.mesh.counters.lateBarriers, 0)).toBe(0);
    world.close();
  },
);

/** Publishes from every node to every topic and checks who gets it. */
function expectRouted(world: World, nodes: readonly SimNode[], payload: string): void {
  const awaited: Awaited[] = [];
  for (const node of nodes)
    for (const topic of ["a/b", "a/x", "x/b", "c"]) awaited.push(node.publish(topic, payload));
  settle(world, awaited);
  for (const to of nodes) {
    for (const topic of ["a/b", "a/x", "x/b", "c"]) {
      const expected = matchesAny(to.filters.keys(), topic) ? nodes.length - 1 : 0;
      expect(to.payloads(topic).filter((one) => one === payload)).toHaveLength(expected);
    }
  }
}

test("P4: SUBACK waits for every live peer, once; a covered or known filter waits for nobody", () => {
  const world = new World();
  const [a] = world.formed(3);
  world.clock.run(2000);
  const first = a!.subscribe("a/#");
  expect(first.expected).toBe(2);
  const meanwhile = a!.subscribe("a/b");
  expect(meanwhile.expected).toBe(2);
  settle(world, [first, meanwhile]);
  expect(a!.subscribe("a/#").expected).toBe(0);
  expect(a!.subscribe("a/c").expected).toBe(0);
  world.close();
});

test("P4: a suspect peer delays SUBACK by 250 ms and is counted; a dead one not at all", () => {
  const world = new World();
  const [a, b, c] = world.formed(3);
  world.clock.run(5000);
  c!.crash();
  world.clock.runUntil(() => a!.stateOf(c!) === "suspect", 4000, "suspect");
  const awaited = a!.subscribe("x");
  expect(awaited.expected).toBe(2);
  const waitedMs = settle(world, [awaited]);
  expect(waitedMs).toBeGreaterThanOrEqual(240);
  expect(waitedMs).toBeLessThanOrEqual(260);
  expect(a!.mesh.counters.lateBarriers).toBe(1);
  world.clock.runUntil(() => a!.stateOf(c!) === "dead", 5000, "dead");
  expect(a!.subscribe("y").expected).toBe(1);
  expect(b!.stateOf(a!)).toBe("alive");
  c!.stop();
  world.close();
});

test("P4: SUBACK does not wait longer than suspicion plus 250 ms for a peer that falls silent meanwhile", () => {
  const world = new World();
  const [a, b] = world.formed(2);
  world.clock.run(5000);
  world.network.block(a!.host, b!.host);
  const awaited = a!.subscribe("x");
  expect(settle(world, [awaited])).toBeLessThan(3900);
  expect(awaited.codes).toEqual([0]);
  world.network.unblock(a!.host, b!.host);
  world.untilFormed();
  world.clock.run(100);
  const message = b!.publish("x", 1);
  settle(world, [message]);
  expect(a!.payloads("x")).toEqual(["1"]);
  world.close();
});

test("a full set larger than one frame of rows reaches a node that joins later", () => {
  const world = new World();
  const a = world.start(1);
  for (let at = 0; at < 2000; at++) a.subscribe(`f/${at}`);
  const b = world.start(2);
  world.untilFormed();
  world.clock.run(100);
  settle(world, [b.publish("f/0", 1), b.publish("f/1999", 2)]);
  expect(a.got).toHaveLength(2);
  expect(b.publish("f/2000", 3).expected).toBe(0);
  world.close();
});

test("rows of a third node spread by digest, and are there before its link is", () => {
  const world = new World();
  const [a, b] = world.formed(2, { hasMdns: false, peers: ["10.0.0.2:7883"] });
  const c = world.start(3, { hasMdns: false });
  world.network.block(a!.host, c.host);
  const d = c.subscribe("from/c");
  expect(d.expected).toBe(0);
  b!.mesh.setFacts({ ...b!.mesh.members[0]!, clients: 1 });
  world.start(4, { hasMdns: false, peers: ["10.0.0.2:7883", "10.0.0.3:7883"] });
  const seen = () => a!.mesh.members.find((member) => member.id === c.id);
  world.clock.runUntil(() => seen() !== undefined, 60_000, "heard of");
  // No relay has been looked for yet.
  expect(seen()).toMatchObject({ isLinked: false, state: "alive" });
  // Nothing is kept for a node this one has never had a link to.
  expect(a!.publish("from/c", 1).expected).toBe(0);
  world.network.unblock(a!.host, c.host);
  world.untilFormed(40_000);
  settle(world, [a!.publish("from/c", 2)]);
  expect(c.payloads("from/c")).toEqual(["2"]);
  world.close();
});
