/** Turns what a node says about itself, its status, into observations: one for each thing that has changed. */

import type { CoordinatorStatus } from "@skein/coordinator";
import type { NodeId } from "@skein/kernel";
import type { NodeObservation } from "../observations.ts";

export class StatusWatch {
  readonly #observe: (observation: NodeObservation) => void;
  /** When the lease of a status ends, in the world's ms. */
  readonly #leaseUntil: (status: CoordinatorStatus) => number;
  #status: CoordinatorStatus | undefined;
  #lease = 0;

  constructor(
    observe: (observation: NodeObservation) => void,
    leaseUntil: (status: CoordinatorStatus) => number,
  ) {
    this.#observe = observe;
    this.#leaseUntil = leaseUntil;
  }

  /** A node has started: it has said nothing yet. */
  begin(): void {
    this.#status = undefined;
  }

  /** The status of a node that belongs to a cluster. */
  saw(status: CoordinatorStatus): void {
    const before = this.#status;
    this.#status = status;
    const { voters, learners, hasQuorum } = status;
    if (before === undefined || !areSame(before.voters, voters) || !areSame(before.learners, learners))
      this.#observe({ kind: "configuration", voters, learners });
    if (before?.hasQuorum !== hasQuorum) this.#observe({ kind: "quorum", isReached: hasQuorum });
    this.#holds(this.#leaseUntil(status));
  }

  /** The process is gone. */
  end(): void {
    this.#holds(0);
  }

  #holds(until: number): void {
    if (until === this.#lease) return;
    this.#lease = until;
    this.#observe({ kind: "lease", until });
  }
}

function areSame(a: readonly NodeId[], b: readonly NodeId[]): boolean {
  return a === b || a.join() === b.join();
}
