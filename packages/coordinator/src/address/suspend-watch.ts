/**
 * Notices that the machine slept: its monotonic clock stood still meanwhile, the time since it was booted went on.
 *
 * Linux keeps the one in CLOCK_MONOTONIC and the other in CLOCK_BOOTTIME (/proc/uptime). The two cannot be read at one instant, and
 * on a busy machine a quarter of a second may pass in between; so the one is read before and after the other, and only what
 * no delay explains is a sleep. A virtual machine whose clocks are both stopped shows nothing; there only the next quorum round
 * tells (reference design, section 2.4).
 */

/** More than hundredths of a second and a drift can make. */
const SLEPT_MS = 200;

export class SuspendWatch {
  /** Largest that the difference between the two clocks can have been. */
  #differenceMs: number | undefined;

  /**
   * Whether the machine slept since the last call.
   * @param bootMs undefined where the system does not tell
   * @param beforeMs monotonic clock before that was read @param afterMs and after
   */
  hasSlept(bootMs: number | undefined, beforeMs: number, afterMs: number): boolean {
    if (bootMs === undefined) return false;
    const most = bootMs - beforeMs;
    const least = bootMs - afterMs;
    const known = this.#differenceMs ?? most;
    const hasSlept = least - known > SLEPT_MS;
    this.#differenceMs = hasSlept ? most : Math.min(known, most);
    return hasSlept;
  }
}
