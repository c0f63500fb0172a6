/**
 * Log matching and state-machine safety: what any node applies at an index, every node applies there, after equal
 * histories.
 *
 * The first node to apply an index fixes term and rolling hash for all, also for those that apply it again after a
 * restart; the hash covers everything before it, so equal hashes mean equal prefixes. Within one life a node applies in
 * order; a jump forward is a snapshot, a jump back is a committed entry undone, unless the state was replaced by a snapshot
 * from before (a replica that had diverged). A blackout begins a new history (`replicated`); then a node may still have what
 * was applied before it and no voter has any more.
 *
 * Source: Raft paper, figure 3, sections 5.3 and 5.4.3.
 */

import { type Checker, CheckFailure, type Observation } from "../observations.ts";
import { BlackoutWatch, type Durability } from "./blackout-watch.ts";

interface Applied {
  readonly node: string;
  readonly term: number;
  readonly hash: number;
}

export class LogMatching implements Checker {
  readonly name = "log matching";
  readonly #blackouts: BlackoutWatch;
  #applied = new Map<number, Applied>();
  /** As it was before the last blackout. */
  #before = new Map<number, Applied>();
  /** Index applied last by each node in its present life. */
  readonly #last = new Map<string, { index: number; term: number }>();

  constructor(durability: Durability) {
    this.#blackouts = new BlackoutWatch(durability);
  }

  observe(observation: Observation): void {
    if (this.#blackouts.observe(observation)) {
      this.#before = this.#applied;
      this.#applied = new Map();
    }
    const { node } = observation;
    if (node === undefined) return;
    if (observation.kind === "started") this.#last.delete(node);
    if (observation.kind === "restored") this.#last.set(node, observation);
    if (observation.kind !== "applied") return;
    const { index, term, hash, at } = observation;
    this.#checkOrder(node, index, term, at);
    if (term <= this.#blackouts.termBefore) {
      const before = this.#before.get(index);
      if (before?.term === term && before.hash === hash) return;
    }
    const known = this.#applied.get(index);
    if (known === undefined) {
      this.#applied.set(index, { node, term, hash });
      return;
    }
    if (known.term !== term || known.hash !== hash) {
      throw new CheckFailure(
        this.name,
        `${node} applies index ${index} as term ${term} hash ${hash} at ${at} ms, ` +
          `but ${known.node} applied it as term ${known.term} hash ${known.hash}`,
      );
    }
  }

  #checkOrder(node: string, index: number, term: number, at: number): void {
    const last = this.#last.get(node);
    if (last !== undefined && (index <= last.index || term < last.term)) {
      throw new CheckFailure(
        this.name,
        `${node} applies index ${index} of term ${term} after ${last.index} of term ${last.term}, at ${at} ms`,
      );
    }
    this.#last.set(node, { index, term });
  }
}
