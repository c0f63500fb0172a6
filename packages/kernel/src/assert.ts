/**
 * Assertions that stay on in production.
 *
 * A broken invariant is a bug: the process ends and the supervisor restarts it, because a node that
 * went on in an impossible state could hurt the others. What a peer, a client or a disk does wrong is
 * never an assertion (see errors.ts).
 */

/** A broken invariant: a bug in this program. Never caught, except by main, which logs it and exits. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Narrows `condition` to true, or throws {@link AssertionError} with `message`. Stays on in production. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Closes an exhaustive `switch`: a new union member becomes a compile error here. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${JSON.stringify(value)}`);
}
