/**
 * Plants one bug in the shipped code while it is loaded: no switch for it exists in the code itself.
 *
 * A mutant is a piece of a source file and what stands there instead. The piece must occur exactly once; a mutant whose
 * piece has gone means that the code has changed and the mutant must follow, so that is an error and never a pass.
 *
 * Idea: mutation testing of the harness itself (reference design, 5.5).
 */

import { assert } from "@skein/kernel";

/** One change of one file. */
export interface Edit {
  /** Path from the root of the repository. */
  readonly file: string;
  readonly search: string;
  readonly replacement: string;
}

export interface Mutant extends Edit {
  readonly name: string;
  /** What is wrong then, and which promise it breaks. */
  readonly breaks: string;
  /** A second change without which the first would not show. */
  readonly and?: Edit;
  /** "writes": clients do not show it, and without them more seeds fit in the time. Default: "household". */
  readonly load?: "writes" | "household";
  /** Scenario that reaches the code best; undefined: the swarm. */
  readonly scenario?: string;
}

/** The changes of the file that a module is loaded from. */
export function editsOf(mutant: Mutant, url: string): readonly Edit[] {
  const edits: readonly Edit[] = mutant.and === undefined ? [mutant] : [mutant, mutant.and];
  return edits.filter(({ file }) => url.endsWith(`/${file}`));
}

/**
 * The text of `edit.file` with the bug in it.
 *
 * @throws {AssertionError} if what it replaces does not occur exactly once
 */
export function mutate({ file, search, replacement }: Edit, source: string): string {
  const parts = source.split(search);
  assert(parts.length === 2, `the text of a mutant occurs ${parts.length - 1} times in ${file}, not once`);
  return parts.join(replacement);
}
