/** What one node sees of the mesh at one moment: what the fail-over log is made from. */

import type { MonotonicMs } from "@skein/kernel";

export interface ViewedMember {
  readonly id: string;
  readonly name: string;
  readonly state: "alive" | "suspect" | "dead" | "left";
  readonly isLinked: boolean;
  /** When something came from it last; undefined: this node itself, or never. */
  readonly heardAt: MonotonicMs | undefined;
  readonly clients: number;
}

export interface MeshView {
  /** This node itself is among them. */
  readonly members: readonly ViewedMember[];
  readonly self: string;
  readonly coordinator: string | undefined;
  readonly hasQuorum: boolean;
  /** The mesh has a floating address. */
  readonly hasAddress: boolean;
  readonly holder: string | undefined;
  /** Voters and learners; empty before this node belongs to a cluster. */
  readonly configured: readonly string[];
}
