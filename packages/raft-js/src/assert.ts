/**
 * Assertions that stay on in production.
 *
 * A broken invariant of this server is a bug, and a consensus core that goes on in an impossible state could make
 * the others lose data: it throws, and its process should end. What a peer sends is never an assertion.
 */

/** A broken invariant: a bug in this program or in its driver. */
export class RaftAssertionError extends Error {
  override readonly name = "RaftAssertionError";
}

/**
 * Narrows `condition` to true, or throws {@link RaftAssertionError} with `message` and the values that broke it. They are
 * put into words only then: most assertions stand where every entry passes.
 */
export function assert(condition: boolean, message: string, ...values: unknown[]): asserts condition {
  if (!condition) throw new RaftAssertionError([message, ...values].join(" "));
}

/** Closes an exhaustive `switch`: a new union member becomes a compile error here. */
export function unreachable(value: never): never {
  throw new RaftAssertionError(`unreachable: ${JSON.stringify(value)}`);
}
