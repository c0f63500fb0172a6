/** Shared subscriptions: exactly one member, mesh-wide (MQTT 5 section 4.8.2). */

import { type QoS, seededPrng } from "@skein/kernel";
import { expect, test } from "vitest";
import { type Awaited, textOf, World } from "./support/world.ts";

const SHARED = "$share/workers/jobs/+";

function settle(world: World, awaited: readonly Awaited[], limitMs = 30_000): void {
  world.clock.runUntil(() => awaited.every((one) => one.isComplete), limitMs, "all completions settled");
}

test.each([0, 1, 2] as const)("QoS %i: each message reaches exactly one member, the nodes in turn", (qos) => {
  const world = new World();
  const nodes = world.formed(3);
  settle(
    world,
    nodes.map((node) => node.subscribe(SHARED)),
  );
  world.clock.run(5000);
  const awaited = Array.from({ length: 30 }, (_, at) => nodes[0]!.publish("jobs/x", at, qos));
  settle(world, awaited);
  world.clock.run(100);
  const got = nodes.flatMap((node) => node.gotShared.map(([, message]) => textOf(message)));
  expect(got.sort((a, b) => Number(a) - Number(b))).toEqual(
    Array.from({ length: 30 }, (_, at) => String(at)),
  );
  expect(nodes.map((node) => node.gotShared.length)).toEqual([10, 10, 10]);
  world.close();
});

test("ordinary subscribers get their own copy besides, and each share name one of its own", () => {
  const world = new World();
  const [a, b, c] = world.formed(3);
  const other = "$share/audit/#";
  settle(world, [b!.subscribe(SHARED), b!.subscribe("jobs/#"), c!.subscribe(SHARED), c!.subscribe(other)]);
  for (let count = 0; count < 10; count++) settle(world, [a!.publish("jobs/x", count)]);
  expect(b!.payloads("jobs/x")).toHaveLength(10);
  expect(c!.got).toHaveLength(0);
  const shares = [...b!.gotShared, ...c!.gotShared];
  expect(shares.filter(([filter]) => filter === SHARED)).toHaveLength(10);
  expect(shares.filter(([filter]) => filter === other)).toHaveLength(10);
  world.close();
});

test("a message that all nodes get from the log goes to one member of each shared subscription, and to nobody else", () => {
  const world = new World();
  const nodes = world.formed(3);
  const [a, b, c] = nodes;
  settle(world, [b!.subscribe(SHARED), b!.subscribe("jobs/#"), c!.subscribe(SHARED)]);
  const message = {
    topic: "jobs/x",
    payload: new Uint8Array(1),
    qos: 1,
    retain: false,
    properties: undefined,
  } as const;
  for (let count = 0; count < 6; count++) a!.mesh.forwardShared(message, []);
  a!.mesh.forwardShared({ ...message, topic: "other" }, []);
  world.clock.run(1000);
  expect(nodes.map((node) => node.gotShared.length)).toEqual([0, 3, 3]);
  expect(nodes.flatMap((node) => node.got)).toEqual([]);
  world.close();
});

test("a local member is served before forward returns", () => {
  const world = new World();
  const a = world.start(1);
  a.subscribe(SHARED);
  expect(a.publish("jobs/x", 1).expected).toBe(0);
  expect(a.gotShared).toHaveLength(1);
  world.close();
});

test.each([0, 1] as const)(
  "QoS %i: a node whose last member has just gone sends the message on to another",
  (qos) => {
    const world = new World();
    const [a, b, c] = world.formed(3);
    settle(world, [b!.subscribe(SHARED), c!.subscribe(SHARED)]);
    world.clock.run(5000);
    // The publisher does not know yet: the news and the messages cross on the way.
    b!.unsubscribe(SHARED);
    const awaited = Array.from({ length: 4 }, (_, at) => a!.publish("jobs/x", at, qos));
    settle(world, awaited);
    world.clock.run(100);
    expect(b!.gotShared).toHaveLength(0);
    expect(c!.gotShared.map(([, message]) => textOf(message)).sort()).toEqual(["0", "1", "2", "3"]);
    expect(awaited.flatMap((one) => one.codes).every((code) => code === 0)).toBe(true);
    world.close();
  },
);

