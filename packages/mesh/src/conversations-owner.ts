/** What the conversations with all other nodes tell the rest of the mesh layer. */

import type { NodeId } from "@skein/kernel";
import type { Outrun, Rightful } from "./link/twins.ts";

/** What the search for peers is told. */
export interface ConversationsOwner {
  /** Port this node accepts links on; 0 while it does not. */
  linkPort(): number;
  /** Others say that `node` is reached at `address`. */
  addressLearnt(node: NodeId, address: string): void;
  /** `node` answered at `address`, whether or not that stream becomes its link. */
  answered(node: NodeId, address: string): void;
  /** The link to `node` is up. `address` is where it may be dialled, empty if unknown. */
  linkUp(node: NodeId, address: string): void;
  linkLost(node: NodeId): void;
  /** A link through a third node has taken the place of the direct one to `node`. */
  directLost(node: NodeId): void;
  /** Another process has the better right to this node's identity. */
  yielded(rightful: Rightful): void;
  /** A copy of this node's data has been started as often as this node, or more often. */
  outrun(by: Outrun): void;
  /** A frame about invitations. */
  joining(from: NodeId, body: Uint8Array): void;
  /** Nobody needs to look for it any more. */
  memberGone(node: NodeId): void;
  /** The address leads back to this node. */
  selfDialled(address: string): void;
}
