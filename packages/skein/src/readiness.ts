/**
 * When a node may let clients in.
 *
 * A node that has just started serves what it knows, and that may be yesterday's retained messages or none at all. So it
 * keeps its ports closed (P11: closed, never a refusal) until a coordinator of its cluster is known. But publishing
 * never needs a quorum (P3): when none shows up in time the node serves alone and says that it is degraded.
 */

import type { CoordinatorStatus } from "@skein/coordinator";
import type { Clock, Timer } from "@skein/kernel";

/** Longest founding (browse 5 s, then its own election) and longest lan election (4.8 s) both fit in. */
export const READY_WAIT_MAX_MS = 10_000;

/** Resolves once. `update` is called with every new status. */
export class Readiness {
  /** Settles when clients may be let in. */
  readonly reached: Promise<void>;
  #reach: () => void = () => undefined;
  readonly #timer: Timer;

  constructor(clock: Clock) {
    this.reached = new Promise((resolve) => {
      this.#reach = resolve;
    });
    this.#timer = clock.after(READY_WAIT_MAX_MS, () => this.#reach());
  }

  update(status: CoordinatorStatus): void {
    if (status.cluster === undefined || status.coordinator === undefined || !status.hasQuorum) return;
    this.stop();
    this.#reach();
  }

  /** Gives up waiting; `reached` may stay pending. */
  stop(): void {
    this.#timer.cancel();
  }
}