test("QoS 1: PUBACK waits until the node that took over has accepted the message", () => {
  const world = new World();
  const [a, b, c] = world.formed(3);
  settle(world, [b!.subscribe(SHARED), c!.subscribe(SHARED)]);
  world.clock.run(5000);
  world.network.block(a!.host, c!.host);
  b!.unsubscribe(SHARED);
  const awaited = Array.from({ length: 2 }, (_, at) => a!.publish("jobs/x", at));
  world.clock.run(2500);
  expect(awaited.every((one) => one.codes.length === 0)).toBe(true);
  world.network.unblock(a!.host, c!.host);
  settle(world, awaited);
  expect(c!.gotShared).toHaveLength(2);
  world.close();
});

test("messages on the way to a node that dies go to another member", () => {
  const world = new World();
  const [a, b, c] = world.formed(3);
  settle(world, [b!.subscribe(SHARED), c!.subscribe(SHARED)]);
  world.clock.run(5000);
  b!.crash();
  const awaited = Array.from({ length: 10 }, (_, at) => a!.publish("jobs/x", at));
  settle(world, awaited, 10_000);
  expect(c!.gotShared).toHaveLength(10);
  expect(b!.gotShared).toHaveLength(0);
  b!.stop();
  world.close();
});

test("a node without a member that was taken for dead does not have the message served a second time", () => {
  const world = new World();
  const [a, b, c] = world.formed(3);
  settle(world, [b!.subscribe(SHARED), c!.subscribe(SHARED)]);
  world.clock.run(5000);
  // What comes back from b is late: first that its last member has gone, then that it has sent the message on.
  world.network.mute(b!.host, a!.host);
  b!.unsubscribe(SHARED);
  const awaited = Array.from({ length: 4 }, (_, at) => a!.publish("jobs/x", at));
  settle(world, awaited, 10_000);
  world.network.unblock(a!.host, b!.host);
  world.clock.runUntil(() => world.isFormed(), 20_000, "formed again");
  world.clock.run(2000);
  expect(b!.gotShared).toHaveLength(0);
  expect(c!.gotShared.map(([, message]) => textOf(message)).sort()).toEqual(["0", "1", "2", "3"]);
  world.close();
});

test("a node that had the message when it was taken for dead, and is back, does not get it again when the next one is taken for dead", () => {
  const world = new World();
  const [a, b, c] = world.formed(3);
  settle(world, [b!.subscribe(SHARED), c!.subscribe(SHARED)]);
  world.clock.run(5000);
  // What they say does not come through; what is said to them does.
  for (const other of [a!, c!]) world.network.mute(b!.host, other.host);
  const awaited = [0, 1].map((payload) => a!.publish("jobs/x", payload));
  world.clock.run(4000);
  for (const other of [a!, b!]) world.network.mute(c!.host, other.host);
  world.clock.runUntil(() => a!.stateOf(b!) === "dead", 5000, "b taken for dead");
  world.network.unblock(a!.host, b!.host);
  world.clock.runUntil(() => a!.stateOf(b!) === "alive", 3000, "b back");
  world.clock.runUntil(() => a!.stateOf(c!) === "dead", 10_000, "c taken for dead");
  settle(world, awaited);
  world.clock.run(1000);
  const got = b!.gotShared.map(([, message]) => textOf(message));
  expect(got).toEqual([...new Set(got)]);
  world.network.unblock(a!.host, c!.host);
  world.close();
});

