/**
 * The brokers that are compared, each as its users run it, on one core and with the same freedom: anonymous, no limit that the load
 * would meet, TCP_NODELAY as Node has it.
 *
 * Across: two brokers that a message has to pass from one to the other; three nodes of Skein of which the third only belongs to the mesh,
 * two mosquittos with a bridge for everything in both directions.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "../../containers/support/eventually.ts";
import { freePorts } from "../../support/free-ports.ts";
import { NodeProcess } from "../../support/node-process.ts";
import type { Endpoint } from "./raw-client.ts";

export const BROKERS = ["skein", "mosquitto", "aedes"] as const;
export type BrokerName = (typeof BROKERS)[number];

/** A running broker, or two that are connected. */
export interface Running {
  /** Where publishers and subscribers connect to. */
  readonly publish: Endpoint;
  readonly subscribe: Endpoint;
  /** The processes whose cost counts. */
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

const HOST = "127.0.0.1";
const START_MAX_MS = 30_000;
/** As many open files as the machine allows: mosquitto, unlike Node, does not ask for that itself. */
const MANY_FILES = ["sh", "-c", 'ulimit -n $(ulimit -Hn) && exec "$@"', "sh"] as const;

/** Brokers run on the first core, the generator on the second. */
const BROKER_CORE = ["taskset", "-c", "0"] as const;
export const GENERATOR_CORE = "1";

/** Undefined: that broker cannot do that. */
export async function startBroker(name: BrokerName, isAcross: boolean): Promise<Running | undefined> {
  switch (name) {
    case "skein":
      return isAcross ? startMesh() : startSkein();
    case "mosquitto":
      return isAcross ? startBridge() : startMosquitto();
    case "aedes":
      return isAcross ? undefined : startAedes();
  }
}

async function startSkein(): Promise<Running> {
  const node = await newNode(1);
  await node.start();
  const endpoint = endpointOf(node);
  return { publish: endpoint, subscribe: endpoint, pids: pidsOf([node]), stop: () => node.remove() };
}

async function startMesh(): Promise<Running> {
  const meshKey = randomBytes(32).toString("hex");
  const first = await newNode(1, meshKey);
  const peers = [`${HOST}:${first.ports.link}`];
  const second = await newNode(2, meshKey, peers);
  const third = await newNode(3, meshKey, peers);
  const nodes = [first, second, third];
  await Promise.all(nodes.map((node) => node.start()));
  for (const node of nodes)
    await node.waitForStatus("one mesh", ({ members }) => {
      return members.filter(({ state }) => state === "alive").length === nodes.length;
    });
  return {
    publish: endpointOf(first),
    subscribe: endpointOf(second),
    pids: pidsOf([first, second]),
    stop: async () => {
      await Promise.all(nodes.map((node) => node.remove()));
    },
  };
}

async function newNode(
  number: number,
  meshKey?: string,
  peers: readonly string[] = [],
): Promise<NodeProcess> {
  const [mqtt = 0, link = 0, http = 0] = await freePorts(3);
  return new NodeProcess({
    name: `bench-${number}`,
    ports: { mqtt, link, http },
    meshKey,
    peers,
    launcher: BROKER_CORE,
    args: ["--log-level", "warn"],
  });
}

function endpointOf(node: NodeProcess): Endpoint {
  return { host: HOST, port: node.ports.mqtt };
}

/** `taskset` becomes the program that it starts. */
function pidsOf(nodes: readonly NodeProcess[]): readonly number[] {
  return nodes.flatMap(({ pid }) => pid ?? []);
}

const MOSQUITTO_SETTINGS = [
  "allow_anonymous true",
  "persistence false",
  "log_type error",
  "max_queued_messages 0",
  "max_inflight_messages 0",
  "set_tcp_nodelay true",
  "max_connections -1",
];

async function startMosquitto(): Promise<Running> {
  const [port = 0] = await freePorts(1);
  const broker = await spawnMosquitto(port, []);
  const endpoint = { host: HOST, port };
  return { publish: endpoint, subscribe: endpoint, pids: [broker.pid], stop: broker.stop };
}

async function startBridge(): Promise<Running> {
  const [near = 0, far = 0] = await freePorts(2);
  const other = await spawnMosquitto(far, []);
  const bridge = await spawnMosquitto(near, [
    "connection bench",
    `address ${HOST}:${far}`,
    "topic # both 2",
    "cleansession true",
    "notifications false",
  ]);
  return {
    publish: { host: HOST, port: near },
    subscribe: { host: HOST, port: far },
    pids: [bridge.pid, other.pid],
    stop: async () => {
      await bridge.stop();
      await other.stop();
    },
  };
}

interface Spawned {
  readonly pid: number;
  stop(): Promise<void>;
}

async function spawnMosquitto(port: number, more: readonly string[]): Promise<Spawned> {
  const folder = mkdtempSync(join(tmpdir(), "skein-bench-"));
  const file = join(folder, "mosquitto.conf");
  writeFileSync(file, [`listener ${port} ${HOST}`, ...MOSQUITTO_SETTINGS, ...more, ""].join("\n"));
  const spawned = await spawnBroker(["mosquitto", "-c", file], port);
  return {
    pid: spawned.pid,
    stop: async () => {
      await spawned.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

async function startAedes(): Promise<Running> {
  const [port = 0] = await freePorts(1);
  const program = join(import.meta.dirname, "aedes-broker.ts");
  const broker = await spawnBroker([process.execPath, program, String(port)], port);
  const endpoint = { host: HOST, port };
  return { publish: endpoint, subscribe: endpoint, pids: [broker.pid], stop: broker.stop };
}

/** Resolves when `port` answers. */
async function spawnBroker(command: readonly string[], port: number): Promise<Spawned> {
  const [program = "", ...args] = [...BROKER_CORE, ...MANY_FILES, ...command];
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "inherit"] });
  await eventually(`${command[0]} answers`, { withinMs: START_MAX_MS }, () => answers(port));
  return { pid: child.pid as number, stop: () => stopped(child) };
}

async function answers(port: number): Promise<void> {
  const socket = connect(port, HOST);
  await once(socket, "connect");
  socket.destroy();
}

async function stopped(child: ChildProcess): Promise<void> {
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}
