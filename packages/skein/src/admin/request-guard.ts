/**
 * Who may change something, and how much a request may say.
 *
 * There are no passwords here yet, so a POST must come from a program on this machine, unless the operator opened the node
 * with `--http-actions any`. A page in the browser of a family member is such a program too, but nobody's tool: a cross-site page
 * cannot send the header `x-skein` without asking first (CORS), and one whose name was pointed at this machine (DNS rebinding)
 * is told by its Origin, which must be an address or a local name.
 */

import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { isLoopback } from "../config/addresses.ts";
import { Answer } from "./route.ts";

/** A request says a few names and numbers. */
const BODY_BYTES_MAX = 16_384;

/** Why a POST is refused; undefined: it may go on. */
export function refusal(request: IncomingMessage, httpActions: "local" | "any"): Answer | undefined {
  const { headers, socket } = request;
  if (headers["x-skein"] !== "1")
    return new Answer(403, {
      error: "Refused: a request that changes something needs the header x-skein: 1.",
    });
  if (headers.origin !== undefined && !isOwnPage(headers.origin, headers.host))
    return new Answer(403, { error: `Refused: the page ${headers.origin} is not this node's own.` });
  if (httpActions === "local" && !isThisMachine(socket.remoteAddress, socket.localAddress))
    return new Answer(403, {
      error:
        `Refused: ${plainAddress(socket.remoteAddress)} is another machine. Run the command on this node's machine, ` +
        "or start the node with --http-actions any (on a network where everybody may do that).",
    });
  return undefined;
}

/** Reads the JSON object of a POST; an {@link Answer} says what is wrong with it. */
export async function readBody(
  request: IncomingMessage,
): Promise<Readonly<Record<string, unknown>> | Answer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > BODY_BYTES_MAX)
      return new Answer(413, { error: `The request is larger than ${BODY_BYTES_MAX} bytes.` });
    chunks.push(chunk);
  }
  if (length === 0) return {};
  try {
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString("utf8"));
    if (typeof body === "object" && body !== null && !Array.isArray(body))
      return body as Record<string, unknown>;
  } catch {
    // Said below: not JSON and not an object are the same mistake.
  }
  return new Answer(400, { error: "The request's body must be one JSON object." });
}

/** Programs here reach the node by loopback or by one of its own addresses; then both ends have the same one. */
function isThisMachine(remote: string | undefined, local: string | undefined): boolean {
  return remote !== undefined && (isLoopback(plainAddress(remote)) || remote === local);
}

function isOwnPage(origin: string, host: string | undefined): boolean {
  const page = URL.parse(origin);
  if (page === null || page.host !== host) return false;
  const name = page.hostname.replace(/^\[|\]$/g, "");
  // Names that no stranger's name server can point here.
  return isIP(name) !== 0 || !name.includes(".") || name.endsWith(".local");
}

/** `::ffff:192.168.1.20` -> `192.168.1.20`. */
function plainAddress(address: string | undefined): string {
  return (address ?? "an unknown address").replace(/^::ffff:/, "");
}
