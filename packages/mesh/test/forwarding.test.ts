/** Messages across nodes: once, in order, acknowledged, whatever happens to the links. */

import { type Incarnation, type QoS, seededPrng } from "@skein/kernel";
import { expect, test } from "vitest";
import { type Awaited, type SimNode, World } from "./support/world.ts";

function settle(world: World, awaited: readonly Awaited[], limitMs = 30_000): void {
  world.clock.runUntil(() => awaited.every((one) => one.isComplete), limitMs, "all completions settled");
}

function subscribed(world: World, node: SimNode, filter: string): void {
  settle(world, [node.subscribe(filter)]);
}

test("a message goes once to each node that wants it, is acknowledged, and never goes two hops", () => {
  const world = new World();
  const [a, b, c, d] = world.formed(4);
  for (const filter of ["t/#", "t/+", "t/1"]) subscribed(world, b!, filter);
  subscribed(world, c!, "t/1");
  subscribed(world, d!, "other");
  const awaited = a!.publish("t/1", "x");
  expect(awaited.expected).toBe(2);
  settle(world, [awaited]);
  expect(awaited.codes).toEqual([0, 0]);
  expect(b!.payloads("t/1")).toEqual(["x"]);
  expect(c!.payloads("t/1")).toEqual(["x"]);
  expect(d!.got).toEqual([]);
  expect(a!.mesh.counters.forwarded).toBe(2);
  expect(b!.mesh.counters.forwarded + c!.mesh.counters.forwarded).toBe(0);
  world.close();
});

test("nobody waits for QoS 0, nor for a topic that nobody wants", () => {
  const world = new World();
  const [a, b] = world.formed(2);
  subscribed(world, b!, "t");
  expect(a!.publish("t", 1, 0).expected).toBe(0);
  expect(a!.publish("u", 1, 1).expected).toBe(0);
  world.clock.run(100);
  expect(b!.payloads("t")).toEqual(["1"]);
  world.close();
});

test("packets of a burst are one frame, and stay in order with what is written between them", () => {
  const world = new World();
  const [a, b] = world.formed(2);
  subscribed(world, b!, "t");
  for (let count = 0; count < 32; count++) a!.passOn("t", String(count));
  world.clock.run(100);
  expect(b!.runs).toHaveLength(1);
  const settled = [];
  const expected = [...b!.payloads("t")];
  const random = seededPrng(1);
  for (let count = 0; count < 2000; count++) {
    const kind = random.below(8);
    expected.push(String(count));
    if (kind === 0) settled.push(a!.publish("t", count, 1));
    else if (kind === 1) a!.publish("t", count, 0);
    else a!.passOn("t", String(count), kind === 2 ? 5 : 4);
    if (random.below(50) === 0) world.clock.run(random.below(20));
  }
  settle(world, settled);
  world.clock.run(100);
  expect(b!.payloads("t")).toEqual(expected);
  expect(new Set(b!.runs.map(({ version }) => version))).toEqual(new Set([4, 5]));
  expect(a!.mesh.counters.forwarded).toBe(expected.length);
  expect(b!.mesh.counters).toMatchObject({ received: expected.length, duplicatesDropped: 0 });
  world.close();
});

test("packets that are too many for a link are dropped and counted, and so are those for a peer that is not there", () => {
  const world = new World();
  const [a, b] = world.formed(2);
  subscribed(world, b!, "t");
  const payload = "x".repeat(900);
  const sent = 10_000;
  for (let count = 0; count < sent; count++) a!.passOn("t", payload);
  world.clock.run(10_000);
  const { forwarded, qos0Dropped } = a!.mesh.counters;
  expect(qos0Dropped).toBeGreaterThan(0);
  expect(forwarded + qos0Dropped).toBe(sent);
  expect(b!.payloads("t")).toHaveLength(forwarded);
  b!.crash();
  world.clock.run(4000);
  a!.passOn("t", payload);
  expect(a!.mesh.counters.qos0Dropped).toBe(qos0Dropped + 1);
  world.close();
});

