/**
 * Who may have a link: the checks on a HELLO, and what is said to the operator when one is refused.
 *
 * The transport has already proved that the caller knows the mesh key. What is left are honest mistakes: another mesh
 * name under the same key, another protocol version, a dial that came back to this very process, and the one that
 * hurts most, a copied data directory: the same identity on two machines (reference/design.md, trap 5).
 */

import type { Hello } from "../messages.ts";
import { isSpokenByBoth, type ProtocolVersions } from "./protocol-version.ts";

export interface Refusal {
  readonly kind: "version" | "mesh" | "self" | "clone";
  /** Why, in one sentence with the next step. */
  readonly text: string;
}

/** Returns why no link with the sender of `hello` is possible, or undefined if it is welcome. */
export function refusalOf(own: Hello, hello: Hello): Refusal | undefined {
  if (!isSpokenByBoth(own.versions, hello.versions)) {
    const older = hello.versions.newest < own.versions.oldest ? hello.name : "this node";
    const text = `${hello.name} speaks protocol ${spoken(hello.versions)}, this node ${spoken(own.versions)}: update Skein on ${older}.`;
    return { kind: "version", text };
  }
  if (hello.mesh !== own.mesh) {
    return { kind: "mesh", text: `Peer belongs to mesh "${hello.mesh}", this node to "${own.mesh}".` };
  }
  if (hello.node !== own.node) return undefined;
  if (hello.nonce === own.nonce) return { kind: "self", text: "The address leads back to this node." };
  return {
    kind: "clone",
    text: `Two machines use the node id ${own.node} (copied data directory?): empty the data directory of one of them.`,
  };
}

function spoken({ oldest, newest }: ProtocolVersions): string {
  return oldest === newest ? `version ${newest}` : `versions ${oldest} to ${newest}`;
}
