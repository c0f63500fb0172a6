/** Pairs that cannot reach each other (Wi-Fi client isolation): a third node passes everything on. */

import { expect, test } from "vitest";
import { type Awaited, type SimNode, World } from "./support/world.ts";

/** Starts `count` nodes of which each of `pairs` (numbered from 1) is severed, and runs until all are linked. */
function isolated(count: number, pairs: readonly (readonly [number, number])[], seed = 1) {
  const world = new World(seed);
  for (const [a, b] of pairs) world.network.block(`10.0.0.${a}`, `10.0.0.${b}`);
  return { world, nodes: world.formed(count) };
}

function settle(world: World, awaited: readonly Awaited[]): void {
  world.clock.runUntil(() => awaited.every((one) => one.isComplete), 5000, "all acknowledged");
}

function relayOf(viewer: SimNode, other: SimNode): string | undefined {
  return viewer.mesh.members.find((member) => member.id === other.id)?.relay;
}

test("a pair that cannot reach each other is linked through a third node, and both say so", () => {
  const { world, nodes } = isolated(3, [[2, 3]]);
  const [relay, b, c] = nodes;
  expect(relayOf(b!, c!)).toBe(relay!.id);
  expect(relayOf(c!, b!)).toBe(relay!.id);
  const seen = b!.mesh.members.find((member) => member.id === c!.id);
  expect(seen).toMatchObject({ state: "alive", isLinked: true, isRelayed: true });
  expect(relay!.mesh.members.every((member) => !member.isRelayed)).toBe(true);
  expect(b!.logged.filter((line) => line.includes("no direct way to a node"))).toHaveLength(1);
  world.clock.run(60_000);
  expect(b!.stateOf(c!)).toBe("alive");
  expect(b!.logged.some((line) => line.includes("link lost"))).toBe(false);
  world.close();
});

test("P4, P5, P7: subscriptions, every QoS, shared subscriptions and control frames go through the relay", () => {
  const { world, nodes } = isolated(3, [[2, 3]]);
  const [relay, b, c] = nodes;
  const subscribed = b!.subscribe("t");
  expect(subscribed.expected).toBe(2);
  settle(world, [subscribed]);
  // Published at once after SUBACK, on the node that is reached through the relay only.
  const published = Array.from({ length: 50 }, (_, at) => c!.publish("t", at, (at % 3) as 0 | 1 | 2));
  settle(world, published);
  world.clock.run(100);
  expect(b!.payloads("t")).toEqual(Array.from({ length: 50 }, (_, at) => String(at)));
  settle(world, [b!.subscribe("$share/g/s")]);
  settle(world, [c!.publish("s", 1)]);
  expect(b!.gotShared).toHaveLength(1);
  c!.mesh.sendControl(b!.id, Uint8Array.of(1, 2, 3));
  world.clock.run(100);
  expect(b!.control).toEqual([[c!.id, Uint8Array.of(1, 2, 3)]]);
  expect(relay!.mesh.counters.relayed).toBeGreaterThan(10);
  expect(relay!.mesh.counters.received).toBe(0);
  world.close();
});

test("a message of many windows goes through the relay, and the relay never holds more than one window of it", () => {
  const { world, nodes } = isolated(3, [[2, 3]]);
  const [relay, b, c] = nodes;
  settle(world, [b!.subscribe("large")]);
  const awaited = c!.publish("large", new Uint8Array(5 * 1024 * 1024).fill(7));
  let most = 0;
  world.clock.runUntil(
    () => {
      for (const stream of world.network.streamsBetween(relay!.host, b!.host))
        most = Math.max(most, stream.bufferedBytes);
      return awaited.isComplete;
    },
    20_000,
    "accepted",
  );
  expect(b!.got[0]?.payload.length).toBe(5 * 1024 * 1024);
  expect(most).toBeLessThan(1.5 * 1024 * 1024);
  world.close();
});

test("a pair that is severed while it talks is relayed before either counts the other dead", () => {
  const world = new World();
  const [, b, c] = world.formed(3);
  world.clock.run(10_000);
  settle(world, [b!.subscribe("t")]);
  world.network.block(b!.host, c!.host);
  const published = c!.publish("t", "through");
  world.clock.runUntil(() => relayOf(b!, c!) !== undefined && relayOf(c!, b!) !== undefined, 5500, "relayed");
  settle(world, [published]);
  expect(b!.payloads("t")).toEqual(["through"]);
  world.clock.run(20_000);
  expect([...b!.logged, ...c!.logged].some((line) => line.includes('"to":"dead"'))).toBe(false);
  world.close();
});

