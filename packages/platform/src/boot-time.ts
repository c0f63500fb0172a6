/**
 * How long ago this machine was booted, with the time it slept (CLOCK_BOOTTIME), which Node's clocks leave out.
 *
 * Source: proc_uptime(5).
 */

import { readFileSync } from "node:fs";

/** In ms, to a hundredth of a second; undefined where the system does not tell. */
export function systemBootMs(): number | undefined {
  try {
    const seconds = Number.parseFloat(readFileSync("/proc/uptime", "latin1"));
    return Number.isFinite(seconds) ? seconds * 1000 : undefined;
  } catch {
    // Not Linux, or /proc is hidden.
    return undefined;
  }
}
