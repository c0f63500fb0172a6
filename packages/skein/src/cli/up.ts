/** `skein up`: runs one node until it is asked to stop. With `--join` it becomes a member of a mesh first. */

import { hostname } from "node:os";
import { SkeinError } from "@skein/kernel";
import { collectReadBuffersYoung, collectStartGarbage, dialAsGuest, multicastDns } from "@skein/platform";
import { boundYoungGeneration } from "@skein/platform/young-generation";
import { type RunningNode, startNode } from "../compose.ts";
import { Problem } from "../config/addresses.ts";
import { loadConfig, type NodeConfig } from "../config/load-config.ts";
import type { SettingName } from "../config/settings.ts";
import { parseCode } from "../joining/code.ts";
import { type NodeLog, openLog } from "../pino-log.ts";
import { stopSignal } from "../shutdown.ts";
import { EXIT_OK } from "./exit-codes.ts";

type Flags = Readonly<Partial<Record<SettingName, unknown>>>;

/**
 * `join`: a code as it was typed.
 *
 * @throws {SkeinError} when the node cannot start: bad settings, a port in use, an unusable data directory, a code of no use.
 */
export async function up(flags: Flags, join: string | undefined): Promise<number> {
  collectReadBuffersYoung();
  let running: RunningNode | undefined;
  const stopped = stopSignal(() => running?.reload());
  const sources = {
    flags,
    environment: process.env,
    hostName: hostname().split(".")[0] ?? "node",
  };
  let config = await loadConfig(sources);
  const isTerminal = process.stdout.isTTY === true;
  const { NO_COLOR = "" } = process.env;
  const isColored = isTerminal && NO_COLOR === "";
  const log = await openLog({ level: config.logLevel, isTerminal, isColored });
  if (join !== undefined) {
    const startedAt = performance.now();
    await joinWith(join, config, log, flags.mesh !== undefined);
    // The mesh has settings of its own, which are in the data directory now.
    config = await loadConfig(sources);
    const node = await startNode(config, log);
    void node.serving.then(() => say(joinedSentence(node, performance.now() - startedAt)));
    running = node;
  } else running = await startNode(config, log);
  return run(running, log, stopped);
}

async function run(node: RunningNode, log: NodeLog, stopped: Promise<string>): Promise<number> {
  boundYoungGeneration();
  collectStartGarbage();
  const end = await Promise.race([stopped, node.failed, node.left]);
  if (end instanceof Error) log.error({ error: end }, "stopping after a failure");
  else if (end === "left") log.info({}, "stopping for good: this node has left its mesh");
  else log.info({ signal: end }, "stopping");
  await node.stop();
  log.info({}, "stopped");
  if (end instanceof Error) throw end;
  return EXIT_OK;
}

async function joinWith(
  typed: string,
  config: NodeConfig,
  log: NodeLog,
  isMeshGiven: boolean,
): Promise<void> {
  const code = parseCode(typed);
  if (code instanceof Problem)
    throw new SkeinError("ERR_SKEIN_CONFIG", `Cannot use this join code: ${code.text}.`);
  const mdns =
    config.isMdnsEnabled && config.peers.length === 0
      ? multicastDns({ log: log.component("mesh") })
      : undefined;
  const { joinMesh } = await import("../joining/newcomer.ts");
  const { mesh, host } = await joinMesh(config, code, isMeshGiven, { dial: dialAsGuest, mdns, say });
  say(`Found mesh "${mesh}" (${host}). Its key and settings are in ${config.dataDirectory}.`);
}

function joinedSentence(node: RunningNode, tookMs: number): string {
  const { mesh, name, members, retained } = node.status();
  const nodes = members.filter(({ state }) => state === "alive").length;
  const redundancy =
    nodes > 1 ? "Survives the loss of any one node." : "The other nodes are not in sight yet.";
  return `[ok] joined "${mesh}" as ${name}: ${nodes} nodes, ${retained} retained messages, in ${(tookMs / 1000).toFixed(1)} s. ${redundancy}`;
}

/** For the person who typed the command: beside the log, which may be read by a machine. */
function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
