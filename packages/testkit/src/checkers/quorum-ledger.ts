/**
 * Which nodes have said since when that they reach a quorum: what they acknowledge meanwhile is safe with the mesh. What a node
 * acknowledges without one is safe with it alone, and it says so (P3, P5).
 */

import type { Observation } from "../observations.ts";

export class QuorumLedger {
  readonly #since = new Map<string, number>();
  /** When each was without one last; infinite: it is now. */
  readonly #without = new Map<string, number>();

  observe(observation: Observation): void {
    const { node, at } = observation;
    if (node === undefined) return;
    if (observation.kind === "quorum") {
      const { isReached } = observation;
      if (!isReached) this.#since.delete(node);
      else if (!this.#since.has(node)) this.#since.set(node, at);
      if (!isReached) this.#without.set(node, Number.POSITIVE_INFINITY);
      else if (this.#without.get(node) === Number.POSITIVE_INFINITY) this.#without.set(node, at);
    } else if (
      observation.kind === "stopped" &&
      observation.how !== "pause" &&
      observation.how !== "resume"
    ) {
      this.#since.delete(node);
    }
  }

  /** Since when, in the world's ms; undefined: it does not. */
  since(node: string | undefined): number | undefined {
    return node === undefined ? undefined : this.#since.get(node);
  }

  /** Whether it has said at any time since `at` that it does not. */
  hasLackedSince(node: string | undefined, at: number): boolean {
    return node !== undefined && (this.#without.get(node) ?? at - 1) >= at;
  }

  /** Whether any node has: what it handed on came before the log had it. */
  hasAnyLackedSince(at: number): boolean {
    for (const without of this.#without.values()) if (without >= at) return true;
    return false;
  }

  /** Whether it has all the time since `at`. */
  hasSince(node: string | undefined, at: number): boolean {
    const since = this.since(node);
    return since !== undefined && since <= at;
  }
}
