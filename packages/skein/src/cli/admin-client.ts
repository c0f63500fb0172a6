/** Asks a running node over its admin API. */

import { SkeinError } from "@skein/kernel";
import { formatHostPort, Problem, parseHostPort } from "../config/addresses.ts";

const DEFAULT_ADDRESS = "127.0.0.1:7880";
const ANSWER_TIMEOUT_MS = 3000;

/** `--http` > SKEIN_HTTP > 127.0.0.1:7880. Returns `host:port`. @throws {SkeinError} ERR_SKEIN_CONFIG */
export function adminAddress(flag: string | undefined, environment: NodeJS.ProcessEnv): string {
  const { SKEIN_HTTP } = environment;
  const text = flag ?? (SKEIN_HTTP || DEFAULT_ADDRESS);
  const parsed = parseHostPort(text);
  if (parsed instanceof Problem)
    throw new SkeinError("ERR_SKEIN_CONFIG", `Cannot use --http "${text}": ${parsed.text}.`);
  // A node that listens on all addresses is asked on this machine's own.
  return formatHostPort({ ...parsed, host: parsed.host === "0.0.0.0" ? "127.0.0.1" : parsed.host });
}

/**
 * Fetches one JSON document.
 *
 * @throws {SkeinError} ERR_SKEIN_NOT_REACHABLE if nobody answers in time or it is no Skein node.
 */
export async function askNode(address: string, path: string): Promise<unknown> {
  let response: Response;
  try {
    response = await fetch(`http://${address}${path}`, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
  } catch (error) {
    throw new SkeinError(
      "ERR_SKEIN_NOT_REACHABLE",
      `No node answers on ${address}. Start one with: skein up, or name another with --http HOST:PORT`,
      { cause: error },
    );
  }
  try {
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    return await response.json();
  } catch (error) {
    throw new SkeinError(
      "ERR_SKEIN_NOT_REACHABLE",
      `What answers on ${address} is not a Skein node. Name the right one with --http HOST:PORT`,
      { cause: error },
    );
  }
}