test("back to the direct way when it works, and nothing is lost, doubled or reordered", () => {
  const { world, nodes } = isolated(3, [[2, 3]]);
  const [, b, c] = nodes;
  settle(world, [b!.subscribe("t")]);
  world.network.unblock(b!.host, c!.host);
  const published: Awaited[] = [];
  world.clock.runUntil(
    () => {
      published.push(c!.publish("t", published.length));
      return relayOf(b!, c!) === undefined && relayOf(c!, b!) === undefined && b!.linked.length === 2;
    },
    40_000,
    "direct",
  );
  settle(world, published);
  expect(b!.payloads("t")).toEqual(published.map((_, at) => String(at)));
  world.close();
});

test("a pair that is relayed because its link fell silent looks for the direct way at once, and has it again when there is one", () => {
  for (const blockedMs of [5500, 60_000]) {
    const world = new World();
    const [, b, c] = world.formed(3);
    world.clock.run(40_000);
    world.network.block(b!.host, c!.host);
    const areRelayed = (): boolean => relayOf(b!, c!) !== undefined && relayOf(c!, b!) !== undefined;
    world.clock.runUntil(areRelayed, 5500, "relayed");
    world.clock.run(blockedMs);
    world.network.unblock(b!.host, c!.host);
    const areDirect = (): boolean => relayOf(b!, c!) === undefined && relayOf(c!, b!) === undefined;
    // As seldom as a dial is repeated after a minute; soon after a few seconds.
    world.clock.runUntil(areDirect, blockedMs < 10_000 ? 8000 : 35_000, "direct");
    world.close();
  }
});

test("a relay that dies is replaced before the pair counts each other dead; order and exactly-once hold", () => {
  for (let seed = 1; seed <= 10; seed++) {
    const { world, nodes } = isolated(4, [[2, 3]], seed);
    const [, b, c] = nodes;
    settle(world, [b!.subscribe("t"), c!.subscribe("u")]);
    const relay = nodes.find((node) => node.id === relayOf(b!, c!))!;
    const other = nodes.find((node) => ![relay, b, c].includes(node))!;
    const [there, back]: Awaited[][] = [[], []];
    const publish = (): void => {
      there!.push(c!.publish("t", there!.length));
      back!.push(b!.publish("u", back!.length, 2));
    };
    for (let times = 0; times < 20; times++) {
      publish();
      world.clock.run(7);
    }
    relay.crash();
    world.clock.runUntil(
      () => {
        publish();
        return relayOf(b!, c!) === other.id && relayOf(c!, b!) === other.id;
      },
      6000,
      "another relay",
    );
    settle(world, [...there!, ...back!]);
    expect(b!.payloads("t")).toEqual(there!.map((_, at) => String(at)));
    expect(c!.payloads("u")).toEqual(back!.map((_, at) => String(at)));
    const words = [...b!.logged, ...c!.logged].filter((line) => line.includes('"to":"dead"'));
    expect(words.every((line) => line.includes(relay.id))).toBe(true);
    expect(words.some((line) => line.includes(b!.id) || line.includes(c!.id))).toBe(false);
    world.close();
  }
});

test("what a relay loses on the way is noticed and sent again", () => {
  const { world, nodes } = isolated(3, [[2, 3]]);
  const [relay, b, c] = nodes;
  settle(world, [b!.subscribe("t")]);
  const published: Awaited[] = [];
  for (let round = 0; round < 10; round++) {
    for (let times = 0; times < 20; times++) published.push(c!.publish("t", published.length));
    world.clock.run(3);
    world.network.cut(relay!.host, round % 2 === 0 ? b!.host : c!.host);
    world.clock.run(3000);
  }
  settle(world, published);
  expect(b!.payloads("t")).toEqual(published.map((_, at) => String(at)));
  world.close();
});

test("both ends take the nearest relay, and the lowest id among equals", () => {
  const { world, nodes } = isolated(5, [[4, 5]]);
  const [first, , , d, e] = nodes;
  expect(relayOf(d!, e!)).toBe(relayOf(e!, d!));
  expect([nodes[0]!.id, nodes[1]!.id, nodes[2]!.id]).toContain(relayOf(d!, e!));
  expect(first!.mesh.members).toHaveLength(5);
  world.close();
});

test("nothing is relayed twice: two nodes without a common neighbour are not linked", () => {
  const world = new World();
  // A chain: 1 - 2 - 3 - 4.
  for (const [a, b] of [
    [1, 3],
    [1, 4],
    [2, 4],
  ])
    world.network.block(`10.0.0.${a}`, `10.0.0.${b}`);
  const [a, b, c, d] = [1, 2, 3, 4].map((index) => world.start(index));
  world.clock.run(60_000);
  expect(relayOf(a!, c!)).toBe(b!.id);
  expect(relayOf(b!, d!)).toBe(c!.id);
  expect(a!.mesh.members.find((member) => member.id === d!.id)).toMatchObject({
    isLinked: false,
    state: "alive",
  });
  world.close();
});
