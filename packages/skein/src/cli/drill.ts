/**
 * `skein drill kill|pause|partition NODE`: lets a node fail in earnest, watches from another one, and says how it went.
 *
 * On a real box the node fails by itself, when it is told to by a member (exercises.ts), and the operator types its name first; on
 * containers (`--docker`) docker does it. What would stop the mesh is refused, unless it is forced.
 */

import { createInterface } from "node:readline/promises";
import { SkeinError } from "@skein/kernel";
import { failContainer, nodeInContainer } from "../exercises/docker-drill.ts";
import { DrillRecord } from "../exercises/drill-report.ts";
import { type Look, MeshWatch, seconds } from "../exercises/mesh-watch.ts";
import { DRILLS, type Drill } from "../exercises/node-requests.ts";
import { drillRefusal } from "../exercises/refusals.ts";
import { adminAddress, tellNode } from "./admin-client.ts";
import { EXIT_FAILURE, EXIT_OK } from "./exit-codes.ts";
import { wholeNumber } from "./whole-number.ts";

export interface DrillOptions {
  readonly http?: string;
  readonly json?: boolean;
  /** Seconds, `30` or `30s`. */
  readonly for: string;
  readonly yes?: boolean;
  readonly force?: boolean;
  readonly docker?: boolean;
}

const FOR_MAX_S = 600;
const ORDER_TIMEOUT_MS = 3000;
/** After the failure is over: a restart, an election, and clients that look for the address. */
const SETTLE_MS = 60_000;

const WHAT: Record<Drill, string> = {
  kill: "is killed (its supervisor must start it again)",
  pause: "stands still",
  partition: "hears and says nothing to other nodes",
};

/** Returns 0 if everything came back. @throws {SkeinError} when the drill must not or cannot be done */
export async function drill(kind: string, name: string, options: DrillOptions): Promise<number> {
  const which = drillNamed(kind);
  const forMs = wholeNumber("--for", options.for.replace(/s$/, ""), 1, FOR_MAX_S) * 1000;
  const address = adminAddress(options.http, process.env);
  const before = await new MeshWatch(address).look();
  const node = nodeNamed(before, options.docker === true ? await nodeInContainer(name) : name);
  const refusal = drillRefusal(before.status, node, which, options.force === true);
  if (refusal !== undefined) throw new SkeinError("ERR_SKEIN_REFUSED", refusal);
  if (options.docker !== true && options.yes !== true) await confirm(which, name, forMs);
  const watch = new MeshWatch(address);
  const undo = await begin(options, { address, node, name, which, forMs });
  const record = await observe(
    watch,
    new DrillRecord(before, node, which),
    forMs,
    undo,
    options.json === true,
  );
  const { report } = record;
  if (options.json === true) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  else process.stdout.write(`${report.verdict}\n`);
  return report.isWell ? EXIT_OK : EXIT_FAILURE;
}

interface Order {
  readonly address: string;
  readonly node: string;
  readonly name: string;
  readonly which: Drill;
  readonly forMs: number;
}

/** Lets the node fail. Returns what brings it back; a node that does that by itself needs nothing. */
async function begin(options: DrillOptions, order: Order): Promise<() => Promise<void>> {
  const { address, node, name, which, forMs } = order;
  if (options.docker === true) return failContainer(name, which);
  const body = { node, drill: which, forMs, force: options.force === true };
  await tellNode(address, "/api/drill", body, ORDER_TIMEOUT_MS);
  return async () => undefined;
}

async function observe(
  watch: MeshWatch,
  record: DrillRecord,
  forMs: number,
  undo: () => Promise<void>,
  isQuiet: boolean,
): Promise<DrillRecord> {
  let undone: Promise<void> | undefined;
  const timer = setTimeout(() => {
    undone = undo();
    // Reported when the watch is over.
    undone.catch(() => undefined);
  }, forMs);
  try {
    await watch.until(forMs + SETTLE_MS, (look) => {
      for (const { atMs, text } of record.seen(look))
        if (!isQuiet) process.stdout.write(`  ${seconds(atMs).padStart(7)}  ${text}\n`);
      return record.isOver;
    });
  } finally {
    clearTimeout(timer);
    await (undone ?? undo());
  }
  return record;
}

function drillNamed(kind: string): Drill {
  const found = DRILLS.find((known) => known === kind);
  if (found !== undefined) return found;
  throw new SkeinError("ERR_SKEIN_CONFIG", `There is no drill "${kind}". Use one of: ${DRILLS.join(", ")}`);
}

/** By name or id. */
function nodeNamed({ status }: Look, name: string): string {
  const found = status.members.filter((member) => member.id === name || member.name === name);
  const [node] = found;
  if (node === undefined)
    throw new SkeinError("ERR_SKEIN_CONFIG", `There is no node "${name}" in this mesh. See: skein members`);
  if (found.length > 1)
    throw new SkeinError(
      "ERR_SKEIN_CONFIG",
      `Several nodes are called "${name}". Give the id: skein members`,
    );
  return node.id;
}

async function confirm(which: Drill, name: string, forMs: number): Promise<void> {
  if (process.stdin.isTTY !== true)
    throw new SkeinError(
      "ERR_SKEIN_CONFIG",
      "This drill is in earnest. Add --yes to confirm it without a terminal",
    );
  const time = which === "kill" ? "" : ` for ${forMs / 1000} s`;
  const questions = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const typed = await questions.question(`${name} ${WHAT[which]}${time}. Type its name to go on: `);
    if (typed.trim() !== name)
      throw new SkeinError("ERR_SKEIN_REFUSED", `Nothing was done: that is not ${name}.`);
  } finally {
    questions.close();
  }
}
