/** How a node's disk does, and on the leader how far the other replicas are behind: for facts and status. */

import type { MonotonicMs, NodeId } from "@skein/kernel";
import type { Driver } from "./driver.ts";

export interface ReplicaHealth {
  /** Of the flushes of this node's disk 99 % took less, lately; 0: too few to say. */
  readonly flushP99Ms: number;
  /** Entries of the leader's log that each follower is not known to have; empty where this node does not lead. */
  readonly lags: ReadonlyMap<NodeId, number>;
}

export function replicaHealth(driver: Driver | undefined, now: MonotonicMs): ReplicaHealth {
  return {
    flushP99Ms: driver?.flushP99Ms ?? 0,
    // The facts of every second look at the disk alone.
    get lags() {
      return lagsOf(driver, now);
    },
  };
}

function lagsOf(driver: Driver | undefined, now: MonotonicMs): ReadonlyMap<NodeId, number> {
  const lags = new Map<NodeId, number>();
  if (driver === undefined) return lags;
  const { followers, lastIndex } = driver.status(now);
  for (const [node, { matchIndex }] of followers)
    lags.set(node as NodeId, Math.max(0, lastIndex - matchIndex));
  return lags;
}