test.each(Array.from({ length: 20 }, (_, at) => at + 1))(
  "exactly one member through random cuts and members that come and go (seed %i)",
  (seed) => {
    const world = new World(seed);
    const random = seededPrng(seed);
    const nodes = world.formed(3);
    // Node 1 always has a member, so there is always somebody to serve.
    settle(
      world,
      nodes.map((node) => node.subscribe(SHARED)),
    );
    const awaited: Awaited[] = [];
    let published = 0;
    for (let round = 0; round < 200; round++) {
      awaited.push(nodes[random.below(3)]!.publish("jobs/x", published++, (1 + random.below(2)) as QoS));
      const node = nodes[1 + random.below(2)]!;
      if (random.below(10) === 0) {
        if (node.filters.has(SHARED)) node.unsubscribe(SHARED);
        else awaited.push(node.subscribe(SHARED));
      }
      if (random.below(30) === 0) world.network.cut(nodes[0]!.host, node.host);
      world.clock.run(random.below(10));
    }
    settle(world, awaited);
    world.clock.run(2000);
    const got = nodes.flatMap((node) => node.gotShared.map(([, message]) => Number(textOf(message))));
    expect(got.sort((x, y) => x - y)).toEqual(Array.from({ length: published }, (_, at) => at));
    world.close();
  },
);

test.each(Array.from({ length: 20 }, (_, at) => at + 1))(
  "no node gets a message twice, however often nodes fall silent and are heard again (seed %i)",
  (seed) => {
    const world = new World(seed);
    const random = seededPrng(seed);
    const nodes = world.formed(3);
    settle(
      world,
      nodes.map((node) => node.subscribe(SHARED)),
    );
    const awaited: Awaited[] = [];
    for (let round = 0; round < 20; round++) {
      // What it says does not come through, long enough for it to be taken for dead; what is said to it does.
      const silent = nodes[1 + (round % 2)]!;
      for (const other of nodes) world.network.mute(silent.host, other.host);
      world.clock.after(6500 + random.below(2000), () => {
        for (const other of nodes) world.network.unblock(silent.host, other.host);
      });
      for (let count = 0; count < 3; count++) {
        awaited.push(nodes[0]!.publish("jobs/x", awaited.length, (1 + random.below(2)) as QoS));
        world.clock.run(1000 + random.below(1000));
      }
    }
    world.clock.run(10_000);
    settle(world, awaited);
    for (const node of nodes) {
      const got = node.gotShared.map(([, message]) => textOf(message));
      expect(got).toEqual([...new Set(got)]);
    }
    world.close();
  },
);

test("what is left to the log goes to nobody live, and whoever forwards hears which subscriptions a live member serves", () => {
  const world = new World();
  const [a, b] = world.formed(2);
  const [local, remote, dealt, nobody] = ["$share/l/#", "$share/r/#", "$share/d/#", "$share/n/#"];
  settle(world, [a!.subscribe(local), b!.subscribe(remote), b!.subscribe(dealt), b!.subscribe(nobody)]);
  b!.unsubscribe(nobody);
  world.clock.run(5000);
  const served: string[] = [];
  const choice = {
    isDealt: (filter: string) => filter === dealt,
    serve: (filter: string) => void served.push(filter),
  };
  settle(world, [a!.publish("t", "x", 1, choice)]);
  expect(served.sort()).toEqual([local, remote]);
  expect([...a!.gotShared, ...b!.gotShared].map(([filter]) => filter).sort()).toEqual([local, remote]);
  world.close();
});

test.each([0, 1] as const)("QoS %i: whose last member has gone is said to the publisher's node", (qos) => {
  const world = new World();
  const [a, b] = world.formed(2);
  settle(world, [b!.subscribe(SHARED)]);
  world.clock.run(5000);
  b!.unsubscribe(SHARED);
  settle(world, [a!.publish("jobs/x", "x", qos)]);
  world.clock.run(100);
  expect(a!.unserved.map(textOf)).toEqual(qos === 0 ? [] : ["x"]);
  world.close();
});