test("all frames of a turn leave in one write per link", () => {
  const world = new World();
  const [a, b] = world.formed(2);
  subscribed(world, b!, "t");
  world.clock.run(5000);
  const before = world.network.writes;
  for (let count = 0; count < 1000; count++) a!.publish("t", count, (count % 2) as QoS);
  world.clock.endTurn();
  expect(world.network.writes - before).toBe(1);
  world.clock.run(500);
  expect(b!.payloads("t")).toHaveLength(1000);
  world.close();
});

test.each(Array.from({ length: 30 }, (_, at) => at + 1))(
  "P5, P7: QoS 1 and 2 arrive exactly once and in order through random link cuts; QoS 0 never twice (seed %i)",
  (seed) => {
    const world = new World(seed);
    const random = seededPrng(seed);
    const [a, b, c] = world.formed(3);
    for (const node of [b!, c!]) subscribed(world, node, "q/+");
    subscribed(world, a!, "q/+");
    // Slow enough that much is on the way when a link goes.
    world.network.latencyMaxMs = 60;
    const nodes = [a!, b!, c!];
    const awaited: Awaited[] = [];
    const rounds = new Map<SimNode, string[]>(nodes.map((node) => [node, []]));
    for (let count = 0; count < 300; count++) {
      const node = nodes[random.below(3)]!;
      for (const qos of [0, 1, 2] as const) awaited.push(node.publish(`q/${node.id}-${qos}`, count, qos));
      rounds.get(node)?.push(String(count));
      const other = nodes[random.below(3)]!;
      const luck = random.below(40);
      if (luck === 0 && other !== node) world.network.cut(node.host, other.host);
      if (luck === 1 && other !== node) world.network.orphan(node.host, other.host);
      world.clock.run(random.below(8));
    }
    settle(world, awaited);
    expect(awaited.flatMap((one) => one.codes).filter((code) => code !== 0)).toEqual([]);
    for (const from of nodes) {
      for (const to of nodes) {
        if (from === to) continue;
        const [zero, one, two] = [0, 1, 2].map((qos) => to.payloads(`q/${from.id}-${qos}`));
        expect(one).toEqual(rounds.get(from));
        expect(two).toEqual(rounds.get(from));
        expect(zero).toEqual(rounds.get(from)?.filter((round) => zero?.includes(round)));
      }
    }
    world.close();
  },
);

test("what was published while the link was down arrives, in order, when it is back", () => {
  const world = new World();
  const [a, b] = world.formed(2);
  subscribed(world, b!, "t");
  world.clock.run(5000);
  world.network.cut(a!.host, b!.host);
  world.network.block(a!.host, b!.host);
  world.clock.run(50);
  const awaited = Array.from({ length: 100 }, (_, at) => a!.publish("t", at));
  a!.publish("t", "lost", 0);
  world.clock.run(2000);
  expect(awaited.every((one) => one.codes.length === 0)).toBe(true);
  expect(a!.mesh.counters.qos0Dropped).toBe(1);
  world.network.unblock(a!.host, b!.host);
  settle(world, awaited);
  expect(b!.payloads("t")).toEqual(Array.from({ length: 100 }, (_, at) => String(at)));
  world.close();
});

test("completions settle with 0 when the peer dies, leaves or restarts: its live sessions are gone", () => {
  for (const end of ["dies", "leaves", "restarts"]) {
    const world = new World();
    const [a, b] = world.formed(2);
    subscribed(world, b!, "t");
    world.clock.run(5000);
    world.network.block(a!.host, b!.host);
    const awaited = a!.publish("t", 1);
    expect(awaited.expected).toBe(1);
    if (end === "leaves") {
      world.network.unblock(a!.host, b!.host);
      b!.stop();
    }
    if (end === "restarts") {
      world.network.listening.delete(`${b!.host}:7883`);
      for (const stream of [...world.network.open])
        if (stream.localAddress === b!.host) stream.close(undefined);
      world.network.unblock(a!.host, b!.host);
      world.start(2, { incarnation: 2 as Incarnation });
    }
    settle(world, [awaited], end === "dies" ? 7000 : 3000);
    expect(awaited.codes).toEqual([0]);
    b!.stop();
    world.clock.run(3000);
    world.close();
  }
});

