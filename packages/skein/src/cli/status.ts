/** `skein status`, `retained`: what a running node says, as text or JSON. */

import type { NodeStatus } from "../node-status.ts";
import { adminAddress, askNode } from "./admin-client.ts";
import { EXIT_DEGRADED, EXIT_OK } from "./exit-codes.ts";
import { printable } from "./printable.ts";
import { formatTable } from "./table.ts";

export interface QueryOptions {
  /** `HOST:PORT` of the node to ask. */
  readonly http?: string;
  readonly json?: boolean;
}

export interface RetainedOptions extends QueryOptions {
  readonly entries?: boolean;
}

interface RetainedAnswer {
  readonly count: number;
  readonly digest: string;
  readonly entries?: readonly { readonly topic: string; readonly payload: string }[];
}

/** Returns 0 if the node is healthy, 4 if not. */
export async function status(options: QueryOptions): Promise<number> {
  const answer = (await askNode(address(options), "/api/status")) as NodeStatus;
  print(options.json === true ? JSON.stringify(answer, null, 2) : formatStatus(answer));
  return answer.health === "healthy" ? EXIT_OK : EXIT_DEGRADED;
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

/** The page that `skein status` shows. */
export function formatStatus(status: NodeStatus): string {
  const alive = status.members.filter(({ state }) => state === "alive" || state === "suspect").length;
  const expected = status.members.filter(({ state }) => state !== "left").length;
  const summary = [
    `MESH ${status.mesh}`,
    status.health,
    `${alive}/${expected} nodes`,
    ...(status.vip.address === null
      ? []
      : [`address ${status.vip.address} on ${nameOf(status, status.vip.holder)}`]),
    `clients ${status.members.reduce((sum, { clients }) => sum + clients, 0)}`,
    `retained ${status.retained}`,
  ].join("   ");
  const reasons = status.reasons.map((reason) => `  ! ${reason}`);
  return [summary, ...reasons, formatMembers(status)].join("\n");
}

function formatMembers(status: NodeStatus): string {
  const rows = status.members.map((member) => [
    `  ${member.name}`,
    member.id === status.coordinator ? "coordinator" : member.role,
    member.state,
    `${member.clients} clients`,
    member.id === status.node ? "this node" : member.address,
    member.id,
  ]);
  return formatTable(rows);
}

function nameOf(status: NodeStatus, id: string | null): string {
  return status.members.find((member) => member.id === id)?.name ?? "nobody";
}

function address(options: QueryOptions): string {
  return adminAddress(options.http, process.env);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
