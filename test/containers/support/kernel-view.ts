/**
 * What the kernel says about a container, read from outside through /proc of its first process.
 *
 * No command in the container and no call of the engine, so twenty nodes can be looked at twenty times a second, and a frozen
 * one answers too. Needs root.
 */

import { readdirSync, readFileSync } from "node:fs";

/** Counters of one process and its network since they began. */
export interface Usage {
  /** Processor time of all threads, in ms. */
  readonly cpuMs: number;
  /** Resident memory, in bytes: all of it, and what is the process's own. */
  readonly rssBytes: number;
  readonly anonymousBytes: number;
  /** Bytes through eth0. */
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

/** Whether the network of process `pid` has `address` as its own now. False when the process is gone. */
export function kernelHolds(pid: number, address: string): boolean {
  const table = readOr(`/proc/${pid}/net/fib_trie`, "");
  const at = table.indexOf(`|-- ${address}\n`);
  return at !== -1 && /^\s*\/32 host LOCAL/.test(table.slice(table.indexOf("\n", at) + 1));
}

/** Undefined when the process is gone. */
export function usageOf(pid: number): Usage | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const network =
      /eth0:\s*(.*)/.exec(readFileSync(`/proc/${pid}/net/dev`, "utf8"))?.[1]?.split(/\s+/) ?? [];
    let runNs = 0;
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      runNs += Number(readOr(`/proc/${pid}/task/${task}/schedstat`, "0").split(" ")[0]);
    }
    return {
      cpuMs: runNs / 1e6,
      rssBytes: kilobytes(status, "VmRSS"),
      anonymousBytes: kilobytes(status, "RssAnon"),
      receivedBytes: Number(network[0] ?? 0),
      sentBytes: Number(network[8] ?? 0),
    };
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

function kilobytes(status: string, field: string): number {
  return Number(new RegExp(`${field}:\\s*(\\d+)`).exec(status)?.[1] ?? 0) * 1024;
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (isGone(error)) return otherwise;
    throw error;
  }
}

/** ESRCH: it ended while it was being read. EINVAL: so did its network. */
function isGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOENT" || code === "ESRCH" || code === "EINVAL";
}
