/**
 * Replicas that do not hold what they should: said to the operator, and the own one put right.
 *
 * A replica that has diverged (a bit that flipped in memory, a bug) has a good log and a wrong state. It is isolated by Raft,
 * keeps its wrong state in a file for whoever wants to look, and takes over the leader's; its log and all that it has
 * acknowledged stay. If it diverges again within an hour, the cause is still there: then it stays isolated.
 */

import type { Clock, Disk, Log, NodeId } from "@skein/kernel";
import type { Snapshot } from "raft-js";
import { asidePath, snapshotPath } from "../journal/files.ts";
import { encodeAlone } from "../journal/record.ts";
import type { ReplicaFault } from "./driver-ports.ts";
import { REPLICA_FOLDER } from "./replica-files.ts";

const AGAIN_WITHIN_MS = 60 * 60 * 1000;

export interface ReplicaFaultsPorts {
  readonly clock: Clock;
  readonly disk: Disk;
  readonly log: Log;
  /** The state of this replica as of now. */
  readonly state: () => Snapshot | undefined;
  /** Asks Raft to replace it by the leader's. */
  readonly replaceState: () => void;
}

export class ReplicaFaults {
  readonly #self: NodeId;
  readonly #ports: ReplicaFaultsPorts;
  #divergedAt: number | undefined;
  #isReplacing = false;
  #isFinal = false;

  constructor(self: NodeId, ports: ReplicaFaultsPorts) {
    this.#self = self;
    this.#ports = ports;
  }

  /** The own replica has diverged for the second time, and stays as it is. */
  get isFinal(): boolean {
    return this.#isFinal;
  }

  /** Raft has found `fault`; called within its step. */
  found(fault: ReplicaFault): void {
    const { clock, log } = this.#ports;
    const { index } = fault;
    if (fault.kind === "contradicted") {
      const { leader } = fault;
      log.error(
        { leader, index },
        "the cluster has lost committed writes that this node has; it takes over the rest",
      );
    } else if (fault.server === this.#self) {
      clock.atTurnEnd(() => this.#diverged(index));
    } else {
      log.error({ node: fault.server, index }, "a replica differs from what the others agree on");
    }
  }

  /** A leader's snapshot has replaced the state. */
  restored(): void {
    this.#isFinal = false;
    if (!this.#isReplacing) return;
    this.#isReplacing = false;
    this.#ports.log.info({}, "this replica has taken over the coordinator's state and takes part again");
  }

  #diverged(index: number): void {
    const { clock, log, replaceState } = this.#ports;
    const now = clock.monotonicMs();
    this.#isFinal = this.#divergedAt !== undefined && now - this.#divergedAt < AGAIN_WITHIN_MS;
    this.#divergedAt = now;
    const movedTo = this.#keepEvidence();
    if (this.#isFinal) {
      log.error(
        { index, movedTo },
        'this replica differs from the others again within an hour (bad memory?) and neither votes nor leads: stop the node, test its memory, remove the folder "journal" from its data directory, and start it',
      );
      return;
    }
    log.error(
      { index, movedTo },
      "this replica differs from what the others agree on: it neither votes nor leads until it has taken over the coordinator's state",
    );
    this.#isReplacing = true;
    replaceState();
  }

  /** Writes the wrong state to a file of its own; returns its name. */
  #keepEvidence(): string | undefined {
    const { clock, disk, log, state } = this.#ports;
    const snapshot = state();
    if (snapshot === undefined) return undefined;
    const path = asidePath(snapshotPath(REPLICA_FOLDER), clock.wallMs());
    disk.replace(path, encodeAlone({ kind: "snapshot", snapshot }), (error) => {
      if (error !== undefined)
        log.warn({ file: path, reason: error.message }, "the wrong state could not be kept");
    });
    return path;
  }
}