test("a restarted publisher's numbers begin anew and are not taken for duplicates", () => {
  const world = new World();
  const [a, b] = world.formed(2);
  subscribed(world, b!, "t");
  world.clock.run(5000);
  settle(world, [a!.publish("t", 1), a!.publish("t", 2)]);
  a!.stop();
  world.clock.run(2000);
  const again = world.start(1, { incarnation: 2 as Incarnation });
  world.untilFormed();
  world.clock.run(5000);
  settle(world, [again.publish("t", 3)]);
  expect(b!.payloads("t")).toEqual(["1", "2", "3"]);
  expect(b!.mesh.counters.duplicatesDropped).toBe(0);
  world.close();
});

test("small messages of QoS 0 to a peer that takes nothing are dropped and counted, too, at 8 MiB", () => {
  const world = new World();
  const [a, b] = world.formed(2);
  subscribed(world, b!, "t");
  world.clock.run(5000);
  world.network.block(a!.host, b!.host);
  for (let count = 0; count < 200; count++) a!.publish("t", new Uint8Array(60_000), 0);
  expect(a!.mesh.counters.qos0Dropped).toBeGreaterThan(50);
  expect(a!.mesh.counters.qos0Dropped).toBeLessThan(70);
  world.close();
});

test("a peer that takes nothing: QoS 0 is dropped and counted, QoS 1 refused with 0x97, memory stays bounded", () => {
  const world = new World();
  const [a, b] = world.formed(2);
  subscribed(world, b!, "t");
  world.clock.run(5000);
  world.network.block(a!.host, b!.host);
  const large = new Uint8Array(1024 * 1024);
  const awaited = Array.from({ length: 20 }, () => a!.publish("t", large, 1));
  for (let count = 0; count < 5; count++) a!.publish("t", large, 0);
  world.clock.run(1);
  const refused = awaited.filter((one) => one.codes[0] === 0x97);
  expect(refused.length).toBeGreaterThan(3);
  expect(awaited.length - refused.length).toBeGreaterThan(14);
  expect(a!.mesh.counters).toMatchObject({ qos0Dropped: 5, refused: refused.length });
  world.network.unblock(a!.host, b!.host);
  settle(world, awaited);
  expect(b!.got).toHaveLength(20 - refused.length);
  world.close();
});

test("malformed frames drop the link and nothing else; the link comes back", () => {
  const world = new World();
  const [a, b] = world.formed(2);
  subscribed(world, b!, "t");
  world.clock.run(5000);
  for (const garbage of [
    [0, 0, 0, 2, 5, 1],
    [0, 0, 0, 3, 4, 9, 255],
    [255, 255, 255, 255, 255],
  ]) {
    const [stream] = world.network.streamsBetween(a!.host, b!.host);
    stream!.write(Uint8Array.from(garbage));
    world.clock.run(100);
    world.untilFormed();
  }
  const lost = [...a!.logged, ...b!.logged].filter((line) => line.includes("malformed frame"));
  expect(lost).toHaveLength(3);
  settle(world, [a!.publish("t", "still here")]);
  expect(b!.payloads("t")).toEqual(["still here"]);
  world.close();
});

test("a node that was forgotten here, and has forgotten nobody, misses nothing when it is back", () => {
  const world = new World();
  const [a, b] = world.formed(2);
  for (const node of [a!, b!]) node.mesh.setConfigured([a!.id, b!.id]);
  settle(world, [b!.subscribe("t/#")]);
  settle(
    world,
    [1, 2, 3].map((payload) => a!.publish("t/x", payload)),
  );
  world.network.block(a!.host, b!.host);
  a!.mesh.setConfigured([a!.id]);
  world.clock.runUntil(() => a!.stateOf(b!) === undefined, 30_000, "b is not listed any more");
  world.network.unblock(a!.host, b!.host);
  world.clock.runUntil(() => world.isFormed(), 40_000, "formed again");
  world.clock.run(1000);
  settle(
    world,
    [4, 5].map((payload) => a!.publish("t/x", payload)),
  );
  expect(b!.payloads("t/x")).toEqual(["1", "2", "3", "4", "5"]);
  world.close();
});
