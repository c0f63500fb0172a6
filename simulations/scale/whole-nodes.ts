/**
 * A mesh of whole nodes (broker, mesh, coordinator, raft-js, journal) on a quiet network, measured in virtual time.
 *
 * The network takes 1 to 2 ms per way and loses nothing, so what is measured is what the nodes do, not what is done to them.
 */

import type { ApplicationMessage } from "@skein/kernel";
import { World } from "@skein/testkit";
import { heapBytes, quantiles, REPLICAS_MAX, type ScaleFigures, TrafficMeter } from "./figures.ts";

const STEP_MS = 50;
const FORMED_WITHIN_MS = 120_000;
/** Facts and digests come every ten seconds: idle is measured over several of them. */
const SETTLE_MS = 30_000;
const IDLE_MS = 30_000;
const SUBSCRIPTIONS = 60;
const POWER_CUTS = 2;
/** As long as it takes until each node has asked for a digest once: what that weighs is in what was idle. */
const WRITES = 50;
const WRITE_EVERY_MS = 200;

type SimNode = World["nodes"][number];

export function measureWholeNodes(nodes: number): ScaleFigures {
  const heapBefore = heapBytes();
  const world = new World(
    {
      seed: 1,
      nodes,
      clients: 0,
      network: { delayMinMs: 1, delaySpreadMs: 1, lossPerMille: 0, splitPerMille: 0 },
      multicast: { lossPerMille: 0, duplicatePerMille: 0, delaySpreadMs: 5 },
      hasStaticPeers: false,
      durability: "replicated",
      timing: "lan",
      sizes: {},
      driftPerMillionMax: 100,
    },
    [],
  );
  const meter = new TrafficMeter(nodes);
  world.carried = (from, to, bytes) => meter.carried(from, to, bytes);
  for (const node of world.nodes) world.events.at(world.prng.below(500), () => node.start());
  const formationMs = until(world, () => isFormed(world), FORMED_WITHIN_MS);
  run(world, SETTLE_MS);
  const heapMiB = (heapBytes() - heapBefore) / nodes / 1024 / 1024;

  meter.reset();
  run(world, IDLE_MS);
  const leader = world.nodes.findIndex(({ status }) => status?.role === "leader");
  const others = world.nodes.map(({ index }) => index).filter((index) => index !== leader);
  const replicas = others.filter((index) => world.nodes[index]?.status?.hasQuorum === true);
  const seconds = IDLE_MS / 1000;
  const idle = {
    median: meter.median(others, seconds),
    replica: meter.median(replicas, seconds),
    leader: meter.of(leader, seconds),
  };

  const interestMs = measureInterest(world);
  const write = measureWrites(world, meter, leader, idle);
  return {
    nodes,
    kind: "whole nodes",
    formationMs,
    idle,
    interestMs,
    ...measurePowerCuts(world),
    write,
    heapMiB,
  };
}

function measureInterest(world: World): ScaleFigures["interestMs"] {
  const samples: number[] = [];
  for (let count = 0; count < SUBSCRIPTIONS; count++) {
    const { process, assembly } = world.nodes[count % world.nodes.length] as SimNode;
    const startedAt = world.events.now;
    let open = Number.POSITIVE_INFINITY;
    let settled = 0;
    process?.turn(() => {
      open = assembly?.mesh.add(`scale/${count}`, { settle: () => void settled++ }) ?? 0;
    });
    while (settled < open && world.events.now - startedAt < 10_000) run(world, 1);
    samples.push(world.events.now - startedAt);
  }
  return quantiles(samples);
}

/** Only nodes with a replica write, and only those are looked at: the others see nothing of the log. */
function measureWrites(
  world: World,
  meter: TrafficMeter,
  leader: number,
  idle: ScaleFigures["idle"],
): ScaleFigures["write"] {
  const writers = world.nodes.filter(({ index, status }) => index !== leader && status?.hasQuorum === true);
  const indexes = writers.map(({ index }) => index);
  meter.reset();
  const startedAt = world.events.now;
  for (let count = 0; count < WRITES; count++) {
    const { process, assembly } = writers[count % writers.length] as SimNode;
    const message: ApplicationMessage = {
      topic: `scale/write/${count % 10}`,
      payload: new Uint8Array(100),
      qos: 1,
      retain: true,
      properties: undefined,
    };
    process?.turn(() => assembly?.broker.publish(message, { settle: () => {} }));
    run(world, WRITE_EVERY_MS);
  }
  const seconds = (world.events.now - startedAt) / 1000;
  const idleLeader = idle.leader?.bytes ?? 0;
  return {
    leaderBytes: ((meter.of(leader, seconds).bytes - idleLeader) * seconds) / WRITES,
    otherBytes: ((meter.median(indexes, seconds).bytes - idle.replica.bytes) * seconds) / WRITES,
    isCalculated: false,
  };
}

function measurePowerCuts(world: World): Pick<ScaleFigures, "suspectMs" | "deadMs" | "backMs"> {
  const [suspect, dead, back]: number[][] = [[], [], []];
  for (let count = 0; count < POWER_CUTS; count++) {
    const struck = world.nodes.find(({ status }, at) => at > count && status?.role === "learner") as SimNode;
    const others = world.nodes.filter((node) => node !== struck);
    const { id } = struck;
    const state = ({ assembly }: SimNode) => assembly?.mesh.members.find((member) => member.id === id);
    const watch = (samples: number[] | undefined, isSo: (node: SimNode) => boolean): void => {
      const startedAt = world.events.now;
      const waiting = new Set(others);
      while (waiting.size > 0 && world.events.now - startedAt < 60_000) {
        run(world, STEP_MS);
        for (const node of [...waiting]) {
          if (!isSo(node)) continue;
          waiting.delete(node);
          samples?.push(world.events.now - startedAt);
        }
      }
    };
    struck.kill("power");
    watch(suspect, (node) => state(node)?.state !== "alive");
    const suspectedFor = Math.max(...(suspect ?? []));
    watch(dead, (node) => state(node)?.state === "dead");
    for (let at = (dead?.length ?? 0) - others.length; at < (dead?.length ?? 0); at++)
      if (dead !== undefined) dead[at] = (dead[at] ?? 0) + suspectedFor;
    run(world, 5000);
    struck.start();
    watch(back, (node) => state(node)?.isLinked === true);
    run(world, SETTLE_MS);
  }
  return {
    suspectMs: quantiles(suspect ?? []),
    deadMs: quantiles(dead ?? []),
    backMs: quantiles(back ?? []),
  };
}

/** Everybody is linked with everybody, lets clients in, and has a replica as far as there may be so many. */
function isFormed({ nodes }: World): boolean {
  const replicas = nodes.filter(({ status }) => status?.hasQuorum === true).length;
  return (
    replicas === Math.min(nodes.length, REPLICAS_MAX) &&
    nodes.every(({ assembly }) => {
      const linked = assembly?.mesh.members.filter(({ isLinked }) => isLinked).length ?? 0;
      return linked === nodes.length - 1 && assembly?.isServing === true;
    })
  );
}

function until(world: World, condition: () => boolean, limitMs: number): number {
  const startedAt = world.events.now;
  while (!condition()) {
    if (world.events.now - startedAt > limitMs) throw new Error(`not within ${limitMs} ms`);
    run(world, STEP_MS);
  }
  return world.events.now - startedAt;
}

function run(world: World, ms: number): void {
  world.events.runUntil(world.events.now + ms);
}
