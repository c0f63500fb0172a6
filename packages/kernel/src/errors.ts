/**
 * Errors a caller is meant to handle. Each has a stable code that users can search for.
 *
 * Three kinds of failure exist, and only one of them is an exception here: a bug is an assertion
 * (assert.ts); what a peer or client does wrong is a reason code on the wire; what the world outside
 * does (a port in use, a full disk) is a SkeinError.
 */

/** Every code that a {@link SkeinError} may carry. Listed in docs/reference/errors.md and never reused. */
export type ErrorCode =
  | "ERR_SKEIN_CONFIG"
  | "ERR_SKEIN_PORT_IN_USE"
  | "ERR_SKEIN_LISTEN"
  | "ERR_SKEIN_CONNECT"
  | "ERR_SKEIN_DATA_DIR"
  | "ERR_SKEIN_DISK"
  | "ERR_SKEIN_DATA_LOST"
  | "ERR_SKEIN_DISK_FULL"
  | "ERR_SKEIN_MALFORMED"
  | "ERR_SKEIN_NOT_REACHABLE"
  | "ERR_SKEIN_REFUSED"
  | "ERR_SKEIN_PROCESS"
  | "ERR_SKEIN_VERSION";

/** An expected failure of the world outside. The message names the cause and, where there is one, the fix. */
export class SkeinError extends Error {
  override readonly name = "SkeinError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
