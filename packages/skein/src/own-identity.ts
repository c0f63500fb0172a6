/**
 * What follows from a node's identity: whether it runs where that was made, what it is called, and who goes on under it after a copy was in use.
 *
 * A node that was a copy of another carries that one's name too. It gets its new id's first digits behind it, as long as its
 * operator has not given it another name.
 */

import type { Coordinator, Identity } from "@skein/coordinator";
import type { Home, Outrun } from "@skein/mesh";

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

interface OwnNode {
  readonly identity: Identity;
  readonly name: string;
  readonly coordinator: { readonly ending: Pick<Coordinator["ending"], "outrun" | "startAnew"> };
}

/**
 * Others have had a link with a copy of this node's data that has been started as often, or more often. The identity stays where it was made, whatever ran
 * last; elsewhere a new node is made. Where the system does not tell, this node goes on: should the copy come back, one of the two yields (mesh, link/twins.ts).
 */
export function goOnAfterCopy(
  { identity, name, coordinator }: OwnNode,
  configured: string,
  by: Outrun,
): void {
  const where = by.address === "" ? "" : `, last at ${by.address}`;
  if (homeOf(identity) === "elsewhere") {
    const reason = `${configured}, whose identity this node has, was in use since (cloned SD card?)${where}`;
    coordinator.ending.startAnew(reason, configured);
    return;
  }
  const used = `A copy of this node's data was in use while this node was off (cloned SD card, restored backup?)${where}.`;
  const then = `This node stays ${name} and catches up before it votes; the copy becomes a node of its own when it is started again.`;
  coordinator.ending.outrun(by.incarnation, `${used} ${then}`);
}
