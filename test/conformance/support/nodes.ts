/** What the conformance tests run against: one broker (lone-node.ts), or the nodes of a mesh (mesh-nodes.ts). */

import type { Broker } from "@skein/broker";

export interface Nodes {
  readonly brokers: readonly Broker[];
  /** Retained messages held, by every node alike. */
  readonly retainedCount: number;
  /** Sessions, connected or not; those that the mesh keeps counted once, as every node does alike. */
  readonly sessionCount: number;
  /** Lets everything that has been set off come to rest. */
  settle(): void;
  pass(ms: number): void;
  /** Time passes, but nothing runs meanwhile. */
  standStill(ms: number): void;
}
