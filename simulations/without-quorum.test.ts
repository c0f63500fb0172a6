/**
 * What clients with kept sessions see on the side of a split that has no quorum, and after it heals (P3).
 *
 * Three nodes; one is cut off with a publisher and a subscriber. Everything goes on there, and what was delivered meanwhile does not
 * come again when the log brings it.
 */

import { type ClientTarget, generateSchedule, PROFILES, SimClient, World } from "@skein/testkit";
import { expect, test } from "vitest";

const FORMED_WITHIN_MS = 40_000;
/** The leader counts as silent, and an election should be over. */
const CUT_MS = 12_000;

const PERSISTENT = PROFILES.find(({ name }) => name === "persistent");

class Split {
  readonly world: World;
  readonly received: string[] = [];

  constructor(seed: number, onQuorumLoss: "outbox" | "hold" = "outbox") {
    const { world } = generateSchedule({ seed, minutes: 1 });
    const options = { nodes: 3, clients: 3, hasStaticPeers: true, timing: "lan", onQuorumLoss } as const;
    this.world = new World({ ...world, ...options }, []);
    for (const node of this.world.nodes) node.start();
    this.#until(() => this.world.nodes.every(({ status }) => status?.hasQuorum === true));
    this.pass(10_000);
  }

  pass(ms: number): void {
    this.world.events.runUntil(this.world.events.now + ms);
  }

  get leader(): number {
    return this.world.nodes.findIndex(({ status }) => status?.role === "leader");
  }

  get follower(): number {
    return this.world.nodes.findIndex(({ status }) => status?.role !== "leader");
  }

  /** Takes a node that does not lead away from the other two, with all clients. Returns it. */
  cutOff(): number {
    const alone = this.follower;
    for (const { index } of this.world.nodes) this.#block(index, alone, true);
    return alone;
  }

  heal(alone: number): void {
    for (const { index } of this.world.nodes) this.#block(index, alone, false);
  }

  client(clientId: string, node: number): SimClient {
    if (PERSISTENT === undefined) throw new Error("no persistent profile");
    const target: ClientTarget = `node:${node}`;
    const options = { clientId, target, profile: PERSISTENT };
    const client = new SimClient(this.world.addClient(clientId), options, {
      message: ({ payloadId }) => this.received.push(`${clientId} ${payloadId}`),
    });
    client.start();
    return client;
  }

  #block(a: number, b: number, isBlocked: boolean): void {
    if (a === b) return;
    this.world.network.block(a, b, isBlocked);
    this.world.network.block(b, a, isBlocked);
  }

  #until(isTrue: () => boolean): void {
    const limit = this.world.events.now + FORMED_WITHIN_MS;
    while (!isTrue() && this.world.events.now < limit) this.pass(100);
    expect(isTrue()).toBe(true);
  }
}

for (const qos of [1, 2] as const) {
  test(`P3: on a node without a quorum kept sessions publish and get QoS ${qos}, and after the heal nothing comes again`, () => {
    const split = new Split(qos);
    const alone = split.cutOff();
    const far = (alone + 1) % 3;
    const away = split.client("away", far);
    away.subscribe("t", qos);
    split.pass(CUT_MS);
    const reader = split.client("reader", alone);
    reader.subscribe("t", qos);
    const writer = split.client("writer", alone);
    split.pass(5000);
    expect([reader.isConnected, writer.isConnected]).toEqual([true, true]);
    for (let at = 0; at < 5; at++) writer.publish("t", `m${at}`, qos, false);
    split.pass(5000);
    const all = [0, 1, 2, 3, 4].map((at) => `reader m${at}`);
    expect(split.received).toEqual(all);
    expect(writer.unfinished).toBe(0);
    split.heal(alone);
    split.pass(30_000);
    expect(split.received.filter((line) => line.startsWith("reader"))).toEqual(all);
    // Whoever was on the other side gets it late.
    expect(split.received.filter((line) => line.startsWith("away"))).toHaveLength(5);
  });
}

for (const qos of [1, 2] as const) {
  test(`P7: who is with the majority gets what is published without a quorum in its order, also QoS ${qos} that is published while the split heals`, () => {
    const split = new Split(qos);
    const reader = split.client("reader", split.leader);
    reader.subscribe("t", qos);
    split.pass(2000);
    const alone = split.cutOff();
    split.pass(CUT_MS);
    const writer = split.client("writer", alone);
    split.pass(5000);
    for (let at = 0; at < 200; at++) {
      if (at === 100) split.heal(alone);
      writer.publish("t", `m${at}`, qos, false);
      split.pass(50);
    }
    split.pass(30_000);
    expect(split.received).toEqual(Array.from({ length: 200 }, (_, at) => `reader m${at}`));
  });
}

for (const qos of [1, 2] as const) {
  test(`with onQuorumLoss: hold QoS ${qos} waits on a node without a quorum, and is acknowledged and comes after the heal`, () => {
    const split = new Split(qos, "hold");
    const away = split.client("away", split.leader);
    away.subscribe("t", qos);
    const [near, writer] = [split.client("near", split.follower), split.client("writer", split.follower)];
    near.subscribe("t", qos);
    split.pass(2000);
    const alone = split.cutOff();
    split.pass(CUT_MS);
    for (let at = 0; at < 5; at++) writer.publish("t", `m${at}`, qos, at === 4);
    split.pass(20_000);
    expect([writer.isConnected, writer.unfinished, split.received]).toEqual([true, 5, []]);
    split.heal(alone);
    split.pass(30_000);
    expect(writer.unfinished).toBe(0);
    const all = [0, 1, 2, 3, 4].map((at) => `m${at}`);
    for (const name of ["away", "near"]) {
      const received = split.received.filter((line) => line.startsWith(name));
      // The others have taken the node for gone, so its clients come again, and the writer sends again what QoS 1 may bring twice.
      const firsts = qos === 1 ? [...new Set(received)] : received;
      expect(firsts).toEqual(all.map((message) => `${name} ${message}`));
    }
  });
}
