/** Exit codes of every `skein` command, so that scripts and monitoring can tell what happened. */

import type { SkeinError } from "@skein/kernel";

export const EXIT_OK = 0;
/** It did not work: a port in use, an unreadable directory, a time-out. */
export const EXIT_FAILURE = 1;
/** It was asked for wrongly: an unknown option, an invalid value. */
export const EXIT_USAGE = 2;
/** The node or broker does not answer. */
const EXIT_NOT_REACHABLE = 3;
/** The node answers, and says that something is wrong with the mesh. */
export const EXIT_DEGRADED = 4;

/** The exit code for an error that reached the user. */
export function exitCodeOf(error: SkeinError): number {
  if (error.code === "ERR_SKEIN_CONFIG") return EXIT_USAGE;
  if (error.code === "ERR_SKEIN_NOT_REACHABLE") return EXIT_NOT_REACHABLE;
  return EXIT_FAILURE;
}
