/**
 * Whether any node may still have something in its outbox that the log does not have: one that has been without a quorum has, until it
 * has had one again for a moment without stopping. What it wrote goes to the leader at once then, so whatever clients send after that
 * moment comes behind it (docs/guarantees.md). If another node stops in that moment, it may have been the leader: then to the next one. If the ways of
 * that node are disturbed in that moment, it may hear a leader that does not hear it: then once they are not, and there are links again.
 */

import type { Observation } from "../observations.ts";

/** So long an outbox may take: what is lost on the way goes again after half a second. */
const WRITTEN_WITHIN_MS = 1000;
/** An election takes 4.8 s at most (timing.ts of the coordinator), or the node says by then that it has no quorum. */
const LED_AGAIN_WITHIN_MS = 6000;

export class OutboxLedger {
  /** Until when each that was without a quorum may have something; infinite: it has none, or has stopped or been cut off before all was written. */
  readonly #openUntil = new Map<string, number>();
  /** How many disturbances of each have not been calmed. */
  readonly #disturbances = new Map<string, number>();
  /** They have a quorum, and were disturbed before all was written. */
  readonly #heldUp = new Set<string>();

  observe(observation: Observation): void {
    const { node, at } = observation;
    if (observation.kind === "disturbed") for (const each of observation.nodes) this.#disturbed(each, at);
    else if (observation.kind === "calmed") for (const each of observation.nodes) this.#calmed(each, at);
    else if (node === undefined) return;
    else if (observation.kind === "quorum") {
      if (!observation.isReached) this.#open(node);
      else if (this.#openUntil.get(node) === Number.POSITIVE_INFINITY && !this.#heldUp.has(node)) {
        this.#openUntil.set(node, at + WRITTEN_WITHIN_MS);
        if ((this.#disturbances.get(node) ?? 0) > 0) this.#holdUp(node);
      }
    } else if (observation.kind === "stopped" && observation.how !== "resume") {
      for (const [other, until] of this.#openUntil) {
        if (until <= at) continue;
        if (other === node) this.#open(other);
        else this.#openUntil.set(other, Math.max(until, at + LED_AGAIN_WITHIN_MS + WRITTEN_WITHIN_MS));
      }
    }
  }

  /** What clients send from now on comes behind all that was taken without a quorum. */
  areAllWritten(at: number): boolean {
    for (const until of this.#openUntil.values()) if (until > at) return false;
    return true;
  }

  /** What `node` has taken without a quorum is in the log, or on its way there and heard: who is in reach waits for it (sessions.md, "After the heal"). */
  isOnItsWay(node: string, at: number): boolean {
    return (this.#openUntil.get(node) ?? at) <= at + WRITTEN_WITHIN_MS;
  }

  #disturbed(node: string, at: number): void {
    this.#disturbances.set(node, (this.#disturbances.get(node) ?? 0) + 1);
    const until = this.#openUntil.get(node) ?? at;
    if (until > at && until < Number.POSITIVE_INFINITY) this.#holdUp(node);
  }

  #calmed(node: string, at: number): void {
    const left = (this.#disturbances.get(node) ?? 1) - 1;
    this.#disturbances.set(node, left);
    if (left === 0 && this.#heldUp.delete(node))
      this.#openUntil.set(node, at + LED_AGAIN_WITHIN_MS + WRITTEN_WITHIN_MS);
  }

  /** It has no quorum. */
  #open(node: string): void {
    this.#openUntil.set(node, Number.POSITIVE_INFINITY);
    this.#heldUp.delete(node);
  }

  #holdUp(node: string): void {
    this.#openUntil.set(node, Number.POSITIVE_INFINITY);
    this.#heldUp.add(node);
  }
}
