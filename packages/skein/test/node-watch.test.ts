/** What a node's status is made from: where each part of it comes from. */

import type { Identity } from "@skein/coordinator";
import type { Clock, Disk, Incarnation, Log, MonotonicMs, NodeId } from "@skein/kernel";
import { expect, test } from "vitest";
import { NodeWatch, type WatchedNode } from "../src/node-watch.ts";

/** A node that belongs to no cluster yet, of which only what its status needs is there. */
function node(passed: { readonly inAll: number }): WatchedNode {
  const coordinator = {
    status: { voters: [], learners: [], hasQuorum: false, pendingProposals: 0 },
    counters: { droppedWrites: 1 },
    sessions: {
      passed: { byClient: new Map(), ...passed },
      limits: { owedBytesMax: 0, tightest: undefined },
    },
    replicaHealth: { lags: new Map() },
    retained: { count: 0 },
    known: { nameOf: () => undefined, renamed: () => undefined },
  };
  const node: Record<keyof WatchedNode, unknown> = {
    identity: { node: "aaaaaaaaaaaaaaaa" as NodeId, incarnation: 1 as Incarnation } as Identity,
    broker: { clientCount: 0, counters: { publishesReceived: 0 } },
    mesh: { members: [], multicast: undefined, counters: { relayed: 2 }, heardAt: () => undefined },
    coordinator,
    floatingAddress: undefined,
    isServing: true,
    isStopping: false,
    hasParted: false,
  };
  return node as WatchedNode;
}

const silent: Log = { error() {}, warn() {}, info() {}, debug() {} };

test("the status counts the messages that passed all queues by beside what links and store count", () => {
  const watch = new NodeWatch(
    node({ inAll: 7 }),
    { mesh: "home", name: "pi1", timing: "lan", address: undefined, peers: [] },
    {
      clock: { monotonicMs: () => 0 as MonotonicMs, wallMs: () => 0 } as Clock,
      disk: { read: () => undefined } as Partial<Disk> as Disk,
      log: silent,
      vitals: () => ({ version: "0.1.0", memoryBytes: 0 }),
    },
  );
  expect(watch.status().counters).toEqual({
    links: { relayed: 2 },
    store: { droppedWrites: 1, passedByAllQueues: 7 },
  });
});
