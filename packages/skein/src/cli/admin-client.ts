/**
 * Asks a running node over its admin API, or tells it to do something.
 *
 * A node that says no says why in one sentence; it becomes the sentence of the command, with an exit code (exit-codes.ts).
 */

import { type ErrorCode, SkeinError } from "@skein/kernel";
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
 * @throws {SkeinError} ERR_SKEIN_NOT_REACHABLE if nobody answers in time or it is no Skein node; ERR_SKEIN_CONFIG or
 *   ERR_SKEIN_REFUSED with the node's own sentence if it says no.
 */
export function askNode(address: string, path: string): Promise<unknown> {
  return exchange(address, path, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
}

/** Has a node do something, and returns what it says about it. `timeoutMs`: how long that may take. @throws as {@link askNode} */
export function tellNode(
  address: string,
  path: string,
  body: Readonly<Record<string, unknown>> = {},
  timeoutMs = ANSWER_TIMEOUT_MS,
): Promise<unknown> {
  return exchange(address, path, {
    method: "POST",
    headers: { "x-skein": "1", "content-type": "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(timeoutMs),
  });
}

async function exchange(address: string, path: string, init: RequestInit): Promise<unknown> {
  let response: Response;
  try {
    response = await fetch(`http://${address}${path}`, init);
  } catch (error) {
    throw notReachable(
      `No node answers on ${address}. Start one with: skein up, or name another with --http HOST:PORT`,
      error,
    );
  }
  let answer: unknown;
  try {
    answer = await response.json();
  } catch (error) {
    throw notSkein(address, error);
  }
  if (response.ok) return answer;
  const sentence = (answer as { error?: unknown } | null)?.error;
  if (typeof sentence !== "string") throw notSkein(address, new Error(`HTTP ${response.status}`));
  throw new SkeinError(codeOf(response.status), sentenceOf(response.status, address, sentence));
}

function codeOf(statusCode: number): ErrorCode {
  return statusCode === 400 ? "ERR_SKEIN_CONFIG" : "ERR_SKEIN_REFUSED";
}

function sentenceOf(statusCode: number, address: string, sentence: string): string {
  if (statusCode !== 404) return sentence;
  return `The node on ${address} does not know this command: its version of Skein is another one. Compare: skein version`;
}

function notSkein(address: string, cause: unknown): SkeinError {
  return notReachable(
    `What answers on ${address} is not a Skein node. Name the right one with --http HOST:PORT`,
    cause,
  );
}

function notReachable(message: string, cause: unknown): SkeinError {
  return new SkeinError("ERR_SKEIN_NOT_REACHABLE", message, { cause });
}
