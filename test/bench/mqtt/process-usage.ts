/** What a process has used so far, as the kernel counts it: user and system time of all its threads, and resident memory. */

import { readdirSync, readFileSync } from "node:fs";

export interface Usage {
  readonly cpuMs: number;
  readonly rssBytes: number;
}

/** Summed over `pids`. */
export function usageOf(pids: readonly number[]): Usage {
  const all = pids.map((pid) => ({ cpuMs: cpuMs(pid), rssBytes: rssBytes(pid) }));
  return {
    cpuMs: all.reduce((sum, usage) => sum + usage.cpuMs, 0),
    rssBytes: all.reduce((sum, usage) => sum + usage.rssBytes, 0),
  };
}

/** The scheduler's own count, in nanoseconds: /proc/PID/stat has only hundredths of a second. */
function cpuMs(pid: number): number {
  let ns = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const [onCpu = "0"] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ");
    ns += Number(onCpu);
  }
  return ns / 1e6;
}

function rssBytes(pid: number): number {
  const [, kilobytes = "0"] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) * 1024;
}
