/** `skein members`, `leave` and `forget`: who belongs to the mesh, and how that changes by hand. */

import { createInterface } from "node:readline/promises";
import { SkeinError } from "@skein/kernel";
import type { RosterRow } from "../membership/roster.ts";
import { adminAddress, askNode, tellNode } from "./admin-client.ts";
import { EXIT_OK } from "./exit-codes.ts";
import { formatTable } from "./table.ts";

export interface MembershipOptions {
  /** `HOST:PORT` of the node to ask. */
  readonly http?: string;
  readonly json?: boolean;
  /** Does not ask first. */
  readonly yes?: boolean;
}

/** Longer than the node itself tries. */
const ACTION_TIMEOUT_MS = 45_000;

export async function members(options: MembershipOptions): Promise<number> {
  const rows = (await askNode(address(options), "/api/roster")) as readonly RosterRow[];
  print(options.json === true ? JSON.stringify(rows, null, 2) : formatRoster(rows));
  return EXIT_OK;
}

export async function leave(options: MembershipOptions): Promise<number> {
  await confirm(
    options,
    "This node leaves its mesh, and its program ends. Its clients go to the other nodes.",
  );
  const answer = await tellNode(address(options), "/api/leave", {}, ACTION_TIMEOUT_MS);
  print(
    options.json === true
      ? JSON.stringify(answer)
      : "This node has left its mesh. Started again it is a new one.",
  );
  return EXIT_OK;
}

export async function forget(node: string, options: MembershipOptions): Promise<number> {
  await confirm(
    options,
    `${node} is removed from the mesh for good. If it comes back it joins as a new node.`,
  );
  const answer = await tellNode(address(options), "/api/forget", { node }, ACTION_TIMEOUT_MS);
  print(options.json === true ? JSON.stringify(answer) : `${node} is forgotten. See: skein members`);
  return EXIT_OK;
}

/** One line for each node, and under those that are gone what to do. */
export function formatRoster(rows: readonly RosterRow[]): string {
  const machines = [...new Set(rows.map(({ machine }) => machine).filter((machine) => machine !== ""))];
  const table = formatTable(
    rows.map((row) => [
      row.name,
      row.role,
      row.state,
      row.machine === "" ? "" : `machine ${machines.indexOf(row.machine) + 1}`,
      row.isWired === null ? "" : row.isWired ? "wired" : "Wi-Fi",
      row.upForMs === null ? "" : `up ${duration(row.upForMs)}`,
      row.isThisNode ? "this node" : "",
      row.id,
    ]),
  );
  const advice = rows.filter(({ next }) => next !== null).map(({ name, next }) => `! ${name}: ${next}`);
  return [table, ...advice].join("\n");
}

function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

/** @throws {SkeinError} ERR_SKEIN_CONFIG if nobody can be asked, ERR_SKEIN_REFUSED if the answer is no */
async function confirm({ yes }: MembershipOptions, what: string): Promise<void> {
  if (yes === true) return;
  if (!process.stdin.isTTY)
    throw new SkeinError("ERR_SKEIN_CONFIG", `${what} To do it without being asked add --yes.`);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(`${what} Go on? [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw new SkeinError("ERR_SKEIN_REFUSED", "Nothing was changed.");
  } finally {
    terminal.close();
  }
}

function address(options: MembershipOptions): string {
  return adminAddress(options.http, process.env);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
