/** A replica on its own for measurements: the driver of a real node without a network, and how long it stands still. */

import type { Clock, NodeId, Prng } from "@skein/kernel";
import type { OpenedJournal } from "../../packages/coordinator/src/journal/journal.ts";
import { Driver } from "../../packages/coordinator/src/replica/driver.ts";
import type { DriverPorts } from "../../packages/coordinator/src/replica/driver-ports.ts";
import { REPLICA_SIZES } from "../../packages/coordinator/src/replica/replica-sizes.ts";
import type { StateMachine } from "../../packages/coordinator/src/state-machine/state-machine.ts";
import { raftOptions } from "../../packages/coordinator/src/timing.ts";

const RANDOM = { below: (bound: number) => Math.floor(Math.random() * bound) } as Prng;

/** `partedBytes`: see ReplicaSizes. */
export function replicaDriver(
  node: NodeId,
  opened: OpenedJournal,
  machine: StateMachine,
  clock: Clock,
  partedBytes: number,
  applied: DriverPorts["applied"] = () => {},
): Driver {
  const raft = raftOptions(node, "wired", REPLICA_SIZES, RANDOM);
  const options = { ...REPLICA_SIZES, raft, partedBytes };
  return new Driver(options, opened, machine, {
    clock,
    send: () => false,
    applied,
    restored: () => {},
    observer: undefined,
    giveUpLease: (released) => released(),
    reads: { answered: () => {}, confirmed: () => {} },
    faulty: () => {},
    leadershipChanged: () => {},
    stepped: () => {},
    failed: (error) => {
      throw error;
    },
  });
}

/** Watches every turn of the event loop. */
export class Turns {
  longestMs = 0;
  #at = process.threadCpuUsage();
  #next: NodeJS.Immediate;

  constructor() {
    this.#next = setImmediate(() => this.#turn());
  }

  stop(): void {
    clearImmediate(this.#next);
  }

  #turn(): void {
    const { user, system } = process.threadCpuUsage(this.#at);
    this.longestMs = Math.max(this.longestMs, (user + system) / 1000);
    this.#at = process.threadCpuUsage();
    this.#next = setImmediate(() => this.#turn());
  }
}
