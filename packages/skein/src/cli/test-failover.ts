/**
 * `skein test-failover`: moves the floating address on purpose, and says how long that took and whether all came back.
 *
 * Works on any node: the one that is asked passes the order on to the coordinator, and counts by asking the others. A move is
 * orderly: it shows that the second node can do it and that clients come back, not how long a power cut lasts (`skein drill`).
 */

import { MeshWatch } from "../exercises/mesh-watch.ts";
import { MoveRecord, moveSentence } from "../exercises/move-report.ts";
import { moveRefusal } from "../exercises/refusals.ts";
import { adminAddress, tellNode } from "./admin-client.ts";
import { EXIT_FAILURE, EXIT_OK } from "./exit-codes.ts";
import { wholeNumber } from "./whole-number.ts";

export interface TestFailoverOptions {
  readonly http?: string;
  readonly json?: boolean;
  /** Seconds. */
  readonly timeout: string;
}

const TIMEOUT_MAX_S = 600;
/** More than a node waits for another one. */
const ORDER_TIMEOUT_MS = 3000;
const PROGRESS_EVERY_MS = 1000;

/** Returns 0 if the address and all clients came back. @throws {SkeinError} when it cannot be moved */
export async function testFailover(options: TestFailoverOptions): Promise<number> {
  const timeoutMs = wholeNumber("--timeout", options.timeout, 1, TIMEOUT_MAX_S) * 1000;
  const node = adminAddress(options.http, process.env);
  const before = await new MeshWatch(node).look();
  const refusal = moveRefusal(before.status);
  if (refusal !== undefined) {
    process.stderr.write(`skein: ${refusal}\n`);
    return EXIT_FAILURE;
  }
  const watch = new MeshWatch(node);
  const { connections } = (await tellNode(node, "/api/move-address", {}, ORDER_TIMEOUT_MS)) as {
    readonly connections: number;
  };
  const record = new MoveRecord(before, connections);
  let progressAt = PROGRESS_EVERY_MS;
  await watch.until(timeoutMs, (look) => {
    const isOver = record.seen(look);
    if (!isOver && look.at >= progressAt) {
      progressAt = look.at + PROGRESS_EVERY_MS;
      process.stderr.write(`  ${record.progress}\n`);
    }
    return isOver;
  });
  const { report } = record;
  process.stdout.write(`${options.json === true ? JSON.stringify(report, null, 2) : moveSentence(report)}\n`);
  if (report.problem !== null && options.json !== true) process.stderr.write(`skein: ${report.problem}\n`);
  return report.isWell ? EXIT_OK : EXIT_FAILURE;
}
