/**
 * A real node: the built program as a process on loopback, its data in a temporary directory.
 *
 * Keeps its ports and directory across restarts, remembers what it logged, and is asked over its admin API. Whoever starts
 * one removes it (`remove`), which kills the process and deletes the directory.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { NodeStatus } from "skein";
import { eventually } from "../containers/support/eventually.ts";
import { freePorts } from "./free-ports.ts";

export const PROGRAM = fileURLToPath(new URL("../../packages/skein/bin/skein.cjs", import.meta.url));

/** A fresh node browses up to 5 s and then elects itself. */
const SERVING_MAX_MS = 30_000;
const STOP_MAX_MS = 15_000;
const LOG_LINES_MAX = 20_000;
const ERROR_TEXT_MAX = 10_000;

export interface Ports {
  readonly mqtt: number;
  readonly link: number;
  readonly http: number;
}

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface RetainedSet {
  readonly count: number;
  readonly digest: string;
  readonly entries: readonly { readonly topic: string; readonly payload: string; readonly qos: number }[];
}

export interface NodeSettings {
  readonly name: string;
  readonly ports: Ports;
  /** Undefined: neither key nor name of the mesh are given; it founds one, or gets both from one it joins. */
  readonly meshKey: string | undefined;
  readonly peers: readonly string[];
  readonly args?: readonly string[];
  /** Its own address; 127.0.0.1 unless it runs in a network of its own. */
  readonly host?: string;
  /** It looks for the others by mDNS: only in a network of its own, or it would meet what else runs here. Default: no. */
  readonly isMdnsEnabled?: boolean;
  /** Program and arguments that run what follows them, for a network of its own. */
  readonly launcher?: readonly string[];
  /** Where its data directory is made. Default: the system's temporary folder. */
  readonly dataFolder?: string;
}

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class NodeProcess {
  readonly name: string;
  readonly ports: Ports;
  readonly dataDirectory: string;
  readonly #settings: NodeSettings;
  #process: ChildProcess | undefined;
  #exit: Promise<Exit> = Promise.resolve({ code: 0, signal: null });
  #log: LogLine[] = [];
  #errorText = "";

  constructor(settings: NodeSettings) {
    this.#settings = settings;
    this.dataDirectory = mkdtempSync(join(settings.dataFolder ?? tmpdir(), "skein-node-"));
    this.name = settings.name;
    this.ports = settings.ports;
  }

  /** `host:port` for MQTT.js. */
  get url(): string {
    return `mqtt://${this.host}:${this.ports.mqtt}`;
  }

  get host(): string {
    return this.#settings.host ?? "127.0.0.1";
  }

  /** What it logged since its last start. */
  get log(): readonly LogLine[] {
    return this.#log;
  }

  /** What it wrote to standard error since its last start. */
  get errorText(): string {
    return this.#errorText;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Starts the process and returns at once. */
  launch(): void {
    const { name, ports, meshKey, peers, args = [], launcher = [] } = this.#settings;
    const { host } = this;
    // In a network of its own it has to listen on all addresses: one may come and go.
    const listen = this.#settings.host === undefined ? host : "0.0.0.0";
    const command = [...launcher, process.execPath, PROGRAM, "up", "--name", name];
    command.push("--data-dir", this.dataDirectory, "--timing", "wired");
    if (this.#settings.isMdnsEnabled !== true) command.push("--no-mdns");
    if (meshKey !== undefined) command.push("--mesh", "test", "--mesh-key", meshKey);
    command.push("--listen", `mqtt://${listen}:${ports.mqtt}`);
    command.push("--link", `${host}:${ports.link}`, "--http", `${host}:${ports.http}`);
    command.push(...peers.flatMap((peer) => ["--peer", peer]), ...args);
    this.#log = [];
    this.#errorText = "";
    const [program = "", ...programArgs] = command;
    const child = spawn(program, programArgs, {
      stdio: ["ignore", "pipe", "pipe"],
      env: cleanEnvironment(),
    });
    this.#process = child;
    this.#exit = new Promise((resolve) => {
      child.once("close", (code, signal) => resolve({ code, signal }));
    });
    let rest = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      this.#log.push(...lines.map((line) => JSON.parse(line) as LogLine));
      this.#log.splice(0, this.#log.length - LOG_LINES_MAX);
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#errorText = (this.#errorText + text).slice(-ERROR_TEXT_MAX);
    });
  }

  /** Starts it and waits until it lets clients in. */
  async start(): Promise<void> {
    this.launch();
    await this.serving();
  }

  async serving(): Promise<void> {
    await this.#until("lets clients in", SERVING_MAX_MS, async () => {
      const response = await fetch(`http://${this.host}:${this.ports.http}/readyz`);
      await response.body?.cancel();
      if (response.status !== 200) throw new Error(`/readyz says ${response.status}`);
    });
  }

  async status(): Promise<NodeStatus> {
    return (await this.get("/api/status")) as NodeStatus;
  }

  /** All retained messages of its replica, by topic. */
  async retained(): Promise<RetainedSet> {
    return (await this.get("/api/retained?entries=1")) as RetainedSet;
  }

  async get(path: string): Promise<unknown> {
    const response = await fetch(`http://${this.host}:${this.ports.http}${path}`);
    return response.json();
  }

  /** Waits until its status is as `isWanted` says. */
  async waitForStatus(
    what: string,
    isWanted: (status: NodeStatus) => boolean,
    withinMs = 30_000,
  ): Promise<NodeStatus> {
    return this.#until(what, withinMs, async () => {
      const status = await this.status();
      if (!isWanted(status)) throw new Error(JSON.stringify(status));
      return status;
    });
  }

  /** Waits until it has logged a line for which `isWanted` is true. */
  async waitForLog(what: string, isWanted: (line: LogLine) => boolean, withinMs = 30_000): Promise<LogLine> {
    return this.#until(`logs ${what}`, withinMs, async () => {
      const line = this.#log.find(isWanted);
      if (line === undefined) throw new Error(`last line: ${JSON.stringify(this.#log.at(-1))}`);
      return line;
    });
  }

  /** Asks it to stop and waits until it has. */
  async stop(): Promise<Exit> {
    return this.#end("SIGTERM");
  }

  /** `kill -9`. */
  async kill(): Promise<Exit> {
    return this.#end("SIGKILL");
  }

  /** Waits until it ends by itself. */
  exited(): Promise<Exit> {
    return this.#exit;
  }

  /** Kills it if it still runs, and removes its data. */
  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.dataDirectory, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<Exit> {
    const child = this.#process;
    if (child === undefined) return this.#exit;
    child.kill(signal);
    const late = setTimeout(() => child.kill("SIGKILL"), STOP_MAX_MS);
    const exit = await this.#exit;
    clearTimeout(late);
    return exit;
  }

  async #until<T>(what: string, withinMs: number, attempt: () => Promise<T>): Promise<T> {
    const seen = await eventually(`${this.name} ${what}`, { withinMs }, async () => {
      const { exitCode, signalCode } = this.#process ?? {};
      if (typeof exitCode === "number" || typeof signalCode === "string")
        throw new Error(`it ended (${exitCode ?? signalCode}): ${this.#errorText}`);
      return attempt();
    });
    return seen.value;
  }
}

