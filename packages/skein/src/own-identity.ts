/**
 * What follows from a node's identity: whether it runs where that was made, and what it is called.
 *
 * A node that was a copy of another carries that one's name too. It gets its new id's first digits behind it, as long as its
 * operator has not given it another name.
 */

import type { Identity } from "@skein/coordinator";
import type { Home } from "@skein/mesh";

const DIGITS = 4;

export function homeOf({ home, machine }: Identity): Home {
  if (home === "" || machine === "") return "unknown";
  return home === machine ? "here" : "elsewhere";
}

/** `configured`: as the operator calls it. */
export function nameOf(configured: string, { node, copyOf }: Identity): string {
  return copyOf === configured ? `${configured}-${node.slice(0, DIGITS)}` : configured;
}

/** What is said at the first start after it was a copy; undefined: it is not. */
export function copySentence(name: string, { copyOf, incarnation }: Identity): string | undefined {
  if (copyOf === undefined || incarnation !== 1) return undefined;
  return `This node carries the same identity as ${copyOf} (cloned SD card?). New identity created: ${name}.`;
}
