/** Alive, suspect, dead, left, and restarts. */

import type { ClusterId, Incarnation } from "@skein/kernel";
import { expect, test } from "vitest";
import { factsOfNewcomer } from "../src/index.ts";
import { World } from "./support/world.ts";

test("a silent member is suspect after 3 s and dead after 6 s, and alive again when it is heard", () => {
  const world = new World();
  const [a, b] = world.formed(2);
  world.clock.run(5000);
  world.network.block(a!.host, b!.host);
  const suspectMs = world.clock.runUntil(() => a!.stateOf(b!) === "suspect", 5000, "suspect");
  expect(suspectMs).toBeGreaterThan(1900);
  expect(suspectMs).toBeLessThan(3600);
  const deadMs = world.clock.runUntil(() => a!.stateOf(b!) === "dead", 5000, "dead");
  expect(suspectMs + deadMs).toBeGreaterThan(4900);
  expect(suspectMs + deadMs).toBeLessThan(6600);
  world.network.unblock(a!.host, b!.host);
  world.clock.runUntil(() => world.isFormed() && a!.stateOf(b!) === "alive", 40_000, "alive");
  expect(b!.stateOf(a!)).toBe("alive");
  world.close();
});

test("a node that starts when another one has just died does not make it live again for the others", () => {
  const world = new World();
  const [a, b, dying] = world.formed(3);
  world.clock.run(5000);
  for (const other of [a!, b!]) world.network.block(other.host, dying!.host);
  world.clock.run(4500);
  expect(a!.stateOf(dying!)).toBe("suspect");
  world.network.block("10.0.0.4", dying!.host);
  world.start(4);
  world.clock.runUntil(() => a!.stateOf(dying!) === "dead", 3000, "dead");
  const states = new Set<string | undefined>();
  for (let ms = 0; ms < 40_000; ms += 100) {
    world.clock.run(100);
    states.add(a!.stateOf(dying!));
  }
  expect([...states]).toEqual(["dead"]);
  world.close();
});

test("silence shorter than 3 s changes nothing", () => {
  const world = new World();
  const [a, b] = world.formed(2);
  world.clock.run(5000);
  const before = a!.logged.length;
  world.network.block(a!.host, b!.host);
  world.clock.run(1800);
  world.network.unblock(a!.host, b!.host);
  world.clock.run(5000);
  expect(a!.logged.slice(before)).toEqual([]);
  world.close();
});

test.each([
  [3, 1700, 1550],
  [10, 2400, 2550],
])(
  "in an idle mesh of %i each node hears each other one so often that nobody is suspect, and no oftener",
  (count, least, most) => {
    const world = new World();
    const nodes = world.formed(count);
    world.clock.run(20_000);
    const before = nodes.map(({ logged }) => logged.length);
    let longest = 0;
    let sum = 0;
    let looks = 0;
    for (let ms = 0; ms < 20_000; ms += 50) {
      world.clock.run(50);
      for (const a of nodes) {
        for (const b of nodes) {
          const heardAt = a.mesh.heardAt(b.id);
          if (heardAt === undefined) continue;
          const silence = world.clock.monotonicMs() - heardAt;
          longest = Math.max(longest, silence);
          sum += silence;
          looks++;
        }
      }
    }
    expect(longest).toBeLessThan(most);
    // At a random moment half of a silence has passed, and what is heard is noted half a tick later on average.
    expect((2 * sum) / looks).toBeGreaterThan(least);
    expect(nodes.map(({ logged }) => logged.length)).toEqual(before);
    world.close();
  },
);

test("a reset link makes a member suspect at once; the link is back within a second", () => {
  const world = new World();
  const [a, b] = world.formed(2);
  world.clock.run(5000);
  const before = a!.logged.length;
  world.network.cut(a!.host, b!.host);
  world.clock.runUntil(() => a!.logged.some((line) => line.includes('"to":"suspect"')), 100, "suspect");
  expect(world.clock.runUntil(() => world.isFormed(), 2000, "linked again")).toBeLessThan(1000);
  const states = a!.logged.slice(before).filter((line) => line.includes("member state changed"));
  expect(states.map((line) => /"to":"(\w+)"/.exec(line)?.[1])).toEqual(["suspect", "alive"]);
  expect(a!.stateOf(b!)).toBe("alive");
  world.close();
});

