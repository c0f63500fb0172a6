/**
 * How long ago this machine was booted, with the time it slept (CLOCK_BOOTTIME), which Node's other clocks leave out.
 *
 * On Linux `os.uptime` reads /proc/uptime, or that clock where /proc is hidden; elsewhere it may follow a wall clock that is being set.
 *
 * Source: proc_uptime(5); libuv, uv_uptime.
 */

import { platform, uptime } from "node:os";

/** In ms, to a hundredth of a second; undefined where the system does not tell. */
export function systemBootMs(): number | undefined {
  return platform() === "linux" ? uptime() * 1000 : undefined;
}
