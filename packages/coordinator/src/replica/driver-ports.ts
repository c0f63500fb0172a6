/** What the driver of a replica needs, and whom it tells. */

import type { Clock, SkeinError } from "@skein/kernel";
import type { RaftEffect, RaftMessage, ServerId } from "raft-js";
import type { CoordinatorObserver } from "../options.ts";
import type { Applied } from "../state-machine/applied.ts";

/** What the replicas disagree about. */
export type ReplicaFault = Extract<RaftEffect, { readonly kind: "diverged" | "contradicted" }>;

/** What a replica tells of linearizable reads, by the numbers that they were asked with. Must not call back into the driver. */
interface ReadsPort {
  /** A quorum has answered them, and this replica does not hold yet what was committed before they were asked. */
  readonly answered: (requests: readonly number[]) => void;
  /** They see everything that was committed before they were asked. */
  readonly confirmed: (requests: readonly number[]) => void;
}

export interface DriverPorts {
  readonly clock: Clock;
  /** Towards `to`, or lost. Returns false if there is certainly no way now. */
  readonly send: (to: ServerId, message: RaftMessage) => boolean;
  /** A committed command went through the state machine. Must not call back into the driver. */
  readonly applied: (applied: Applied) => void;
  /** The state machine, which had applied the log up to `before`, was replaced by a snapshot, and goes on in this turn. The same rule. */
  readonly restored: (before: number) => void;
  /** Role, term or leader changed; called when the step is over, so it may call back. */
  readonly leadershipChanged: () => void;
  /** After each event: anything may have changed. */
  readonly stepped: () => void;
  /** Leadership is being handed over: release what the lease protects, then call `released`. */
  readonly giveUpLease: (released: () => void) => void;
  /** Who asks with `read`. */
  readonly reads: ReadsPort;
  /** A replica does not hold what it should. */
  readonly faulty: (fault: ReplicaFault) => void;
  /**
   * The disk has failed, or the program does not know what the log says (ERR_SKEIN_VERSION): a leader must hand over now, anybody else is
   * stepped no more. Called once, also within a step.
   */
  readonly failed: (error: SkeinError) => void;
  readonly observer: CoordinatorObserver | undefined;
}