/** This process's environment without settings of Skein. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("SKEIN_")));
}

export function newMeshKey(): string {
  return randomBytes(32).toString("hex");
}

/** Makes a node that is not running yet. */
export async function makeNode(
  settings: Partial<NodeSettings> & { readonly name: string },
): Promise<NodeProcess> {
  const [mqtt = 0, link = 0, http = 0] = await freePorts(3);
  return new NodeProcess({ ports: { mqtt, link, http }, meshKey: newMeshKey(), peers: [], ...settings });
}

/** `count` nodes of one mesh: named a, b, c, ...; each knows all the others' link addresses. */
export interface TestMesh {
  readonly nodes: readonly NodeProcess[];
  readonly meshKey: string;
  remove(): Promise<void>;
}

/**
 * Starts a mesh and waits until all nodes serve, agree on a coordinator and are healthy. `settings` gives what is
 * different for node `at`.
 */
export async function startMesh(
  count: number,
  settings: (at: number) => Partial<NodeSettings> = () => ({}),
): Promise<TestMesh> {
  const meshKey = newMeshKey();
  const ports = await freePorts(count * 3);
  const links = ports.slice(0, count);
  const nodes = links.map((link, at) => {
    return new NodeProcess({
      name: String.fromCharCode(97 + at),
      ports: { link, mqtt: ports[count + at] ?? 0, http: ports[2 * count + at] ?? 0 },
      meshKey,
      peers: links.filter((other) => other !== link).map((other) => `127.0.0.1:${other}`),
      ...settings(at),
    });
  });
  const mesh = {
    nodes,
    meshKey,
    remove: async () => {
      await Promise.all(nodes.map((node) => node.remove()));
    },
  };
  try {
    for (const node of nodes) node.launch();
    await Promise.all(nodes.map((node) => node.serving()));
    await waitUntilHealthy(nodes);
    return mesh;
  } catch (error) {
    await mesh.remove();
    throw error;
  }
}

/** Waits until every node sees all of them alive under one coordinator, with as many voters as the policy wants. */
export async function waitUntilHealthy(nodes: readonly NodeProcess[], withinMs = 45_000): Promise<void> {
  const voters = nodes.length <= 2 ? 1 : nodes.length <= 6 ? 3 : 5;
  await eventually(`${nodes.length} nodes are one healthy mesh`, { withinMs, everyMs: 100 }, async () => {
    const statuses = await Promise.all(nodes.map((node) => node.status()));
    for (const status of statuses) {
      const alive = status.members.filter(({ state }) => state === "alive").length;
      const voting = status.members.filter(({ role }) => role !== "learner").length;
      const agrees =
        status.coordinator === statuses[0]?.coordinator && status.cluster === statuses[0]?.cluster;
      const isComplete = alive === nodes.length && voting === voters && agrees;
      if (!isComplete || status.health !== "healthy") throw new Error(JSON.stringify(status));
    }
  });
}

/** Runs the program to its end with these arguments. `launcher`: as in {@link NodeSettings}. */
export function runSkein(
  args: readonly string[],
  launcher: readonly string[] = [],
): Promise<Exit & { readonly out: string; readonly err: string }> {
  return new Promise((resolve) => {
    const [program = "", ...programArgs] = [...launcher, process.execPath, PROGRAM, ...args];
    const child = spawn(program, programArgs, {
      stdio: ["ignore", "pipe", "pipe"],
      env: cleanEnvironment(),
      timeout: 60_000,
      // One that spins never gets to hear of a gentler signal.
      killSignal: "SIGKILL",
    });
    let out = "";
    let err = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      out += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      err += text;
    });
    child.once("close", (code, signal) => resolve({ code, signal, out, err }));
  });
}
