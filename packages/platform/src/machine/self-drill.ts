/**
 * Ends or stops this very process, for exercises of what happens then.
 *
 * A stopped process cannot wake itself: a helper does, which is started before. The first process of a container takes no signal
 * from itself, so it can only end, and it cannot be stopped from within.
 */

import { spawn } from "node:child_process";

/** As after `kill -9`. */
const KILLED = 137;

/** Ends this process at once, without a word to anybody. */
export function killSelf(): void {
  if (process.pid === 1) process.exit(KILLED);
  process.kill(process.pid, "SIGKILL");
}

/** Whether {@link pauseSelf} can work here. */
export function canPauseSelf(): boolean {
  return process.pid !== 1 && process.platform !== "win32";
}

/** Stops this process for `forMs`. `failed`: it was not stopped. */
export function pauseSelf(forMs: number, failed: (error: Error) => void): void {
  const script = `setTimeout(() => process.kill(${process.pid}, "SIGCONT"), ${Math.round(forMs)})`;
  const helper = spawn(process.execPath, ["-e", script], { stdio: "ignore", detached: true });
  helper.once("error", failed);
  helper.once("spawn", () => {
    helper.unref();
    process.kill(process.pid, "SIGSTOP");
  });
}
