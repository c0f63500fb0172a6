/**
 * Long work in pieces: a generator that yields where one ends, so that who drives it can let the node do other work in between.
 *
 * The work itself keeps no clock. It counts what it has done, in bytes mostly, which is about the same as time on any one machine.
 */

/** Work that ends with a `Result`. */
export type Pieces<Result> = Generator<undefined, Result>;

/** Whether it is time to yield. True once for each piece. */
export type IsPieceFull = () => boolean;

/** All of them, one right after the other. */
export function atOnce<Result>(pieces: Pieces<Result>): Result {
  for (;;) {
    const { done, value } = pieces.next();
    if (done === true) return value;
  }
}
