/**
 * The load: one process beside the broker's, told by its parent what to do, on a core of its own where there is one.
 *
 * It connects, says `ready`, and begins when asked. `mark` returns what has happened so far, so that the parent can set the broker's CPU
 * time beside it. In bursts and with one message under way it is a closed loop: it sends again when the subscribers have what was sent.
 * Bursts look for that once a millisecond, so that the bursts of many publishers meet, as they do when devices report at the same time.
 *
 * Its own CPU time is reported: near one core, the figure of deliveries per second is the generator's and not the broker's.
 */

import { performance } from "node:perf_hooks";
import { setTimeout as delay, setImmediate as turn } from "node:timers/promises";
import { Flow } from "./flow.ts";
import { type Endpoint, publishBlock, RawClient } from "./raw-client.ts";
import type { ReplayScenario, Scenario } from "./scenarios.ts";

/** From the parent. */
export type Order =
  | {
      readonly kind: "prepare";
      readonly scenario: Scenario;
      readonly publish: Endpoint;
      readonly subscribe: Endpoint;
    }
  | { readonly kind: "start" | "mark" | "finish" };

/** What has been measured since the load began. */
export interface Mark {
  /** Messages that came in, or connections made. */
  readonly units: number;
  readonly atMs: number;
  readonly cpuMs: number;
}

export interface Outcome {
  readonly published: number;
  readonly units: number;
  /** Units that should have come and did not. */
  readonly missing: number;
  /** Messages that came in another order than they were published in, or twice. */
  readonly disordered: number;
  /** Microseconds from when a message was due until it was received; undefined where that says nothing. */
  readonly p50Us?: number | undefined;
  readonly p99Us?: number | undefined;
}

export interface Load {
  /** Begins, or does all of it where it has an end. */
  start(): Promise<void>;
  readonly units: number;
  /** Stops sending and waits for what is under way. */
  finish(): Promise<Outcome>;
}

const DRAIN_MS = 10_000;

async function prepare(order: Order & { kind: "prepare" }): Promise<Load> {
  const { scenario, publish, subscribe } = order;
  if (scenario.kind === "flow") return Flow.prepare(scenario, publish, subscribe);
  if (scenario.kind === "replay") return prepareReplay(scenario, publish, subscribe);
  const { connections } = scenario;
  if (scenario.kind === "connect") {
    const { atOnce, isChurn } = scenario;
    return connects(connections, atOnce, publish, (client) => (isChurn ? client.close() : undefined));
  }
  const subscribes: Then = (client, index) => client.subscribe([`device/${index}/command`], 0);
  return connects(connections, IDLE_AT_ONCE, subscribe, subscribes, IDLE_SETTLE_MS);
}

/** Retained messages are set beforehand; each `start` is one new subscriber that gets them all. */
async function prepareReplay(
  { topics, payload }: ReplayScenario,
  publish: Endpoint,
  subscribe: Endpoint,
): Promise<Load> {
  let acknowledged = 0;
  const publisher = await RawClient.connect(publish, "bench-retained", 0, {
    acknowledged: () => {
      acknowledged++;
    },
  });
  const width = String(topics).length;
  const names = Array.from({ length: topics }, (_, i) => `r/${String(i).padStart(width, "0")}/state`);
  const block = publishBlock(names, 1, payload, 0, true);
  const window = 500;
  for (let sent = 0; sent < topics; sent += window) {
    const frames = Buffer.from(
      block.bytes.subarray(sent * block.frameBytes, (sent + window) * block.frameBytes),
    );
    for (let i = 0; i * block.frameBytes < frames.length; i++)
      frames.writeUInt16BE(1 + ((sent + i) % 0xffff), i * block.frameBytes + block.idAt);
    publisher.socket.write(frames);
    while (acknowledged < Math.min(topics, sent + window)) await turn();
  }
  publisher.close();
  let units = 0;
  let readers = 0;
  return {
    get units() {
      return units;
    },
    async start() {
      const target = units + topics;
      const reader = await RawClient.connect(subscribe, `bench-reader-${readers++}`, 0, {
        message: () => {
          units++;
        },
      });
      await reader.subscribe(["r/#"], 0);
      const deadline = performance.now() + DRAIN_MS;
      while (units < target && performance.now() < deadline) await delay(1);
      reader.close();
    },
    async finish() {
      const missing = readers * topics - units;
      return { published: topics, units, missing, disordered: 0 };
    },
  };
}

/** What becomes of each connection once it is there. */
type Then = (client: RawClient, index: number) => Promise<void> | void;

function connects(connections: number, atOnce: number, endpoint: Endpoint, then: Then, settleMs = 0): Load {
  let units = 0;
  const clients: RawClient[] = [];
  return {
    get units() {
      return units;
    },
    async start() {
      let begun = 0;
      const one = async (): Promise<void> => {
        while (begun < connections) {
          const index = begun++;
          const client = await RawClient.connect(endpoint, `bench-${index}`, 0, {});
          clients.push(client);
          await then(client, index);
          units++;
        }
      };
      await Promise.all(Array.from({ length: atOnce }, one));
      await delay(settleMs);
    },
    async finish() {
      for (const client of clients) if (client.socket.writable) client.close();
      return { published: 0, units, missing: connections - units, disordered: 0 };
    },
  };
}

/** 4 s after the last one what the broker needed only to take them in is collected. */
const IDLE_SETTLE_MS = 4000;
const IDLE_AT_ONCE = 32;

let load: Load | undefined;

async function obey(order: Order): Promise<unknown> {
  if (order.kind === "prepare") {
    load = await prepare(order);
    return undefined;
  }
  if (load === undefined) throw new Error("The generator was asked to go on before it was prepared");
  if (order.kind === "finish") return load.finish();
  if (order.kind === "start") await load.start();
  const { user, system } = process.cpuUsage();
  return { units: load.units, atMs: performance.now(), cpuMs: (user + system) / 1000 } satisfies Mark;
}

process.on("message", (order: Order) => {
  obey(order).then(
    (answer) => process.send?.({ answer }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
