/**
 * Plants one bug in the shipped code while it is loaded: no switch for it exists in the code itself.
 *
 * A mutant is a piece of a source file and what stands there instead. The piece must occur exactly once; a mutant whose
 * piece has gone means that the code has changed and the mutant must follow, so that is an error and never a pass.
 *
 * Idea: mutation testing of the harness itself (reference design, 5.5).
 */

import { assert } from "@skein/kernel";

export interface Mutant {
  readonly name: string;
  /** What is wrong then, and which promise it breaks. */
  readonly breaks: string;
  /** Path from the root of the repository. */
  readonly file: string;
  readonly search: string;
  readonly replacement: string;
  /** Scenario that reaches the code best; undefined: the swarm. */
  readonly scenario?: string;
}

/** Whether the file that a module was loaded from is the one that `mutant` changes. */
export function concerns(mutant: Mutant, url: string): boolean {
  return url.endsWith(`/${mutant.file}`);
}

/**
 * The text of `mutant.file` with the bug in it.
 *
 * @throws {AssertionError} if what it replaces does not occur exactly once
 */
export function mutate(mutant: Mutant, source: string): string {
  const parts = source.split(mutant.search);
  assert(
    parts.length === 2,
    `mutant "${mutant.name}": its text occurs ${parts.length - 1} times in ${mutant.file}, not once`,
  );
  return parts.join(mutant.replacement);
}
