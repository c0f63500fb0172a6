/**
 * `skein demo`: a mesh of real nodes on this machine, to look at and to break.
 *
 * Each node is a process of its own (`skein up` on loopback with a temporary data directory), so that killing one is
 * killing one. The demo starts them, says how to talk to them, and prints what happens until Ctrl-C.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SkeinError } from "@skein/kernel";
import { askNode } from "../cli/admin-client.ts";
import { EXIT_OK } from "../cli/exit-codes.ts";
import type { NodeStatus } from "../node-status.ts";
import { stopSignal } from "../shutdown.ts";
import { EMPTY_SNAPSHOT, eventsBetween, isFormed, snapshotOf } from "./demo-events.ts";
import { type DemoNode, demoNodes } from "./demo-options.ts";

const LOOK_INTERVAL_MS = 500;
const FORMATION_MAX_MS = 60_000;
const STOP_MAX_MS = 8000;
/** Last error lines of a node that are kept, to show why it ended. */
const ERROR_TEXT_MAX = 2000;

interface RunningDemoNode extends DemoNode {
  readonly process: ChildProcess;
  /** Settles with what it last wrote to standard error when the process has ended. */
  readonly ended: Promise<string>;
}

/** Runs until Ctrl-C. @throws {SkeinError} if a node cannot start, such as when its port is taken. */
export async function demo(options: { readonly nodes: string; readonly port: string }): Promise<number> {
  const layout = demoNodes(options);
  const stopped = stopSignal();
  const directory = mkdtempSync(join(tmpdir(), "skein-demo-"));
  // A name of its own: where another demo has these ports, its nodes must not be taken for the own ones.
  const mesh = `demo-${randomBytes(3).toString("hex")}`;
  const nodes: RunningDemoNode[] = [];
  const stopping = new AbortController();
  // However this process ends, its nodes end too.
  process.once("exit", () => {
    for (const node of nodes) node.process.kill("SIGKILL");
  });
  try {
    const keyFile = join(directory, "mesh.key");
    writeFileSync(keyFile, randomBytes(32).toString("hex"), { mode: 0o600 });
    print(`Starting ${layout.length} nodes, data in ${directory}`);
    for (const node of layout) nodes.push(startDemoNode(node, layout, directory, keyFile, mesh));
    const outcome = await Promise.race([stopped, watch(nodes, mesh, stopping.signal)]);
    if (outcome instanceof Error) throw outcome;
    print("Stopping all nodes");
    return EXIT_OK;
  } finally {
    stopping.abort();
    await Promise.all(nodes.map(stopDemoNode));
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

function startDemoNode(
  node: DemoNode,
  all: readonly DemoNode[],
  directory: string,
  keyFile: string,
  mesh: string,
): RunningDemoNode {
  const program = fileURLToPath(new URL("../../bin/skein.cjs", import.meta.url));
  const peers = all
    .filter((other) => other !== node)
    .flatMap((other) => ["--peer", `127.0.0.1:${other.linkPort}`]);
  const args = ["up", "--name", node.name, "--data-dir", join(directory, node.name), "--mesh", mesh];
  args.push("--mesh-key", `@${keyFile}`, "--listen", `mqtt://127.0.0.1:${node.mqttPort}`);
  args.push(
    "--link",
    `127.0.0.1:${node.linkPort}`,
    "--http",
    `127.0.0.1:${node.httpPort}`,
    "--no-mdns",
    ...peers,
  );
  // Detached from the terminal: Ctrl-C reaches the demo alone, which then stops its nodes in order.
  const child = spawn(process.execPath, [program, ...args], {
    stdio: ["ignore", "ignore", "pipe"],
    detached: true,
    env: withoutSettings(process.env),
  });
  let errorText = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errorText = (errorText + text).slice(-ERROR_TEXT_MAX);
  });
  const ended = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", () => resolve(errorText.trim()));
  });
  return { ...node, process: child, ended };
}