test("a restart in a higher incarnation is alive at once, also while the past one is believed alive", () => {
  const world = new World();
  const [a, b] = world.formed(2);
  world.clock.run(5000);
  b!.crash();
  const awaited = a!.publish("t", 1);
  expect(awaited.expected).toBe(0);
  // The past process is cut off for good. Its next start has another address, so that nothing of the two is mixed up.
  const again = world.start(2, { incarnation: 2 as Incarnation, host: "10.0.0.92" });
  world.clock.runUntil(
    () => a!.mesh.members[1]?.incarnation === 2 && a!.linked.length === 1,
    10_000,
    "restarted",
  );
  expect(a!.stateOf(again)).toBe("alive");
  world.clock.run(10_000);
  expect(a!.stateOf(again)).toBe("alive");
  b!.stop();
  world.close();
});

test("a past incarnation is refused with a warning", () => {
  const world = new World();
  const [a, b] = world.formed(2, { incarnation: 5 as Incarnation });
  b!.stop();
  world.clock.run(2000);
  world.start(2, { incarnation: 4 as Incarnation });
  world.clock.run(10_000);
  expect(a!.linked).toHaveLength(0);
  expect(a!.logged.filter((line) => line.includes("has been started as often as this"))).toHaveLength(1);
  world.close();
});

test("a dead member stays listed for a day, then it is forgotten", () => {
  const world = new World();
  const [a, b] = world.formed(2);
  b!.crash();
  b!.stop();
  world.clock.run(23 * 60 * 60 * 1000);
  expect(a!.stateOf(b!)).toBe("dead");
  world.clock.run(60 * 60 * 1000 + 10_000);
  expect(a!.mesh.members).toHaveLength(1);
  world.nodes.pop();
  a!.stop();
  world.clock.run(3000);
});

test("facts reach every member at once, at most four times a second, and who is cut off by way of another node", () => {
  const world = new World();
  // Of version 1: no relay is between a and c later.
  const [a, b, c] = world.formed(3);
  world.clock.run(2000);
  const cluster = "c1" as ClusterId;
  for (let clients = 1; clients <= 100; clients++) {
    const told = { role: "leader", clients, holdsAddress: true } as const;
    a!.mesh.setFacts({ ...factsOfNewcomer("front door"), cluster, ...told });
    world.clock.run(10);
  }
  world.clock.run(300);
  const seen = b!.mesh.members.find((member) => member.id === a!.id);
  expect(seen).toMatchObject({
    name: "front door",
    cluster,
    role: "leader",
    clients: 100,
    holdsAddress: true,
  });
  expect(b!.memberCalls).toBeLessThan(20);

  // Now c cannot talk to a any more, but still hears of it through b.
  world.network.block(a!.host, c!.host);
  a!.mesh.setFacts({ ...factsOfNewcomer("back door"), cluster, role: "voter", clients: 7 });
  const third = () => c!.mesh.members.find((member) => member.id === a!.id);
  world.clock.runUntil(() => third()?.name === "back door", 10_000, "heard of");
  expect(third()).toMatchObject({ clients: 7, isRelayed: true, state: "alive" });
  world.network.unblock(a!.host, c!.host);
  world.close();
});

test("a member known through others only is dead a minute after nobody hears it any more", () => {
  const world = new World();
  const [a, b, c] = world.formed(3);
  world.network.block(a!.host, c!.host);
  world.clock.run(40_000);
  expect(c!.stateOf(a!)).toBe("alive");
  world.network.block(a!.host, b!.host);
  world.clock.run(75_000);
  expect(c!.stateOf(a!)).toBe("dead");
  world.network.unblock(a!.host, b!.host);
  world.network.unblock(a!.host, c!.host);
  world.close();
});

