/** A number that every commit has another one of: what is chosen by it is there again when the commit is tested again. */

import { execFileSync } from "node:child_process";

/** The first 28 bits of the commit: far from those of the next. SKEIN_SIM_SEED chooses another; outside a checkout always 1. */
export function commitNumber(): number {
  const { SKEIN_SIM_SEED } = process.env;
  if (SKEIN_SIM_SEED !== undefined) return Number(SKEIN_SIM_SEED);
  try {
    const commit = execFileSync("git", ["rev-parse", "HEAD"], { encoding: "utf8", stdio: "pipe" });
    return Number.parseInt(commit.slice(0, 7), 16);
  } catch {
    return 1;
  }
}
