/**
 * Notices that the machine slept: its monotonic clock stood still meanwhile, the time since it was booted went on.
 *
 * Linux keeps the one in CLOCK_MONOTONIC and the other in CLOCK_BOOTTIME (/proc/uptime). A virtual machine whose clocks are
 * both stopped shows nothing; there only the next quorum round tells (reference design, section 2.4).
 */

/** More than reading the two one after the other, in hundredths of a second, can make. */
const SLEPT_MS = 200;

export class SuspendWatch {
  #differenceMs: number | undefined;

  /** Whether the machine slept since the last call. `bootMs`: undefined where the system does not tell. */
  hasSlept(bootMs: number | undefined, monotonicMs: number): boolean {
    if (bootMs === undefined) return false;
    const differenceMs = bootMs - monotonicMs;
    const before = this.#differenceMs ?? differenceMs;
    // The smallest difference is the one that was read without delay.
    this.#differenceMs = Math.min(before, differenceMs);
    if (differenceMs - before <= SLEPT_MS) return false;
    this.#differenceMs = differenceMs;
    return true;
  }
}