test("control frames arrive whole and may be kept; without a link they are counted as dropped", () => {
  const world = new World();
  const [a, b] = world.formed(2);
  const bytes = Uint8Array.from({ length: 200_000 }, (_, at) => at % 251);
  a!.mesh.sendControl(b!.id, bytes);
  a!.mesh.sendControl(b!.id, Uint8Array.of(1, 2, 3));
  world.clock.run(2000);
  expect(b!.control).toEqual([
    [a!.id, bytes],
    [a!.id, Uint8Array.of(1, 2, 3)],
  ]);
  b!.stop();
  world.clock.run(100);
  a!.mesh.sendControl(b!.id, bytes);
  expect(a!.mesh.counters.controlDropped).toBe(1);
  world.close();
});

test("a peer that reads nothing is cut off after 5 s, and its debt stays bounded", () => {
  const world = new World();
  const [a, b] = world.formed(2);
  world.clock.run(5000);
  for (const stream of world.network.streamsBetween(a!.host, b!.host)) {
    if (stream.localAddress === b!.host) stream.isStalled = true;
  }
  const chunk = new Uint8Array(1024 * 1024);
  for (let times = 0; times < 100; times++) {
    a!.mesh.sendControl(b!.id, chunk);
    world.clock.run(1);
  }
  expect(a!.mesh.counters.controlDropped).toBeGreaterThan(60);
  world.clock.run(5100);
  expect(a!.logged.some((line) => line.includes("link lost"))).toBe(true);
  world.clock.runUntil(() => world.isFormed() && a!.stateOf(b!) === "alive", 10_000, "linked anew");
  world.close();
});

test("a node that was taken out of the cluster is listed no longer soon after it is gone, and nobody brings it back", () => {
  const world = new World();
  const [a, b, c, d] = world.formed(4);
  const all = [a!, b!, c!, d!];
  for (const node of all) node.mesh.setConfigured(all.map(({ id }) => id));
  d!.crash();
  world.clock.run(30_000);
  expect([a, b, c].map((node) => node!.stateOf(d!))).toEqual(["dead", "dead", "dead"]);
  for (const node of all.slice(0, 3)) node.mesh.setConfigured([a!.id, b!.id, c!.id]);
  world.clock.run(1000);
  expect([a, b, c].map((node) => node!.stateOf(d!))).toEqual([undefined, undefined, undefined]);
  world.clock.run(120_000);
  expect([a, b, c].map((node) => node!.stateOf(d!))).toEqual([undefined, undefined, undefined]);
  world.close();
});

test("a node that is known by word of others only, and was taken out of the cluster, is not believed alive for long", () => {
  const world = new World();
  const [a, b] = world.formed(2);
  world.clock.run(5000);
  const late = world.start(3);
  b!.crash();
  world.clock.runUntil(() => late.stateOf(b!) === "alive", 4000, "heard of it");
  late.mesh.setConfigured([a!.id, b!.id, late.id]);
  late.mesh.setConfigured([a!.id, late.id]);
  world.clock.runUntil(() => late.stateOf(b!) === undefined, 25_000, "not listed any more");
  world.close();
});

test("a node that left for good is listed until its goodbye is everywhere; one that only stopped, or has no replica, for a day", () => {
  const world = new World();
  const [a, left, stopped, beyond] = world.formed(4);
  a!.mesh.setConfigured([a!.id, left!.id, stopped!.id]);
  a!.mesh.setConfigured([a!.id, stopped!.id]);
  expect(a!.stateOf(left!)).toBe("alive");
  left!.mesh.stop(() => undefined);
  stopped!.mesh.stop(() => undefined);
  beyond!.crash();
  world.clock.run(9000);
  expect([left, stopped, beyond].map((node) => a!.stateOf(node!))).toEqual(["left", "left", "dead"]);
  world.clock.run(2000);
  expect([left, stopped, beyond].map((node) => a!.stateOf(node!))).toEqual([undefined, "left", "dead"]);
  world.clock.run(3_600_000);
  expect([stopped, beyond].map((node) => a!.stateOf(node!))).toEqual(["left", "dead"]);
  world.close();
});
