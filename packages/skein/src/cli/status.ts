/** `skein status`, `retained`: what a running node says, as text or JSON. */

import { SkeinError } from "@skein/kernel";
import type { Health, NodeStatus } from "../node-status.ts";
import { stopSignal } from "../shutdown.ts";
import { formatStatus } from "../status/status-page.ts";
import { adminAddress, askNode } from "./admin-client.ts";
import { EXIT_DEGRADED, EXIT_FAILURE, EXIT_OK } from "./exit-codes.ts";
import { printable } from "./printable.ts";
import { wholeNumber } from "./whole-number.ts";

interface QueryOptions {
  /** `HOST:PORT` of the node to ask. */
  readonly http?: string;
  readonly json?: boolean;
}

interface StatusOptions extends QueryOptions {
  /** Ask until the node is healthy. */
  readonly wait?: string;
  /** For at most this many seconds. */
  readonly timeout: string;
  /** Print anew every second until Ctrl-C. */
  readonly watch?: boolean;
}

export interface RetainedOptions extends QueryOptions {
  readonly entries?: boolean;
}

interface RetainedAnswer {
  readonly count: number;
  readonly digest: string;
  readonly entries?: readonly { readonly topic: string; readonly payload: string }[];
}

const EXIT_CODES: Readonly<Record<Health, number>> = {
  healthy: EXIT_OK,
  degraded: EXIT_DEGRADED,
  down: EXIT_FAILURE,
};
const ASK_EVERY_MS = 500;
const WATCH_EVERY_MS = 1000;
const TIMEOUT_MAX_SECONDS = 86_400;

/** Returns 0 healthy, 4 degraded, 1 down. A node that cannot be asked is down as well. */
export async function status(options: StatusOptions): Promise<number> {
  const at = address(options);
  const answer = options.wait === undefined ? await ask(at) : await waitHealthy(at, options);
  if (answer instanceof SkeinError) {
    process.stderr.write(`skein: ${answer.message}\n`);
    return EXIT_FAILURE;
  }
  show(answer, options);
  if (options.watch === true) await watch(at, options);
  return EXIT_CODES[answer.health];
}

export async function retained(options: RetainedOptions): Promise<number> {
  const path = options.entries === true ? "/api/retained?entries=1" : "/api/retained";
  const answer = (await askNode(address(options), path)) as RetainedAnswer;
  if (options.json === true) print(JSON.stringify(answer, null, 2));
  else if (answer.entries === undefined) print(`${answer.count} retained messages, digest ${answer.digest}`);
  else
    for (const { topic, payload } of answer.entries) {
      const line = `${topic} ${Buffer.from(payload, "base64").toString("utf8")}`;
      print(process.stdout.isTTY ? printable(line) : line);
    }
  return EXIT_OK;
}

/** Nobody there is an answer too: the mesh is down as far as the asker can tell. */
async function ask(at: string): Promise<NodeStatus | SkeinError> {
  try {
    return (await askNode(at, "/api/status")) as NodeStatus;
  } catch (error) {
    if (error instanceof SkeinError) return error;
    throw error;
  }
}

async function waitHealthy(at: string, { wait, timeout }: StatusOptions): Promise<NodeStatus | SkeinError> {
  if (wait !== "healthy")
    throw new SkeinError("ERR_SKEIN_CONFIG", `Cannot use --wait "${wait}": it can wait for healthy only.`);
  const seconds = wholeNumber("--timeout", timeout.replace(/s$/, ""), 1, TIMEOUT_MAX_SECONDS);
  const until = performance.now() + seconds * 1000;
  for (;;) {
    const answer = await ask(at);
    const isHealthy = !(answer instanceof SkeinError) && answer.health === "healthy";
    if (isHealthy || performance.now() >= until) return answer;
    await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
  }
}

async function watch(at: string, options: StatusOptions): Promise<void> {
  let isStopped = false;
  const stopped = stopSignal().then(() => {
    isStopped = true;
  });
  for (;;) {
    await Promise.race([stopped, new Promise((resolve) => setTimeout(resolve, WATCH_EVERY_MS))]);
    if (isStopped) return;
    const answer = await ask(at);
    if (isStopped) return;
    if (process.stdout.isTTY && options.json !== true) process.stdout.write("\x1b[H\x1b[2J");
    if (answer instanceof SkeinError) print(answer.message);
    else show(answer, options);
  }
}

function show(status: NodeStatus, { json }: QueryOptions): void {
  // Names come from other machines.
  print(json === true ? JSON.stringify(status, null, 2) : printable(formatStatus(status)));
}

function address(options: QueryOptions): string {
  return adminAddress(options.http, process.env);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
