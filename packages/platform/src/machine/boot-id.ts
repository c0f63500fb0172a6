/**
 * Which run of this machine this is: a name that is the same until the machine restarts.
 *
 * A process that was killed leaves its writes with the operating system; a machine that lost power does not. Whoever
 * finds the mark of an unclean stop tells the two apart by this. In a container it is the host's, which is right: the
 * page cache is the host's too.
 */

import { readFileSync } from "node:fs";
import { codeOf } from "../system-error.ts";

const FILE = "/proc/sys/kernel/random/boot_id";

/** 36 characters, or undefined where the system does not tell (then every unclean stop counts as the machine's). */
export function systemBootId(): string | undefined {
  try {
    return readFileSync(FILE, "latin1").trim();
  } catch (error) {
    // Not Linux, or /proc is hidden.
    if (codeOf(error) === undefined) throw error;
    return undefined;
  }
}
