import { type ClusterId, type MonotonicMs, type NodeId, seededPrng } from "@skein/kernel";
import { expect, test } from "vitest";
import { Bootstrap, type BootstrapEffect, type BootstrapEvent } from "../src/formation/bootstrap.ts";
import type { PeerView } from "../src/index.ts";
import { UNKNOWN_MACHINE } from "./support/peer-view.ts";

const A = "000000000000000a" as NodeId;
const B = "000000000000000b" as NodeId;
const C = "000000000000000c" as NodeId;
const X = "11111111-0000-4000-8000-000000000000" as ClusterId;
const Y = "22222222-0000-4000-8000-000000000000" as ClusterId;

function peer(id: NodeId, more: Partial<PeerView> = {}): PeerView {
  return { id, name: id, state: "alive", cluster: undefined, isLinked: true, ...UNKNOWN_MACHINE, ...more };
}

function see(...peers: PeerView[]): BootstrapEvent {
  return { kind: "peers", peers };
}

/** Steps `wake` whenever it is due, until `until`; returns the effects with their times. */
function wakes(bootstrap: Bootstrap, until: number): [number, BootstrapEffect][] {
  const effects: [number, BootstrapEffect][] = [];
  for (let at = bootstrap.wakeAt; at !== undefined && at <= until; at = bootstrap.wakeAt) {
    for (const effect of bootstrap.step({ kind: "wake" }, at)) effects.push([at, effect]);
  }
  return effects;
}

const at = (ms: number): MonotonicMs => ms as MonotonicMs;

test("reference design 1.3: alone it founds after browsing 3 to 5 s, and is done", () => {
  for (let seed = 0; seed < 20; seed++) {
    const bootstrap = new Bootstrap(A, seededPrng(seed), at(0));
    expect(bootstrap.step(see(peer(A, { isLinked: false })), at(0))).toEqual([]);
    const [[when, effect], ...more] = wakes(bootstrap, 60_000) as [[number, BootstrapEffect]];
    expect(effect).toEqual({ kind: "found" });
    expect(when).toBeGreaterThanOrEqual(3000);
    expect(when).toBeLessThan(5000);
    expect(more).toEqual([]);
    expect(bootstrap.wakeAt).toBeUndefined();
  }
});

test("the lowest of the fresh nodes founds; the next one waits 15 s for it, then founds itself", () => {
  const lowest = new Bootstrap(A, seededPrng(1), at(0));
  lowest.step(see(peer(B), peer(C)), at(100));
  expect(wakes(lowest, 5000).map(([, effect]) => effect.kind)).toEqual(["found"]);

  const next = new Bootstrap(B, seededPrng(2), at(0));
  next.step(see(peer(A), peer(C)), at(100));
  const [[when, effect]] = wakes(next, 60_000) as [[number, BootstrapEffect]];
  expect(effect.kind).toBe("found");
  expect(when).toBeGreaterThanOrEqual(18_000);
  expect(when).toBeLessThan(20_000);

  const last = new Bootstrap(C, seededPrng(3), at(0));
  last.step(see(peer(A), peer(B)), at(100));
  expect(wakes(last, 17_999)).toEqual([]);
});

test("two fresh nodes whose link comes up late do not both found: the set must be the same for 2 s", () => {
  const bootstrap = new Bootstrap(A, seededPrng(1), at(0));
  bootstrap.step(see(), at(0));
  bootstrap.step(see(peer(B)), at(2900));
  expect(wakes(bootstrap, 4899)).toEqual([]);
  // B, which is not the lowest, would have to wait; A founds once it is sure that B has seen it too.
  expect(wakes(bootstrap, 5100).map(([, effect]) => effect.kind)).toEqual(["found"]);
});

test("nodes that come and go cannot keep the lowest from founding for ever", () => {
  const bootstrap = new Bootstrap(B, seededPrng(1), at(0));
  let founded: number | undefined;
  for (let now = 0; now < 60_000 && founded === undefined; now += 500) {
    const flapping = now % 1000 === 0 ? [peer(C)] : [peer(A)];
    if (bootstrap.step(see(...flapping), at(now)).length > 0) founded = now;
  }
  expect(founded).toBeGreaterThan(15_000);
  expect(founded).toBeLessThan(22_000);
});

test("a formed member in sight is asked every second, each linked member in turn, and nobody founds", () => {
  const bootstrap = new Bootstrap(A, seededPrng(1), at(0));
  const members = see(peer(B, { cluster: X }), peer(C, { cluster: X }));
  expect(bootstrap.step(members, at(100))).toEqual([{ kind: "sendJoin", to: B, cluster: X }]);
  expect(bootstrap.step(members, at(200))).toEqual([]);
  const asked = wakes(bootstrap, 4200);
  expect(asked.map(([when]) => when)).toEqual([1100, 2100, 3100, 4100]);
  expect(asked.map(([, effect]) => (effect.kind === "sendJoin" ? effect.to : "founded"))).toEqual([
    C,
    B,
    C,
    B,
  ]);
  expect(bootstrap.step({ kind: "joined", cluster: Y }, at(4300))).toEqual([]);
  expect(bootstrap.step({ kind: "joined", cluster: X }, at(4300))).toEqual([{ kind: "adopt", cluster: X }]);
  expect(bootstrap.wakeAt).toBeUndefined();
});

test("a formed member that is suspect or known by hearsay only holds the founding back; a dead one does not", () => {
  const bootstrap = new Bootstrap(A, seededPrng(1), at(0));
  bootstrap.step(see(peer(B, { cluster: X, state: "suspect", isLinked: false })), at(0));
  expect(wakes(bootstrap, 30_000)).toEqual([]);
  expect(bootstrap.step(see(peer(B, { cluster: X })), at(30_000))).toEqual([
    { kind: "sendJoin", to: B, cluster: X },
  ]);
  const founds = bootstrap.step(see(peer(B, { cluster: X, state: "dead", isLinked: false })), at(40_000));
  expect(founds).toEqual([{ kind: "found" }]);
});

test("nobody is taken into a cluster that was not asked", () => {
  const bootstrap = new Bootstrap(A, seededPrng(1), at(0));
  expect(bootstrap.step({ kind: "joined", cluster: X }, at(10))).toEqual([]);
});

test("of two clusters in sight the one with more members is asked, then the lower id", () => {
  const bigger = new Bootstrap(A, seededPrng(1), at(0));
  const D = "000000000000000d" as NodeId;
  const three = see(peer(B, { cluster: X }), peer(C, { cluster: Y }), peer(D, { cluster: Y }));
  expect(bigger.step(three, at(0))).toEqual([{ kind: "sendJoin", to: C, cluster: Y }]);
  const equal = new Bootstrap(A, seededPrng(1), at(0));
  expect(equal.step(see(peer(C, { cluster: Y }), peer(B, { cluster: X })), at(0))).toEqual([
    { kind: "sendJoin", to: B, cluster: X },
  ]);
});