/** The demo's own flags decide; a SKEIN_VIP meant for a real node must not reach it. */
function withoutSettings(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith("SKEIN_")));
}

/** Prints events until `signal`. Returns an error if the mesh does not form. */
async function watch(nodes: readonly RunningDemoNode[], mesh: string, signal: AbortSignal): Promise<Error> {
  const startedAt = performance.now();
  const ends = new Map<string, string>();
  for (const node of nodes) void node.ended.then((text) => ends.set(node.name, text));
  let before = EMPTY_SNAPSHOT;
  let isIntroduced = false;
  const reported = new Set<string>();
  for (;;) {
    await pause(LOOK_INTERVAL_MS, signal);
    for (const [name, text] of ends) {
      if (!isIntroduced) return new SkeinError("ERR_SKEIN_PROCESS", startFailure(name, text));
      if (reported.has(name)) continue;
      reported.add(name);
      printEvent(startedAt, `${name} stopped: its process has ended`);
    }
    const running = nodes.filter(({ name }) => !ends.has(name));
    const statuses = (await look(running)).filter((status) => status.mesh === mesh);
    const after = snapshotOf(statuses);
    for (const event of eventsBetween(before, after)) printEvent(startedAt, event);
    before = after;
    if (!isIntroduced && isFormed(statuses, nodes.length)) {
      isIntroduced = true;
      introduce(nodes, statuses);
    }
    if (!isIntroduced && performance.now() - startedAt > FORMATION_MAX_MS)
      return new SkeinError(
        "ERR_SKEIN_PROCESS",
        `The nodes did not form a mesh within ${FORMATION_MAX_MS / 1000} s.`,
      );
  }
}

function startFailure(name: string, errorText: string): string {
  const reason =
    errorText
      .split("\n")
      .at(-1)
      ?.replace(/^skein: /, "") ?? "";
  const fix = reason.includes("already in use") ? " (here: skein demo --port 2883)" : "";
  return `${name} could not start. ${reason === "" ? "It gave no reason." : reason}${fix}`;
}

async function look(nodes: readonly RunningDemoNode[]): Promise<readonly NodeStatus[]> {
  const answers = await Promise.allSettled(
    nodes.map((node) => askNode(`127.0.0.1:${node.httpPort}`, "/api/status") as Promise<NodeStatus>),
  );
  return answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
}

function introduce(nodes: readonly RunningDemoNode[], statuses: readonly NodeStatus[]): void {
  const [status] = statuses;
  const [first, last] = [nodes[0], nodes.at(-1)];
  if (status === undefined || first === undefined || last === undefined) return;
  const name = status.members.find(({ id }) => id === status.coordinator)?.name ?? "nobody";
  print(`
One mesh of ${nodes.length} nodes. ${name} coordinates. Try, each in its own terminal:

  mosquitto_sub -p ${first.mqttPort} -t 'demo/#' -v
  mosquitto_pub -p ${last.mqttPort} -t demo/hello -m hi
  kill -9 ${last.process.pid}

Without mosquitto: npx skein sub and npx skein pub take the same options. What happens is shown here; Ctrl-C stops all.
`);
}

async function stopDemoNode(node: RunningDemoNode): Promise<void> {
  if (node.process.exitCode !== null || node.process.signalCode !== null) return;
  node.process.kill("SIGTERM");
  const kill = setTimeout(() => node.process.kill("SIGKILL"), STOP_MAX_MS);
  await node.ended;
  clearTimeout(kill);
}

/** Resolves after `delayMs`; never if `signal` comes first, so that whoever waits simply ends there. */
function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return;
    const stop = (): void => clearTimeout(timer);
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, delayMs);
    signal.addEventListener("abort", stop, { once: true });
  });
}

function printEvent(startedAt: number, text: string): void {
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1).padStart(6);
  print(`${seconds} s  ${text}`);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
