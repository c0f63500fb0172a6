/**
 * What one entry of the admin API's table looks like, and how its handler says no.
 *
 * A handler sees a request that the server has already checked (request-guard.ts) and the node as a set of actions. It
 * returns the JSON document of the answer; a SkeinError that it throws becomes `{error: sentence}` with a status code.
 */

import { SkeinError } from "@skein/kernel";
import type { NodeActions } from "./node-actions.ts";

/** A request whose method, path, origin and body have been checked. */
export interface AdminRequest {
  readonly query: URLSearchParams;
  /** The JSON object of a POST; empty for GET. */
  readonly body: Readonly<Record<string, unknown>>;
}

/** A document that goes out with another status code than 200. */
export class Answer {
  readonly statusCode: number;
  readonly body: unknown;
  constructor(statusCode: number, body: unknown) {
    this.statusCode = statusCode;
    this.body = body;
  }
}

/** GET only looks; POST changes something. */
export interface Route {
  readonly method: "GET" | "POST";
  readonly path: string;
  /** The document, or an {@link Answer}. @throws {SkeinError} when it cannot be done now, or was asked for wrongly */
  handle(request: AdminRequest, node: NodeActions): unknown;
}

/** A text that the body must hold. @throws {SkeinError} ERR_SKEIN_CONFIG */
export function requiredText({ body }: AdminRequest, field: string): string {
  const value = body[field];
  if (typeof value === "string" && value !== "") return value;
  throw new SkeinError("ERR_SKEIN_CONFIG", `The request lacks "${field}", which must be text.`);
}

/** The status code of an error: what the asker did wrong, or what this node cannot do now. */
export function statusCodeOf(error: SkeinError): number {
  return error.code === "ERR_SKEIN_CONFIG" ? 400 : 409;
}
