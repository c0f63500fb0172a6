/**
 * Whether any node may still have something in its outbox that the log does not have: one that has been without a quorum has, until it
 * has had one again for a moment without stopping. What it wrote goes to the leader at once then, so whatever clients send after that
 * moment comes behind it (docs/guarantees.md). If another node stops in that moment, it may have been the leader: then to the next one.
 */

import type { Observation } from "../observations.ts";

/** So long an outbox may take: what is lost on the way goes again after half a second. */
const WRITTEN_WITHIN_MS = 1000;
/** An election takes 4.8 s at most (timing.ts of the coordinator), or the node says by then that it has no quorum. */
const LED_AGAIN_WITHIN_MS = 6000;

export class OutboxLedger {
  /** Until when each that was without a quorum may have something; infinite: it has none, or has stopped before all was written. */
  readonly #openUntil = new Map<string, number>();

  observe(observation: Observation): void {
    const { node, at } = observation;
    if (node === undefined) return;
    if (observation.kind === "quorum") {
      if (!observation.isReached) this.#openUntil.set(node, Number.POSITIVE_INFINITY);
      else if (this.#openUntil.get(node) === Number.POSITIVE_INFINITY)
        this.#openUntil.set(node, at + WRITTEN_WITHIN_MS);
    } else if (observation.kind === "stopped" && observation.how !== "resume") {
      for (const [other, until] of this.#openUntil) {
        if (until <= at) continue;
        if (other === node) this.#openUntil.set(other, Number.POSITIVE_INFINITY);
        else this.#openUntil.set(other, Math.max(until, at + LED_AGAIN_WITHIN_MS + WRITTEN_WITHIN_MS));
      }
    }
  }

  /** What clients send from now on comes behind all that was taken without a quorum. */
  areAllWritten(at: number): boolean {
    for (const until of this.#openUntil.values()) if (until > at) return false;
    return true;
  }
}
