/**
 * Whether any node may still have something in its outbox that the log does not have: one that has been without a quorum has, until it
 * has had one again for a moment without stopping. What it wrote goes to the leader at once then, so whatever clients send after that
 * moment comes behind it (docs/guarantees.md).
 */

import type { Observation } from "../observations.ts";

/** So long an outbox may take: what is lost on the way goes again after half a second. */
const WRITTEN_WITHIN_MS = 1000;

export class OutboxLedger {
  /** When each that was without a quorum has had one again; infinite: it has none, or has stopped before all was written. */
  readonly #backSince = new Map<string, number>();

  observe(observation: Observation): void {
    const { node, at } = observation;
    if (node === undefined) return;
    if (observation.kind === "quorum") {
      const { isReached } = observation;
      if (!isReached) this.#backSince.set(node, Number.POSITIVE_INFINITY);
      else if (this.#backSince.get(node) === Number.POSITIVE_INFINITY) this.#backSince.set(node, at);
    } else if (observation.kind === "stopped" && observation.how !== "resume" && this.#isOpen(node, at)) {
      this.#backSince.set(node, Number.POSITIVE_INFINITY);
    }
  }

  /** What clients send from now on comes behind all that was taken without a quorum. */
  areAllWritten(at: number): boolean {
    for (const node of this.#backSince.keys()) if (this.#isOpen(node, at)) return false;
    return true;
  }

  #isOpen(node: string, at: number): boolean {
    return at - (this.#backSince.get(node) ?? 0) < WRITTEN_WITHIN_MS;
  }
}
